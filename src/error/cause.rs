//! What happened to a call, and what to do about it.

use std::{io, sync::Arc, time::Duration};

use super::phrases::{
    Slots, answered, did_you_mean, in_a_row, in_its_words, lost, no_wait, not_connected, taken,
};
use super::{ErrorKind, PluginFault, Stage};
use crate::trust::is_refusal;
use crate::wire::{EncodeError, TypeMessage};

/// What happened, without the plugin's name and endpoint, and without what
/// [comes next](Self::next).
///
/// `Display` is complete, the text of an inner error included, because that is what logs
/// print. So nothing here is a [`source`](std::error::Error::source): a log that prints
/// the chain would repeat it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Cause {
    /// `GetPluginConfig` ignores case, `InvokeHook` does not: every call would fail.
    #[error(
        "the server knows this plugin as `{found}`, configured is `{configured}`; hooks are looked up with exact case, so correct the configured name"
    )]
    NameMismatch {
        /// The configured name.
        configured: String,
        /// The name in the server's reply.
        found: String,
    },
    /// By `mode: disabled`, here or on the server.
    #[error("the plugin is disabled, so it is not called; leave it out, or give it another `mode`")]
    Disabled,
    /// `verify: strict`, and this contradiction lets requests pass.
    #[error("`verify` is strict, and the plugin's server is weaker than its entry here: {0}")]
    WeakerServer(Arc<str>),
    /// `verify: strict`, and the server has not told its entry.
    #[error("`verify` is strict, and the plugin's server has not told its own entry yet")]
    Unchecked,
    /// Nothing could ever be called.
    #[error(
        "no hooks are configured here or on the server; name them under `hooks`, or allow a plugin without hooks"
    )]
    NoHooks,
    /// The hook type is unknown to the registry.
    #[error(
        "hook type `{name}` is not registered{}; register it in the HookRegistry to use it",
        did_you_mean(.nearest)
    )]
    UnregisteredHook {
        /// The name that was called.
        name: String,
        /// The registered one that is most like it, if one is.
        nearest: Option<String>,
    },
    /// The request cannot be encoded.
    #[error("the request cannot be encoded: {0}")]
    InvalidRequest(EncodeError),
    /// The request is larger than a frame may be.
    #[error(
        "the request is {size} bytes, the limit is {limit}; send less or raise `max_frame_len` on both sides"
    )]
    RequestTooLarge {
        /// The size of the encoded request, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// As [`RequestTooLarge`](Self::RequestTooLarge), over gRPC.
    #[cfg(feature = "grpc")]
    #[error("the request is {size} bytes, {}", beyond(*limit))]
    MessageTooLarge {
        /// The size of the encoded request, in bytes.
        size: usize,
        /// The limit, in bytes; `None` for that of a proxy, which does not tell.
        limit: Option<usize>,
    },
    /// The handle was made with a connector, and the plugin is not reached over a socket.
    #[cfg_attr(not(any(feature = "grpc", feature = "testing", test)), allow(dead_code))]
    #[error(
        "the handle has a `connector`, which opens sockets, and the plugin is reached over gRPC; make it without one, or give the plugin a `unix_socket`"
    )]
    ConnectorOverGrpc,
    /// All slots for calls are taken, and this call could or would not wait for one.
    #[error("{}{}", taken(*places), no_wait(*waiting, .queue_capacity, *slots))]
    Overloaded {
        /// How many calls may be under way: `max_in_flight` on each connection.
        places: usize,
        /// How many calls waited for a slot when this one was refused.
        waiting: usize,
        /// How many may wait, as configured; `None` if this call chose
        /// `Overload::Refuse`.
        queue_capacity: Option<usize>,
        /// Which settings decide how many there are.
        slots: Slots,
    },
    /// No connection could be made.
    #[error("cannot connect ({} failed): {error}", in_a_row(*attempts))]
    Unavailable {
        /// Consecutive failed attempts, at the time of the answer.
        attempts: u32,
        /// The last attempt's error.
        error: Arc<io::Error>,
        /// How long until the next attempt, at the time of the answer; `None` while
        /// one is under way.
        retry_after: Option<Duration>,
    },
    /// There are connections, but the plugin does not answer: the call was not sent.
    #[error("the plugin does not answer (unanswered calls in a row: {missing})")]
    Unresponsive {
        /// Replies that did not come, since the last one that came in time.
        missing: u32,
        /// How long until the next call is let through on trial, at the time of the
        /// answer; `None` while one is under way.
        retry_after: Option<Duration>,
    },
    /// `peer_uids`, `peer_gids` or `trust_path` do not allow the server that listens there.
    /// No byte was sent to it. It is tried again in the background, as a plugin that is down.
    #[error("the plugin's server is not trusted ({} failed): {error}", in_a_row(*attempts))]
    Untrusted {
        /// Consecutive failed attempts, at the time of the answer.
        attempts: u32,
        /// What was found and what was expected, of the last attempt.
        error: Arc<io::Error>,
        /// As of [`Unavailable`](Self::Unavailable::retry_after).
        retry_after: Option<Duration>,
    },
    /// The connection ended while the call was on its way.
    #[error("{}", lost(.0))]
    Disconnected(Arc<io::Error>),
    /// The call's connection was lost; it was allowed to be sent again, but too many were
    /// in the last seconds. See `retry_budget` in the configuration.
    #[error("{0}; not sent again, the retry budget is spent")]
    RetryBudgetSpent(Box<Cause>),
    /// The connection was closed because of another call's reply.
    #[error("the connection was closed because {0}")]
    ClosedAfterFault(&'static str),
    /// The deadline passed.
    #[error("no reply within {timeout:?} ({stage}{})", not_connected(.last_error))]
    Timeout {
        /// The timeout of this call.
        timeout: Duration,
        /// Where the call was when its time ran out.
        stage: Stage,
        /// Why there was no connection at that moment, if the call waited for one: the
        /// error of the last attempt, or what ended the last connection.
        last_error: Option<Arc<io::Error>>,
    },
    /// The handle was shut down.
    #[error("the handle was shut down")]
    Shutdown,
    /// The server broke the framing rules.
    #[error("the server broke the framing: {0}")]
    Framing(Arc<io::Error>),
    /// The reply belongs to another request, so the connection was closed.
    #[error(
        "the reply is not for this request ({field} differs); it was discarded and the connection closed"
    )]
    Mismatch {
        /// The field that gave it away.
        field: &'static str,
    },
    /// The plugin is called with stamps and the reply brought none back, so it may
    /// belong to another request, and the connection was closed.
    #[error(
        "the reply does not bring back the stamp of this request, so it was discarded and the connection closed; the plugin must leave `hookwire.stamp` in its context's metadata, or be called without `stamp`"
    )]
    Unproven,
    /// The reply could not be understood. The connection was closed, unless the reply is the
    /// answer to this call, with a verdict, and only not of the type that was asked for.
    #[error("the reply could not be decoded: {0}")]
    Undecodable(String),
    /// The reply did not deserialise into the requested type, whose own `Deserialize` gives
    /// the reason. The connection is kept, as for [`Undecodable`](Self::Undecodable).
    #[error("the reply could not be decoded: its type's `Deserialize` failed: {0}")]
    RefusedByType(TypeMessage),
    /// The reply holds neither a result nor an error, so the connection was closed.
    #[error(
        "the reply holds neither a result nor an error; the server may not have understood the request"
    )]
    EmptyReply,
    /// The server does not know the method. Only one over gRPC can say so.
    #[cfg_attr(not(any(feature = "grpc", feature = "testing", test)), allow(dead_code))]
    #[error("{0}; is it a plugin server, and of the same version?")]
    Unimplemented(Arc<str>),
    /// The plugin answered with an error of its own.
    #[error("the plugin {}{}", answered(.0), in_its_words(.0))]
    Plugin(Box<PluginFault>),
    /// The task that owns the connection is gone.
    #[error("the connection's task is gone; was its runtime shut down?")]
    TaskGone,
}

impl Cause {
    /// There is no connection: nobody is there, or somebody who is not trusted.
    pub(crate) fn unreachable(
        attempts: u32,
        error: Arc<io::Error>,
        retry_after: Option<Duration>,
    ) -> Self {
        if is_refusal(&error) {
            Self::Untrusted { attempts, error, retry_after }
        } else {
            Self::Unavailable { attempts, error, retry_after }
        }
    }

    /// True if the connection was lost while the call was on its way: the same request
    /// may find another one.
    pub(crate) fn is_disconnect(&self) -> bool {
        matches!(self, Self::Disconnected(_) | Self::ClosedAfterFault(_) | Self::Framing(_))
    }

    /// How long until the plugin is tried again, of one that is down: `None` inside while it
    /// is being tried.
    pub(super) fn retry_after(&self) -> Option<Option<Duration>> {
        match self {
            Self::Unavailable { retry_after, .. }
            | Self::Untrusted { retry_after, .. }
            | Self::Unresponsive { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// When a plugin that is down is tried again, in words.
    pub(super) fn next(&self) -> Option<String> {
        let after = self.retry_after()?;
        let what = match self {
            Self::Unresponsive { .. } => "trial",
            _ => "attempt",
        };
        Some(match after {
            Some(after) => format!("the next {what} is due in {:.3} s", after.as_secs_f64()),
            None => format!("the next {what} is under way"),
        })
    }

    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Disabled => ErrorKind::Disabled,
            Self::NameMismatch { .. }
            | Self::WeakerServer(_)
            | Self::NoHooks
            | Self::ConnectorOverGrpc
            | Self::UnregisteredHook { .. }
            | Self::Unimplemented(_) => ErrorKind::Config,
            Self::InvalidRequest(_) | Self::RequestTooLarge { .. } => ErrorKind::InvalidRequest,
            #[cfg(feature = "grpc")]
            Self::MessageTooLarge { .. } => ErrorKind::InvalidRequest,
            Self::Overloaded { .. } => ErrorKind::Overloaded,
            Self::Unavailable { .. }
            | Self::Unresponsive { .. }
            | Self::Untrusted { .. }
            | Self::Unchecked => ErrorKind::Unavailable,
            Self::Disconnected(_) | Self::ClosedAfterFault(_) => ErrorKind::Disconnected,
            Self::RetryBudgetSpent(cause) => cause.kind(),
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Framing(_)
            | Self::Mismatch { .. }
            | Self::Unproven
            | Self::Undecodable(_)
            | Self::RefusedByType(_)
            | Self::EmptyReply => ErrorKind::BadReply,
            Self::Plugin(_) => ErrorKind::Plugin,
            Self::Shutdown | Self::TaskGone => ErrorKind::Closed,
        }
    }

    /// One of its kind's [`reasons`](ErrorKind::reasons).
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NameMismatch { .. } => "name_mismatch",
            Self::Disabled => "disabled",
            Self::WeakerServer(_) => "weaker_server",
            Self::Unchecked => "unchecked",
            Self::NoHooks => "no_hooks",
            Self::ConnectorOverGrpc => "connector_over_grpc",
            Self::UnregisteredHook { .. } => "unregistered_hook",
            Self::InvalidRequest(_) => "invalid_request",
            Self::RequestTooLarge { .. } => "request_too_large",
            #[cfg(feature = "grpc")]
            Self::MessageTooLarge { .. } => "request_too_large",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable { .. } => "unavailable",
            Self::Unresponsive { .. } => "unresponsive",
            Self::Untrusted { .. } => "untrusted",
            Self::Disconnected(_) => "disconnected",
            Self::ClosedAfterFault(_) => "closed_after_fault",
            Self::RetryBudgetSpent(_) => "retry_budget_spent",
            Self::Timeout { .. } => "timeout",
            Self::Framing(_) => "framing",
            Self::Mismatch { .. } => "mismatch",
            Self::Unproven => "unproven",
            Self::Undecodable(_) => "undecodable",
            Self::RefusedByType(_) => "wrong_type",
            Self::EmptyReply => "empty_reply",
            Self::Unimplemented(_) => "unimplemented",
            Self::Plugin(fault) if fault.is_denial() => "denied",
            Self::Plugin(_) => "plugin_error",
            Self::Shutdown => "shutdown",
            Self::TaskGone => "task_gone",
        }
    }

    pub(super) fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Unavailable { error, .. }
            | Self::Untrusted { error, .. }
            | Self::Disconnected(error)
            | Self::Framing(error) => Some(error),
            Self::Timeout { last_error, .. } => last_error.as_deref(),
            Self::RetryBudgetSpent(cause) => cause.io_error(),
            _ => None,
        }
    }

    /// For a gateway's own client. Constant, so it cannot quote anything.
    pub(super) fn public_message(&self) -> &'static str {
        match self {
            Self::NameMismatch { .. }
            | Self::Disabled
            | Self::WeakerServer(_)
            | Self::NoHooks
            | Self::ConnectorOverGrpc
            | Self::UnregisteredHook { .. }
            | Self::Unimplemented(_) => "a plugin of this gateway is not set up correctly",
            Self::InvalidRequest(_) => {
                "the request cannot be checked: it holds a value that plugins cannot be sent, such \
                 as a number beyond 2^53 or objects that nest too deep"
            }
            Self::RequestTooLarge { .. } => TOO_LARGE,
            #[cfg(feature = "grpc")]
            Self::MessageTooLarge { .. } => TOO_LARGE,
            Self::Overloaded { .. } => "too many requests at a time; try again later",
            Self::Unavailable { .. }
            | Self::Unresponsive { .. }
            | Self::Untrusted { .. }
            | Self::Unchecked => "a plugin that checks requests is not available; try again later",
            Self::Disconnected(_) | Self::ClosedAfterFault(_) | Self::RetryBudgetSpent(_) => {
                "the connection to a plugin that checks requests was lost"
            }
            Self::Timeout { .. } => "a plugin that checks requests did not answer in time",
            Self::Framing(_)
            | Self::Mismatch { .. }
            | Self::Unproven
            | Self::Undecodable(_)
            | Self::RefusedByType(_)
            | Self::EmptyReply => "a plugin that checks requests gave no valid answer",
            Self::Plugin(fault) if fault.is_denial() => {
                "a plugin that checks requests denied this one"
            }
            Self::Plugin(_) => "a plugin that checks requests failed",
            Self::Shutdown | Self::TaskGone => "the gateway is shutting down",
        }
    }
}

#[cfg(feature = "grpc")]
fn beyond(limit: Option<usize>) -> String {
    match limit {
        Some(limit) => format!(
            "the limit is {limit}; send less, or raise `max_message_len` where the server takes more (the reference's does not)"
        ),
        None => "and something on the way to the server takes no request of that size (HTTP 413); \
                 send less, or raise the proxy's limit"
            .to_owned(),
    }
}

const TOO_LARGE: &str = "the request is too large to be checked";
