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
use tokio::time::{Instant, sleep, timeout_at};

use super::Shared;
use super::activity::Activity;
use super::calls;
use super::config::Limits;
use super::linger::Linger;
use super::pace::Pace;
use crate::server::listener::Run;
use crate::unix::connect::Transport;

/// A clock cannot add every time to now; this long nobody waits.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What the headers of a request may take, with room for a proxy's.
const MAX_HEADERS: u32 = 16 * 1024;

/// Calls that were reset before they were looked at, in a row, before the connection is
/// ended as an attack. When this process was stopped for a while it finds those whose time
/// ran out meanwhile; the library's own limit is 20, and costs all others of the connection.
const MAX_RESETS: usize = 1024;

/// What a client may send before it is looked at, on a connection and on each stream of it.
/// The library would allow 1 MiB. It also bounds how many small frames of data may wait, by
/// one for each 512 bytes: there must be some for each call.
const WINDOW: u32 = 256 * 1024;
const WINDOW_PER_CALL: u32 = 1024;
/// The protocol's.
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// Streams that a client's errors may cost, before its connection is ended: 50 times what a
/// client in order needs in its life.
const MAX_ERRORS: usize = 1024;

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
    let deadline = Instant::now() + shared.limits.handshake_timeout.min(NEVER);
    let served = async {
        let Some(tls) = &shared.tls else { return serve_http(stream, deadline, &shared).await };
        let handshake = timeout_at(deadline, tls.accept(stream));
        let too_slow = || io::Error::new(io::ErrorKind::TimedOut, "no TLS in time");
        let stream = tokio::select! {
            stream = handshake => stream.unwrap_or_else(|_| Err(too_slow())),
            () = stopped_for(&shared, GOODBYE) => return Ok(()),
        };
        match stream {
            Ok(stream) => serve_http(stream, deadline, &shared).await,
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

/// Waits until the server has been stopping for this long.
async fn stopped_for(shared: &Shared, period: Duration) {
    Run::Drain.reaches(&mut shared.run.clone()).await;
    sleep(period).await;
}

/// Serves a client that begins until the deadline.
async fn serve_http<S>(stream: S, deadline: Instant, shared: &Arc<Shared>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = shared.limits.transfer_timeout;
    let activity = Activity::new(patience);
    let share = shared.memory.share();
    let service = service_fn(|request| {
        let (shared, busy, share) = (Arc::clone(shared), activity.begin(), Arc::clone(&share));
        async move { Ok::<_, Infallible>(calls::answer(shared, request, busy, share).await) }
    });
    let stream = Pace::new(stream, deadline, patience);
    let stream = TokioIo::new(Linger::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(http2(shared).serve_connection(stream, service));
    let mut overdue = pin!(activity.overdue());
    let mut run = shared.run.clone();
    tokio::select! {
        served = &mut connection => return served.map_err(io::Error::other),
        () = &mut overdue => return Err(overdue_reply()),
        () = Run::Drain.reaches(&mut run) => {}
        () = activity.idle_for(shared.service.idle_timeout()) => {}
    }
    // What runs goes on to its end; the client is told to begin nothing more here.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        served = connection => served.map_err(io::Error::other),
        () = overdue => Err(overdue_reply()),
        () = activity.without_calls_for(GOODBYE) => Ok(()),
    }
}

fn overdue_reply() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client did not take a reply in time")
}

fn http2(shared: &Shared) -> http2::Builder<Streams> {
    let Limits { max_concurrent_streams, .. } = shared.limits;
    let window = max_concurrent_streams.saturating_mul(WINDOW_PER_CALL);
    let window = window.clamp(WINDOW, MAX_WINDOW);
    let mut builder = http2::Builder::new(Streams(shared.run.clone()));
    builder
        .timer(TokioTimer::new())
        .initial_connection_window_size(window)
        .initial_stream_window_size(window)
        .max_concurrent_streams(max_concurrent_streams)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_ERRORS)
        .max_header_list_size(MAX_HEADERS)
        .auto_date_header(false)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
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
