use std::cell::Cell;
use std::time::Duration;

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;

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

#[tokio::test]
async fn what_its_users_have_closed_is_not_lost_and_what_its_server_has_closed_is() {
    const PATIENCE: Duration = Duration::from_secs(1);
    let (_server, left) = session().await;
    assert!(left.condition().lost().is_none() && left.enter(PATIENCE));
    left.leave();
    assert!(left.condition().over().is_some() && left.condition().lost().is_none());
    assert!(!left.enter(PATIENCE));

    let (server, lost) = session().await;
    let told = lost.changed();
    drop(server);
    told.await;
    assert!(lost.condition().lost().is_some() && !lost.enter(PATIENCE));
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

/// Answers one request for each of these, with a body if it is to have one.
async fn answer(mut server: Server, with_body: [bool; 3]) {
    for with_body in with_body {
        let (_, mut respond) = server.accept().await.unwrap().unwrap();
        let mut stream = respond.send_response(http::Response::new(()), !with_body).unwrap();
        if with_body {
            stream.send_data(Bytes::from_static(b"a"), false).unwrap();
            stream.send_trailers(HeaderMap::new()).unwrap();
        }
    }
    while server.accept().await.is_some() {}
}

#[tokio::test]
async fn only_streams_that_are_left_before_their_end_are_counted() {
    let (server, session) = session().await;
    tokio::spawn(answer(server, [true, false, true]));
    let next = async || send(&session).unwrap().response().await.unwrap().1;
    let mut whole = next().await;
    while whole.data().await.unwrap().is_some() {}
    whole.trailers().await.unwrap();
    drop(whole);
    let without_body = next().await;
    drop(without_body);
    assert_eq!(session.cut.resets(), 0);
    let unread = next().await;
    drop(unread);
    assert_eq!(session.cut.resets(), 1);
    drop(send(&session));
    assert_eq!(session.cut.resets(), 2);
}

#[tokio::test]
async fn a_stream_that_breaks_the_rules_is_counted_too_as_more_of_it_may_come() {
    let (mut server, session) = session().await;
    tokio::spawn(async move {
        let (_, mut respond) = server.accept().await.unwrap().unwrap();
        let head = http::Response::builder().header("content-length", 9).body(()).unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        stream.send_data(Bytes::from_static(b"a"), true).unwrap();
        while server.accept().await.is_some() {}
    });
    let (_, mut body) = send(&session).unwrap().response().await.unwrap();
    let broken = async {
        while body.data().await?.is_some() {}
        Ok::<_, Broken>(())
    };
    assert!(matches!(broken.await, Err(Broken::Http2(_))));
    drop(body);
    assert_eq!(session.cut.resets(), 1);
}

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// A log of every line, that panics while it is armed.
fn log() -> DefaultGuard {
    crate::test_log::another_listens();
    let writer = || {
        assert!(!ARMED.get(), "the log is broken");
        io::sink()
    };
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(writer);
    tracing::subscriber::set_default(log.finish())
}

/// What it finds while the log panics.
fn while_it_panics<T>(work: impl FnOnce() -> T) -> T {
    ARMED.set(true);
    let outcome = work();
    ARMED.set(false);
    outcome
}

// Promise: H22
#[tokio::test]
async fn a_log_that_panics_inside_http2_ends_the_connection_and_no_caller() {
    let _log = log();
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
    let _log = log();
    let (_server, session) = session().await;
    let exchange = send(&session).unwrap();
    let told = session.changed();
    while_it_panics(|| drop(exchange));
    told.await;
    assert!(session.condition().is_panic());
}
