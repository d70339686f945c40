//! How a connection begins: bytes, HTTP/2, and a first answer of the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use h2::client;
use http::Uri;
use http::uri::Scheme;

use super::check::{Trouble, check};
use super::link::{Cut, Link};
use super::met;
use super::sender::{Body, Sender};
use super::session::{MOST_RESETS, Session};
use super::status;
use crate::trust::{Refusal, is_refusal};
use crate::unix::connect::Connect;
use crate::unix::slot::Slot;

/// So much of a reply is kept here while its caller does not look at it.
const STREAM_WINDOW: u32 = 512 * 1024;
/// So much of all such replies. Where it is used up, all others on the connection wait: it is enough
/// for twice the calls that a plugin has by default.
pub(super) const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;

/// What still comes for streams that were left before their end costs what h2 allows for small
/// frames, for good: half of the window, of which a frame of data takes up to 256 bytes (h2 0.4.20).
/// Then it would end the connection, and with it all that is under way there.
const _: () = assert!(MOST_RESETS * LATE_FRAMES * 256 <= CONNECTION_WINDOW as u64 / 2);
/// Those that a late reply may come in.
const LATE_FRAMES: u64 = 5;

/// What the headers of a reply may take, and what is behind it.
const MAX_HEADERS: u32 = 16 * 1024;
/// Streams that are begun before the server has said how many it takes: what HTTP/2 advises servers
/// to take at least.
const FIRST_STREAMS: usize = 100;

pub(crate) type Opened = Result<Arc<Session>, Arc<io::Error>>;

/// Opens the connections of one way to a server.
pub(super) struct Opener {
    connector: Arc<dyn Connect>,
    /// Where the server is asked whether it is there.
    check: Uri,
    /// Whose bytes these are, where it is one plugin's alone.
    owner: Option<Arc<Slot>>,
    /// As many streams that were reset are remembered.
    resets: usize,
    /// The attempt that is under way has a stream to the server.
    is_reached: AtomicBool,
}

impl Opener {
    pub(super) fn new(
        connector: Arc<dyn Connect>,
        check: Uri,
        owner: Option<Arc<Slot>>,
        resets: usize,
    ) -> Self {
        Self { connector, check, owner, resets, is_reached: AtomicBool::new(false) }
    }

    pub(super) fn is_shared(&self) -> bool {
        self.owner.is_none()
    }

    fn is_tls(&self) -> bool {
        self.check.scheme() == Some(&Scheme::HTTPS)
    }

    /// Connects to a server, and asks whether it is there.
    ///
    /// # Cancel safety
    /// Dropped, nothing of it is left.
    pub(super) async fn open(&self) -> Opened {
        // With TLS 1.3 a server tells only after the handshake that it does not trust us.
        self.connect_and_ask().await.map_err(distrusted)
    }

    async fn connect_and_ask(&self) -> Opened {
        self.is_reached.store(false, Relaxed);
        let transport = self.connector.connect().await?;
        self.is_reached.store(true, Relaxed);
        let (link, cut) = Link::new(transport, self.owner.clone());
        let opened = self.ask(link, Arc::clone(&cut)).await;
        opened.map_err(|error| explained(error, self.is_tls(), &cut))
    }

    async fn ask(&self, link: Link, cut: Arc<Cut>) -> Opened {
        let mut http2 = client::Builder::new();
        http2.enable_push(false).max_header_list_size(MAX_HEADERS);
        http2.initial_max_send_streams(FIRST_STREAMS);
        // Each call that ends early resets its stream, for as long as the connection lives: what the
        // server still sends of them is no fault that a connection should end for.
        http2.max_local_error_reset_streams(None).max_concurrent_reset_streams(self.resets);
        http2.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        if self.connector.is_in_memory() {
            // h2 forgets them by the clock on the wall, and then answers what is late.
            http2.reset_stream_duration(Duration::MAX);
        }
        let handshake = http2.handshake::<_, Body>(link).await;
        let (sender, mut http2) = handshake.map_err(|error| status::into_io(&error))?;
        let sender = Sender::new(sender, Arc::clone(&cut));
        tokio::select! {
            // Why a connection has ended is told by the connection, not by a call that was on it.
            biased;
            ended = &mut http2 => {
                let ended = ended.err().map(|error| status::into_io(&error));
                return Err(Arc::new(ended.unwrap_or_else(|| {
                    let reason = "the server closed the connection before it answered";
                    io::Error::new(io::ErrorKind::UnexpectedEof, reason)
                })));
            }
            answer = check(sender.clone(), self.check.clone()) => {
                answer.map_err(Trouble::into_error)?;
            }
        }
        // Its settings have come before its answer.
        Ok(Session::start(sender, http2, cut, &self.check, self.is_shared()))
    }

    /// Why there is no connection after so long.
    pub(super) fn late(&self, patience: Duration) -> Arc<io::Error> {
        let words = match (self.is_reached.load(Relaxed), self.is_tls()) {
            (false, false) => {
                "no connection; is the address right, and does nothing on the way drop it?"
            }
            (false, true) => {
                "no connection, or no answer to TLS; is the address right, and does the server \
                 speak TLS there?"
            }
            (true, false) => {
                "no answer to `cpex.Health/Check`; is it a plugin server, without TLS (`tls`), that takes more connections?"
            }
            (true, true) => {
                "no answer to `cpex.Health/Check`; is it a plugin server that takes more connections?"
            }
        };
        let words = format!("within `connect_timeout` ({patience:?}) {words}");
        Arc::new(io::Error::new(io::ErrorKind::TimedOut, words))
    }
}

/// In place of what HTTP/2 makes of bytes that are none of its own, and of none at all.
fn explained(error: Arc<io::Error>, is_tls: bool, cut: &Cut) -> Arc<io::Error> {
    let words = match cut.received() {
        _ if is_refusal(&error) || error.kind() == io::ErrorKind::PermissionDenied => None,
        0 if is_tls => Some(met::SILENT_IN_TLS),
        0 => Some(met::SILENT),
        _ => met::met(cut.first()),
    };
    words.map_or(error.clone(), |words| Arc::new(io::Error::new(error.kind(), words)))
}

/// TLS that was refused, in the words for a server that is not trusted. The system's own
/// EACCES has no source, and is no such refusal.
fn distrusted(error: Arc<io::Error>) -> Arc<io::Error> {
    let is_tls = error.kind() == io::ErrorKind::PermissionDenied && error.get_ref().is_some();
    if is_tls && !is_refusal(&error) {
        Arc::new(Refusal::Server(error.to_string()).into())
    } else {
        error
    }
}
