//! What bytes, headers and texts from others are taken for over gRPC.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, Uri};

use crate::config::Target;
use crate::grpc::call::{Fault, Reply, call, timeout};
use crate::grpc::pem;
use crate::grpc::sender::Sender;
use crate::server::grpc::fuzzing;

/// A response as a server, or somebody before it, sends it.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    pub http_status: u16,
    pub headers: HeaderMap,
    pub pieces: Vec<Bytes>,
    pub trailers: Option<HeaderMap>,
    /// The stream is reset for this reason, in place of its end.
    pub reset: Option<u32>,
}

/// What a call came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Reply(Bytes),
    /// The request was not looked at.
    Refused,
    Status(String),
    /// It is no reply, or was cut off.
    Failed(String),
    Other(String),
}

/// One call of the client, over a connection of its own.
pub async fn exchange(sent: Sent, max_reply_len: usize) -> Ended {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let handshake = h2::client::Builder::new().handshake(near).await;
    let (sender, connection) = match handshake {
        Ok(both) => both,
        Err(error) => return Ended::Other(error.to_string()),
    };
    let sender = Sender::new(sender, Arc::default());
    let path = Uri::from_static("http://localhost/cpex.PluginService/InvokeHook");
    let frame = Bytes::from_static(&[0; 4]);
    let call = call(&sender, &path, frame, Duration::from_secs(60), max_reply_len);
    let moved = async {
        // Both end only with the call.
        let _ = tokio::join!(connection, serve(far, sent));
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        biased;
        answer = call => answer,
        () = moved => return Ended::Other("the call is still there".to_owned()),
    };
    match answer {
        Ok(message) => Ended::Reply(message),
        Err(Fault::Refused(_)) => Ended::Refused,
        Err(Fault::Status(status)) => Ended::Status(status.to_string()),
        Err(Fault::Failed(cause)) => Ended::Failed(cause.to_string()),
        Err(other) => Ended::Other(format!("{other:?}")),
    }
}

async fn serve(stream: tokio::io::DuplexStream, sent: Sent) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    if let Some(call) = connection.accept().await {
        let (request, respond) = call?;
        // It is read by nobody, and would be reset if it were dropped.
        let _request = request;
        send(respond, sent)?;
        while let Some(call) = connection.accept().await {
            call?;
        }
    }
    Ok(())
}

fn send(mut respond: SendResponse<Bytes>, sent: Sent) -> Result<(), h2::Error> {
    let Sent { http_status, headers, pieces, trailers, reset } = sent;
    if headers.is_empty()
        && let Some(reason) = reset
    {
        respond.send_reset(reason.into());
        return Ok(());
    }
    let mut head = Response::new(());
    *head.status_mut() = http_status.try_into().unwrap_or_default();
    *head.headers_mut() = headers;
    let mut stream = respond.send_response(head, false)?;
    for piece in pieces {
        stream.send_data(piece, false)?;
    }
    match (reset, trailers) {
        (Some(reason), _) => stream.send_reset(reason.into()),
        (None, Some(trailers)) => stream.send_trailers(trailers)?,
        (None, None) => stream.send_data(Bytes::new(), true)?,
    }
    Ok(())
}

/// The message of a reply whose body comes in these pieces; or how many of them were taken
/// without a fault, and the fault.
///
/// # Errors
/// As the client's own.
pub fn read_reply(pieces: &[Bytes], max_len: usize) -> Result<Bytes, (usize, String)> {
    let mut reply = Reply::new(max_len);
    for (at, piece) in pieces.iter().enumerate() {
        reply.push(piece.clone()).map_err(|fault| (at, fault))?;
    }
    reply.finish().map_err(|fault| (pieces.len(), fault))
}

/// The same of a request, as the embedded server reads it; a fault is the number of its status.
///
/// # Errors
/// As the server's own.
pub fn read_request(pieces: &[Bytes], limit: usize) -> Result<Bytes, (usize, u32)> {
    fuzzing::read(pieces, limit)
}

/// How long a client waits by this `grpc-timeout`.
///
/// # Errors
/// If it is none.
pub fn read_timeout(value: &HeaderValue) -> Result<Duration, u32> {
    fuzzing::read_timeout(value)
}

/// A `grpc-timeout` as the client writes it.
#[must_use]
pub fn write_timeout(left: Duration) -> String {
    timeout(left)
}

/// Reads where a server is.
///
/// # Errors
/// In words.
pub fn parse_target(text: &str) -> Result<Target, String> {
    Target::parse(text)
}

/// True if nothing that is sent there leaves this machine.
#[must_use]
pub fn is_local(target: &Target) -> bool {
    target.is_local()
}

/// How many authorities a bundle has.
///
/// # Errors
/// In words.
pub fn authorities(path: &Path) -> Result<usize, String> {
    pem::authorities(path).map(|roots| roots.len()).map_err(|error| error.to_string())
}

/// How many certificates there are with that of a client or server.
///
/// # Errors
/// In words.
pub fn identity(certfile: &Path, keyfile: &Path) -> Result<usize, String> {
    let identity = pem::identity(certfile, keyfile);
    identity.map(|identity| identity.cert.len()).map_err(|error| error.to_string())
}
