use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::super::link::Link;
use super::super::session::Session;
use super::*;

/// A connection, as all of it is while it can be used.
async fn session() -> (h2::server::Connection<tokio::io::DuplexStream, Bytes>, Arc<Session>) {
    let (client, server) = tokio::io::duplex(1 << 16);
    let (link, cut) = Link::new(Box::new(client), None);
    let link = TokioIo::new(link);
    let client = http2::handshake::<_, _, Body>(TokioExecutor::new(), link);
    let (server, client) = tokio::join!(h2::server::handshake(server), client);
    let (sender, http2) = client.unwrap();
    let path = http::Uri::from_static("http://server/check");
    (server.unwrap(), Session::start(Sender::new(sender), http2, cut, &path, false))
}

fn takes_requests(session: &Session) -> bool {
    let body = Full::new(bytes::Buf::chain(&[][..], Bytes::new()));
    session.sender.clone().send(Request::new(body)).is_some()
}

// What is sent while the task ends is seen by the tests that restart servers under load: it
// takes a thread that is interrupted between two instructions.
#[tokio::test]
async fn nobody_sends_to_a_connection_whose_task_has_ended() {
    let (server, session) = session().await;
    assert!(takes_requests(&session));
    let told = session.changed();
    drop(server);
    told.await;
    assert!(session.condition().over().is_some());
    assert!(!takes_requests(&session));
}

#[test]
fn nobody_sends_to_a_connection_whose_runtime_has_ended_before_its_task_ever_ran() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (_server, session) = runtime.block_on(session());
    drop(runtime);
    assert!(session.condition().over().is_some());
    assert!(!takes_requests(&session));
}
