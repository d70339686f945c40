//! Parts of what errors tell, with the numbers and names that they have.

use std::{io, sync::Arc};

use super::PluginFault;

/// How a server ended a call whose connection is there still. Beside
/// [`Disconnected`](super::Cause::Disconnected), inside of its error.
#[cfg(feature = "grpc")]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Ended(pub(crate) String);

/// Where slots for calls are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slots {
    /// On up to `max_connections` sockets.
    OfSockets,
    /// On each server, which has one connection.
    #[cfg(feature = "grpc")]
    OfServers,
}

/// What a plugin did that answered with an error.
pub(super) fn answered(fault: &PluginFault) -> &'static str {
    if fault.is_denial() {
        "denied the request, and its server reported an error beside that"
    } else {
        "reported an error"
    }
}

/// That the connection was lost, or, over gRPC, how the call alone ended.
pub(super) fn lost(error: &io::Error) -> String {
    #[cfg(feature = "grpc")]
    if error.get_ref().is_some_and(|error| error.is::<Ended>()) {
        return error.to_string();
    }
    format!("the connection was lost: {error}")
}

/// That there is no slot left for a call.
pub(super) fn taken(places: usize) -> String {
    match places {
        1 => "the only slot for a call is taken".to_owned(),
        _ => format!("all {places} slots for calls are taken"),
    }
}

/// Why a call without a slot does not wait for one, and what to do.
pub(super) fn no_wait(waiting: usize, queue_capacity: &Option<usize>, slots: Slots) -> String {
    // With what goes before them in a list.
    let (raise, or_raise) = match slots {
        Slots::OfSockets => {
            ("`max_connections` or `max_in_flight`", ", `max_connections` or `max_in_flight`")
        }
        #[cfg(feature = "grpc")]
        Slots::OfServers => ("`max_in_flight`", " or `max_in_flight`"),
    };
    match queue_capacity {
        None => {
            format!(" and the call chose not to wait; raise {raise}, send less, or let calls wait")
        }
        Some(0) => format!(
            " and `queue_capacity` is 0, so no call may wait; raise it{or_raise}, or send less"
        ),
        Some(_) => {
            let calls = counted(waiting, "call waits", "calls wait");
            format!(", and {calls} already; raise `queue_capacity`{or_raise}, or send less")
        }
    }
}

/// How often it was tried, in words that go before "failed".
pub(super) fn in_a_row(attempts: u32) -> String {
    match attempts {
        1 => "1 attempt".to_owned(),
        _ => format!("{attempts} attempts in a row"),
    }
}

/// `1 call`, `2 calls`.
pub(super) fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// What kept a call from being sent, if it is known.
pub(super) fn not_connected(last_error: &Option<Arc<io::Error>>) -> String {
    last_error.as_ref().map_or_else(String::new, |error| format!("; not connected: {error}"))
}

/// The name that may have been meant.
pub(super) fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`?"))
}

/// A plugin's message, and its codes, of which there may be one only.
pub(super) fn in_its_words(fault: &PluginFault) -> String {
    let PluginFault { message, code, mcp_error_code, .. } = fault;
    let message = match message.as_str() {
        "" => " without a message".to_owned(),
        message => format!(": {message}"),
    };
    let code = match code.as_str() {
        "" => String::new(),
        code => format!("code `{code}`, "),
    };
    format!("{message} ({code}mcp_error_code {mcp_error_code})")
}
