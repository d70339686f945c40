use std::cell::Cell;

use tracing::{Event, Metadata, Subscriber, span};

use super::super::link::Link;
use super::super::session::Session;
use super::*;

type Server = h2::server::Connection<tokio::io::DuplexStream, Bytes>;

/// A connection, as all of it is while it can be used.
async fn session() -> (Server, Arc<Session>) {
    let (client, server) = tokio::io::duplex(1 << 16);
    let (link, cut) = Link::new(Box::new(client), None);
    let client = h2::client::Builder::new().handshake(link);
    let (server, client) = tokio::join!(h2::server::handshake(server), client);
    let (sender, http2) = client.unwrap();
    let path = http::Uri::from_static("http://server/check");
    let sender = Sender::new(sender, Arc::clone(&cut));
    (server.unwrap(), Session::start(sender, http2, cut, &path, false))
}

fn send(session: &Session) -> Result<Exchange<ResponseFuture>, Broken> {
    let request = Request::post("http://server/call").body(()).unwrap();
    session.sender.send(request, bytes::Buf::chain(&b"a"[..], Bytes::from_static(b"b")))
}

// What is sent while the task ends is seen by the tests that restart servers under load: it
// takes a thread that is interrupted between two instructions.
#[tokio::test]
async fn nobody_sends_to_a_connection_whose_task_has_ended() {
    let (server, session) = session().await;
    assert!(send(&session).is_ok());
    let told = session.changed();
    drop(server);
    told.await;
    assert!(session.condition().over().is_some());
    assert!(send(&session).is_err());
}

#[test]
fn nobody_sends_to_a_connection_whose_runtime_has_ended_before_its_task_ever_ran() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (_server, session) = runtime.block_on(session());
    drop(runtime);
    assert!(session.condition().over().is_some());
    assert!(send(&session).is_err());
}

#[test]
fn a_call_that_is_under_way_ends_with_the_runtime_of_its_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (_server, session) = runtime.block_on(session());
    let exchange = send(&session).unwrap();
    drop(runtime);
    let outcome = futures::executor::block_on(exchange.response());
    assert!(matches!(outcome, Err(Broken::Http2(error)) if error.is_io()));
}

/// A log that panics at h2's lines, while it is armed.
struct Panicking;

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

impl Subscriber for Panicking {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("h2")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        assert!(!ARMED.get(), "the log is broken");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What it finds while h2's log panics.
fn while_it_panics<T>(work: impl FnOnce() -> T) -> T {
    ARMED.set(true);
    let outcome = work();
    ARMED.set(false);
    outcome
}

// Promise: H22
#[tokio::test]
async fn a_log_that_panics_inside_http2_ends_the_connection_and_no_caller() {
    let _log = tracing::subscriber::set_default(Panicking);
    let (_server, session) = session().await;
    let [waiting, left] = [(); 2].map(|()| send(&session).unwrap());
    let told = session.changed();
    let sent = while_it_panics(|| send(&session));
    assert!(matches!(sent, Err(Broken::Panicked(_))));
    // From now on, whoever touches a stream of it would panic.
    assert!(matches!(send(&session), Err(Broken::Panicked(_))));
    assert!(matches!(waiting.response().await, Err(Broken::Panicked(_))));
    drop(left);
    told.await;
    assert!(session.condition().over().is_some() && session.condition().is_panic());
}

// Promise: H22
#[tokio::test]
async fn a_stream_that_is_left_while_the_log_panics_takes_no_caller_along() {
    let _log = tracing::subscriber::set_default(Panicking);
    let (_server, session) = session().await;
    let exchange = send(&session).unwrap();
    let told = session.changed();
    while_it_panics(|| drop(exchange));
    told.await;
    assert!(session.condition().is_panic());
}
