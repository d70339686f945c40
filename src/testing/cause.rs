//! A typical cause for each reason.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::details::Details;
use crate::config::{Difference, PluginMode};
use crate::error::{Cause, PluginFault, Slots, Stage};
use crate::model::{PluginResult, PluginViolation};
use crate::server::HandlerError;
use crate::trust::Refusal;
use crate::unix::closed::Closed;
use crate::unix::slot::Suspicion;
use crate::wire::codec::DEFAULT_MAX_FRAME_LEN;
use crate::wire::{DecodeError, EncodeError, TypeMessage};

/// The time of a call, by default.
const TIMEOUT: Duration = Duration::from_secs(35);

/// The cause with this reason, with the details that it has.
pub(super) fn of(reason: &str, plugin: &str, details: &mut Details) -> Cause {
    match reason {
        "name_mismatch" => {
            Cause::NameMismatch { configured: plugin.to_owned(), found: other_case(plugin) }
        }
        "disabled" => Cause::Disabled,
        "weaker_server" => {
            let (here, server) = (PluginMode::Sequential, PluginMode::Audit);
            Cause::WeakerServer(Difference::Mode { here, server }.to_string().into())
        }
        "unchecked" => Cause::Unchecked,
        "no_hooks" => Cause::NoHooks,
        "connector_over_grpc" => Cause::ConnectorOverGrpc,
        "unregistered_hook" => Cause::UnregisteredHook {
            name: "tool_pre_invok".to_owned(),
            nearest: Some("tool_pre_invoke".to_owned()),
        },
        "unimplemented" => {
            Cause::Unimplemented("the server answered UNIMPLEMENTED: Method not found!".into())
        }
        "invalid_request" => Cause::InvalidRequest(EncodeError::Within {
            place: "payload.args".to_owned(),
            why: Box::new(EncodeError::BigInteger),
        }),
        "request_too_large" => {
            Cause::RequestTooLarge { size: DEFAULT_MAX_FRAME_LEN + 1, limit: DEFAULT_MAX_FRAME_LEN }
        }
        "overloaded" => {
            let (queue_capacity, slots) = (Some(1024), Slots::OfSockets);
            Cause::Overloaded { places: 128, waiting: 1024, queue_capacity, slots }
        }
        "unavailable" | "untrusted" => unreachable(reason, details),
        "unresponsive" => {
            Cause::Unresponsive { missing: 5, retry_after: details.retry_after.take() }
        }
        "disconnected" => Cause::Disconnected(lost(details)),
        "closed_after_fault" => Cause::ClosedAfterFault(Suspicion::Mismatch.as_str()),
        "retry_budget_spent" => {
            Cause::RetryBudgetSpent(Box::new(Cause::Disconnected(lost(details))))
        }
        "timeout" => Cause::Timeout {
            timeout: details.timeout.take().unwrap_or(TIMEOUT),
            stage: details.stage.take().unwrap_or(Stage::InFlight),
            last_error: details.io_error.take(),
        },
        "framing" => Cause::Framing(details.io_error.take().unwrap_or_else(broken_frame)),
        "mismatch" => Cause::Mismatch { field: "request_id" },
        "unproven" => Cause::Unproven,
        "undecodable" => Cause::Undecodable(DecodeError::Malformed("wire type").to_string()),
        "wrong_type" => Cause::RefusedByType(TypeMessage::new("unexpected value")),
        "empty_reply" => Cause::EmptyReply,
        "plugin_error" => Cause::Plugin(Box::new(fault(plugin, details))),
        "denied" => {
            let denial = details.violation.take().unwrap_or_else(|| PluginViolation::new("DENIED"));
            let refusal = Some(Box::new(PluginResult::deny(denial)));
            Cause::Plugin(Box::new(PluginFault { refusal, ..fault(plugin, details) }))
        }
        "shutdown" => Cause::Shutdown,
        "task_gone" => Cause::TaskGone,
        unknown => panic!("nothing is known of the reason `{unknown}`"),
    }
}

/// Nobody is there, or somebody who is not trusted.
fn unreachable(reason: &str, details: &mut Details) -> Cause {
    let attempts = details.attempts.take().unwrap_or(3);
    let retry_after = details.retry_after.take();
    let io_error = details.io_error.take();
    if reason == "untrusted" {
        let refusal = || Refusal::User { found: 1000, expected: "0".to_owned() };
        let error = io_error.unwrap_or_else(|| Arc::new(refusal().into()));
        return Cause::Untrusted { attempts, error, retry_after };
    }
    let nobody = || io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens there");
    let error = io_error.unwrap_or_else(|| Arc::new(nobody()));
    Cause::Unavailable { attempts, error, retry_after }
}

/// What ended the connection.
fn lost(details: &mut Details) -> Arc<io::Error> {
    details.io_error.take().unwrap_or_else(|| Closed::Eof.error())
}

fn broken_frame() -> Arc<io::Error> {
    Arc::new(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within a frame"))
}

fn fault(plugin: &str, details: &mut Details) -> PluginFault {
    let fault = details.fault.take();
    let fault = fault.unwrap_or_else(|| HandlerError::new("the plugin is broken"));
    PluginFault {
        message: fault.message,
        plugin_name: fault.plugin_name.unwrap_or_else(|| plugin.to_owned()),
        code: fault.code,
        details: fault.details,
        mcp_error_code: fault.mcp_error_code,
        refusal: None,
    }
}

/// The name as a server may spell it that ignores case in questions.
fn other_case(plugin: &str) -> String {
    match plugin.to_lowercase() {
        lower if lower != plugin => lower,
        _ => plugin.to_uppercase(),
    }
}
