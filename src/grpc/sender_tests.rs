use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use super::super::call::{Fault, call};
use super::super::link::Cut;
use super::super::session::Session;
use super::*;

const ROUNDS: usize = 2_000;
const LIMIT: Duration = Duration::from_secs(20);

/// A connection that its server ends at once, and as many callers as threads meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_meets_the_end_of_its_connection_ends_with_it() {
    for _ in 0..ROUNDS {
        let (client, server) = tokio::io::duplex(1 << 16);
        let server = async move { h2::server::handshake(server).await.unwrap() };
        let transport = Box::new(client);
        let (link, cut) = super::super::link::Link::new(transport, None);
        let client = http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(link));
        let (server, client): (h2::server::Connection<_, Bytes>, _) = tokio::join!(server, client);
        let (sender, http2) = client.unwrap();
        let path = Uri::from_static("http://server/check");
        let session = start(sender, http2, cut, &path);
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let session = Arc::clone(&session);
                tokio::spawn(async move { call_until_it_ends(&session).await })
            })
            .collect();
        drop(server);
        for caller in callers {
            timeout(LIMIT, caller).await.expect("a call hangs").unwrap();
        }
    }
}

fn start(
    sender: SendRequest<Body>,
    http2: super::super::session::Http2,
    cut: Arc<Cut>,
    path: &Uri,
) -> Arc<Session> {
    Session::start(Sender::new(sender), http2, cut, path, false)
}

async fn call_until_it_ends(session: &Session) {
    let path = Uri::from_static("http://server/method");
    let frame = Bytes::from_static(&[0, 0, 0, 1, 7]);
    loop {
        let ended = call(session.sender.clone(), &path, frame.clone(), LIMIT, 100).await;
        if let Err(Fault::Unsent(_)) = ended {
            return;
        }
    }
}
