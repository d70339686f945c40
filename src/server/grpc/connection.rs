//! One connection: TLS where it is configured, then HTTP/2 with a task for each call.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Shared;
use super::activity::Activity;
use super::calls;
use super::linger::Linger;
use crate::server::listener::Run;
use crate::unix::connect::Transport;

/// What the headers of a request may take, with room for a proxy's.
const MAX_HEADERS: u32 = 16 * 1024;

/// Calls that were reset before they were looked at, in a row, before the connection is
/// ended as an attack. When this process was stopped for a while it finds those whose time
/// ran out meanwhile; the library's own limit is 20, and costs all others of the connection.
const MAX_RESETS: usize = 4096;

/// How often a client is pinged; it must answer within the second time. A machine that is
/// gone says nothing, and its calls would run for nobody.
const PING: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// How long a client without calls may take to close a connection that it is asked to.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves until the client leaves, is idle for too long, or the server stops.
pub(super) async fn serve(
    stream: Box<dyn Transport>,
    peer: Option<SocketAddr>,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let mut run = shared.run.clone();
    let _open = shared.service.open();
    let served = async {
        let Some(tls) = &shared.tls else { return serve_http(stream, &shared).await };
        let handshake = timeout(shared.limits.handshake_timeout, tls.accept(stream));
        let too_slow = || io::Error::new(io::ErrorKind::TimedOut, "no TLS in time");
        let mut draining = shared.run.clone();
        let stream = tokio::select! {
            stream = handshake => stream.unwrap_or_else(|_| Err(too_slow())),
            // It was promised nothing yet.
            () = Run::Drain.reaches(&mut draining) => return Ok(()),
        };
        match stream {
            Ok(stream) => serve_http(stream, &shared).await,
            Err(error) => {
                shared.tell_refusal(peer, &error);
                Err(error)
            }
        }
    };
    tokio::select! {
        biased;
        () = Run::Stop.reaches(&mut run) => Ok(()),
        served = served => served,
    }
}

async fn serve_http<S>(stream: S, shared: &Arc<Shared>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let service = service_fn(|request| {
        let (shared, busy) = (Arc::clone(shared), activity.begin());
        async move { Ok::<_, Infallible>(calls::answer(shared, request, busy).await) }
    });
    let mut connection = pin!(
        http2::Builder::new(Streams(shared.run.clone()))
            .timer(TokioTimer::new())
            .max_concurrent_streams(shared.limits.max_concurrent_streams)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_header_list_size(MAX_HEADERS)
            .auto_date_header(false)
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .serve_connection(TokioIo::new(Linger::new(stream)), service)
    );
    let mut run = shared.run.clone();
    tokio::select! {
        served = &mut connection => return served.map_err(io::Error::other),
        () = Run::Drain.reaches(&mut run) => {}
        () = activity.idle_for(shared.service.idle_timeout()) => {}
    }
    // What runs goes on to its end; the client is told to begin nothing more here.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        served = connection => served.map_err(io::Error::other),
        () = activity.idle_for(GOODBYE) => Ok(()),
    }
}

/// Runs the calls of a connection, each in a task that ends when the server stops.
#[derive(Clone)]
struct Streams(watch::Receiver<Run>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut run = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = Run::Stop.reaches(&mut run) => {}
                () = stream => {}
            }
        });
    }
}
