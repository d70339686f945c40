//! Why a socket closed.

use std::io;
use std::sync::Arc;

use super::slot::Suspicion;
use crate::error::Cause;

#[derive(Debug, Clone)]
pub(crate) enum Closed {
    /// The server closed it between two frames.
    Eof,
    Io(Arc<io::Error>),
    /// The bytes are no frames, or end within one.
    Framing(Arc<io::Error>),
    /// A reply came that nobody asked for, or before its request had left.
    Unasked,
    /// The oldest reply was overdue beyond `stall_limit`; `probe`: that to a probe.
    Overdue {
        probe: bool,
    },
    /// A caller, or the probe, found a reply on it that cannot be trusted.
    Suspect(Suspicion),
    /// It was not used for `idle_timeout`.
    Idle,
    /// Another server has its path, or it was older than `max_connection_age`; all that was
    /// under way on it is answered.
    Retired,
    /// The handle was shut down, or the last one dropped.
    Shutdown,
    /// Its task ended unasked: the runtime is gone.
    TaskGone,
}

impl Closed {
    /// True if the server ended it, and so was done with it.
    pub(crate) fn by_server(&self) -> bool {
        matches!(self, Self::Eof | Self::Io(_))
    }

    /// True if the server was at the oldest request when the socket ended, and cannot come
    /// to those behind it: it ended the socket itself, or will find that it cannot write
    /// to it. That is so for servers that work in order.
    pub(crate) fn keeps_order(&self) -> bool {
        self.by_server() || matches!(self, Self::Overdue { .. })
    }

    /// What those learn whose requests were on their way.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Shutdown => Cause::Shutdown,
            Self::TaskGone => Cause::TaskGone,
            Self::Suspect(suspicion) => Cause::ClosedAfterFault(suspicion.as_str()),
            Self::Framing(error) => Cause::Framing(Arc::clone(error)),
            Self::Unasked => Cause::Framing(self.error()),
            Self::Eof | Self::Io(_) | Self::Overdue { .. } | Self::Idle | Self::Retired => {
                Cause::Disconnected(self.error())
            }
        }
    }

    /// As an error, for those who ask why there is no connection.
    pub(crate) fn error(&self) -> Arc<io::Error> {
        let (kind, reason) = match self {
            Self::Io(error) | Self::Framing(error) => return Arc::clone(error),
            Self::Eof => (io::ErrorKind::UnexpectedEof, "the server closed the connection"),
            Self::Unasked => {
                (io::ErrorKind::InvalidData, "the server sent a reply that nobody had asked for")
            }
            Self::Overdue { probe: false } => {
                (io::ErrorKind::TimedOut, "the plugin's reply was overdue beyond `stall_limit`")
            }
            Self::Overdue { probe: true } => (
                io::ErrorKind::TimedOut,
                "the server left a keep-alive probe without a reply for `stall_limit`",
            ),
            Self::Suspect(_) | Self::Idle | Self::Retired | Self::Shutdown | Self::TaskGone => {
                (io::ErrorKind::Other, "the last connection was given up")
            }
        };
        Arc::new(io::Error::new(kind, reason))
    }
}
