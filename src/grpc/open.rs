//! How a connection begins: bytes, HTTP/2, and a first answer of the server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::task::JoinHandle;

use super::call::{Body, Fault, call};
use super::link::Link;
use super::server::Connection;
use super::shared::Shared;
use super::status;
use crate::error::Cause;
use crate::trust::{Refusal, is_refusal};
use crate::wire::proto::HealthCheckResponse;
use crate::wire::proto::health_check_response::ServingStatus;

type Http2 = http2::Connection<TokioIo<Link>, Body, TokioExecutor>;

/// More than a server's status needs.
const MAX_CHECK_LEN: usize = 1024;

/// The frame of a message that is empty.
const EMPTY: &[u8] = &[0; 4];

/// The task that moves a connection's bytes.
pub(super) struct Driver {
    task: JoinHandle<Result<(), hyper::Error>>,
    /// The calls that it may have under way.
    pub(super) limit: usize,
    cut: Arc<super::link::Cut>,
}

impl Driver {
    /// Waits until it takes no more calls, and tells why.
    pub(super) async fn ended(&mut self, shared: &Shared) -> Arc<io::Error> {
        let ended = (&mut self.task).await;
        if let Some(Cause::Disconnected(error)) = self.cut.why() {
            return Arc::clone(error);
        }
        Arc::new(match ended {
            Ok(Ok(())) => {
                let reason = "the server closed the connection";
                io::Error::new(io::ErrorKind::UnexpectedEof, reason)
            }
            Ok(Err(error)) => status::into_io(&error),
            Err(error) => {
                if error.is_panic() {
                    shared.identity.count_panic();
                }
                io::Error::other("the connection's task is gone")
            }
        })
    }
}

/// So many times the calls under way are streams that were reset remembered, so that late frames
/// of theirs are known as such.
const RESETS: usize = 8;

/// Connects to a server, and asks whether it is there.
///
/// # Cancel safety
/// Dropped, nothing of it is left.
pub(super) async fn open(
    shared: &Arc<Shared>,
    index: usize,
) -> io::Result<(Arc<Connection>, Driver)> {
    // With TLS 1.3 a server tells only after the handshake that it does not trust us.
    connect_and_ask(shared, index).await.map_err(distrusted)
}

async fn connect_and_ask(
    shared: &Arc<Shared>,
    index: usize,
) -> io::Result<(Arc<Connection>, Driver)> {
    let server = shared.server(index);
    let transport = server.remote.connector.connect().await?;
    let (link, cut) = Link::new(transport, Arc::clone(&server.slot), shared.links.clone());
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    // Each call that ends early resets its stream, for as long as the connection lives: what the
    // server still sends of them is no fault that a connection should end for.
    http2
        .max_local_error_reset_streams(None)
        .max_concurrent_reset_streams(RESETS * shared.settings.max_in_flight);
    let handshake = http2.handshake(TokioIo::new(link)).await;
    let (sender, mut http2): (_, Http2) = handshake.map_err(|error| status::into_io(&error))?;
    let number = shared.next_connection();
    let connection = Connection::new(server, index, number, sender, Arc::clone(&cut));
    let connection = Arc::new(connection);
    tokio::select! {
        answer = check(shared, &connection) => answer?,
        ended = &mut http2 => {
            let ended = ended.err().map(|error| status::into_io(&error));
            return Err(ended.unwrap_or_else(|| {
                let reason = "the server closed the connection before it answered";
                io::Error::new(io::ErrorKind::UnexpectedEof, reason)
            }));
        }
    }
    // Its settings have come before its answer.
    let limit = limit(shared, &http2);
    let driver = tokio::spawn(drive(Arc::downgrade(shared), index, number, limit, http2));
    Ok((connection, Driver { task: driver, limit, cut }))
}

/// Calls are never above what the server takes at a time: hyper would hold them back, and
/// with them those behind.
fn limit(shared: &Shared, http2: &Http2) -> usize {
    http2.current_max_send_streams().min(shared.settings.max_in_flight).max(1)
}

/// Moves the bytes, and hears of a server that takes more calls than before, or fewer.
async fn drive(
    shared: std::sync::Weak<Shared>,
    server: usize,
    number: u64,
    mut told: usize,
    mut http2: Http2,
) -> Result<(), hyper::Error> {
    std::future::poll_fn(move |cx| {
        let ended = std::pin::Pin::new(&mut http2).poll(cx);
        if let Some(shared) = shared.upgrade() {
            let limit = limit(&shared, &http2);
            if limit != told {
                told = limit;
                shared.limit(server, number, limit);
            }
        }
        ended
    })
    .await
}

/// Asks a server whether it is there.
///
/// # Errors
/// Why it cannot be used. One that does not know the question is there.
pub(super) async fn check(shared: &Shared, connection: &Connection) -> io::Result<()> {
    let path = &connection.server.paths().check;
    let within: Duration = shared.settings.connect_timeout;
    let frame = Bytes::from_static(EMPTY);
    let answer = call(connection.sender.clone(), path, frame, within, MAX_CHECK_LEN).await;
    match answer {
        Ok(message) => match HealthCheckResponse::decode(message) {
            Ok(answer) if answer.status() == ServingStatus::NotServing => {
                Err(io::Error::other("the server says that it is not serving"))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        },
        Err(Fault::Status(status)) if status.is_alive() => Ok(()),
        Err(Fault::Status(status)) => Err(status.into_io()),
        Err(Fault::Unsent(error) | Fault::Refused(error) | Fault::PassedOver(error)) => {
            Err(copy(&error))
        }
        Err(Fault::Lost(cause) | Fault::Failed(cause)) => match cause {
            Cause::Disconnected(error) | Cause::Framing(error) => Err(copy(&error)),
            cause => Err(io::Error::other(cause.to_string())),
        },
    }
}

fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// TLS that was refused, in the words for a server that is not trusted. The system's own
/// EACCES has no source, and is no such refusal.
fn distrusted(error: io::Error) -> io::Error {
    let is_tls = error.kind() == io::ErrorKind::PermissionDenied && error.get_ref().is_some();
    if is_tls && !is_refusal(&error) { Refusal::Server(error.to_string()).into() } else { error }
}
