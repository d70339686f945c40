//! Servers behind a proxy that goes by the name of the host, as an ingress does.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::{guard, joined, on_loopback, serve};

/// Passes on what is for this host, and knows nothing else.
async fn proxy(host: &'static str, server: SocketAddr) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request| pass_on(host, server, request));
            let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(http2.serve_connection(TokioIo::new(stream), service));
        }
    });
    port
}

async fn pass_on(
    host: &str,
    server: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Either<Incoming, Empty<Bytes>>>, Infallible> {
    if request.uri().host() != Some(host) {
        let mut unknown = Response::new(Either::Right(Empty::new()));
        *unknown.status_mut() = StatusCode::NOT_FOUND;
        return Ok(unknown);
    }
    let stream = TokioIo::new(TcpStream::connect(server).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    Ok(sender.send_request(request).await.unwrap().map(Either::Left))
}

/// It was a guard that would not guard: each server was asked by its address alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_answer_by_the_name_alone_do_not_fail() {
    let server = serve("Guard", on_loopback()).await;
    let address = server.local_addr().unwrap();
    let ports = [proxy("localhost", address).await, proxy("localhost", address).await];
    let targets = ports.map(|port| format!("localhost:{port}"));
    let diagnosis = guard(&json!({"targets": targets, "plaintext": true})).await;
    diagnosis.tells(
        "note",
        &["asked by its address, not by its name", "if a proxy there goes by the name"],
    );
    assert_eq!(diagnosis.plain.code, Some(0), "{:?}", diagnosis.plain);
    assert!(joined(&diagnosis.plain).contains("Guard 2 sequential fail 1 localhost:"));
}
