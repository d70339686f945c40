//! Why a request or a result ends here, as the gateway and its client are told.

use hookwire::ErrorKind;
use hookwire_gateway::{HaltReason, Halted};
use serde_json::{Value, json};

use crate::method::Method;
use crate::proto::AuthorizationError;
use crate::proto::authorization_error::Code;

const INVALID_PARAMS: i64 = -32602;
const INTERNAL_ERROR: i64 = -32603;

/// Why it ends. Whatever it is, the gateway gets an error and not a failed call: that would be its
/// `failureMode`'s to judge, and a client could send what makes the call fail.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A plugin denied, or could not be asked.
    Halted(Box<Halted>),
    /// The time of the gateway's call is over, for all runs of the chain together.
    OutOfTime,
    /// The message is not what its method has.
    Malformed(&'static str),
    /// A tool works on as a task, whose result would come by a method that no plugin checks.
    Task,
    /// A plugin changed what cannot be changed here, or into what the method cannot have.
    Unsayable(&'static str),
    /// The result of a request that is not known.
    NotKept,
    /// The gateway's configuration tells what nobody can use.
    Misconfigured(&'static str),
}

impl Refusal {
    /// What the gateway is told; its client sees all of it. No payload, no path, and no words of a
    /// plugin but those of a denial that are meant for the client.
    pub(crate) fn to_error(&self) -> AuthorizationError {
        let reason = self.reason();
        let error = json!({"code": self.json_rpc_code(), "message": reason, "data": self.data()});
        AuthorizationError {
            code: self.code().into(),
            reason: reason.to_owned(),
            mcp_error: Some(error.to_string().into()),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Halted(halted) => match halted.reason() {
                _ if halted.http_status() == 429 => Code::ResourceExhausted,
                HaltReason::Denied(_) => Code::PermissionDenied,
                HaltReason::TooLarge(_) => Code::Invalid,
                HaltReason::Failed(error) => match error.kind() {
                    ErrorKind::InvalidRequest => Code::Invalid,
                    ErrorKind::Overloaded => Code::ResourceExhausted,
                    _ => Code::Unknown,
                },
                _ => Code::Unknown,
            },
            Self::Malformed(_) | Self::Task => Code::Invalid,
            Self::OutOfTime | Self::Unsayable(_) | Self::NotKept | Self::Misconfigured(_) => {
                Code::Unknown
            }
        }
    }

    fn json_rpc_code(&self) -> i64 {
        match self {
            Self::Halted(halted) => halted.json_rpc_code(),
            Self::Malformed(_) | Self::Task => INVALID_PARAMS,
            Self::OutOfTime | Self::Unsayable(_) | Self::NotKept | Self::Misconfigured(_) => {
                INTERNAL_ERROR
            }
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Halted(halted) => halted.public_message(),
            Self::OutOfTime => "the plugins that check requests did not answer in time",
            Self::Malformed(what) => what,
            Self::Task => "the result of a task cannot be checked; call the tool without one",
            Self::Unsayable(_) => "a plugin that checks requests gave no valid answer",
            Self::NotKept => "the result cannot be checked: its request is not known",
            Self::Misconfigured(_) => "a plugin of this gateway is not set up correctly",
        }
    }

    /// For programs.
    fn data(&self) -> Value {
        let halted = match self {
            Self::Halted(halted) => halted,
            Self::OutOfTime => return json!({"code": ErrorKind::Timeout.as_str()}),
            Self::Malformed(_) => return json!({"code": "malformed"}),
            Self::Task => return json!({"code": "task"}),
            Self::Unsayable(_) => return json!({"code": ErrorKind::BadReply.as_str()}),
            Self::NotKept => return json!({"code": "request_not_known"}),
            Self::Misconfigured(_) => return json!({"code": ErrorKind::Config.as_str()}),
        };
        let mut data = json!({"code": halted.public_code(), "http_status": halted.http_status()});
        if let Some(delay) = halted.retry_after() {
            data["retry_after_ms"] = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).into();
        }
        let headers = halted.http_headers();
        if !headers.is_empty() {
            data["http_headers"] = json!(headers);
        }
        data
    }

    /// Tells the operator what the client is not told.
    pub(crate) fn log(&self, method: Method) {
        let method = method.name();
        match self {
            // The chain's own span tells of it.
            Self::Halted(halted) => {
                tracing::debug!(method, outcome = halted.outcome(), "refused");
            }
            Self::OutOfTime => tracing::debug!(method, "refused: out of time"),
            Self::Malformed(what) => tracing::debug!(method, what, "refused: malformed"),
            Self::Task => tracing::debug!(method, "refused: a task"),
            Self::Unsayable(what) => tracing::warn!(method, what, "a plugin's change is refused"),
            Self::Misconfigured(what) => {
                tracing::warn!(method, what, "the gateway's `metadata` cannot be used");
            }
            Self::NotKept => tracing::warn!(
                method,
                "a result came without its request, and is refused: the gateway must have phase \
                 `full` for this method, and `metadata: {{hookwire: mcpGuardrails.hookwire}}`"
            ),
        }
    }
}

impl From<Box<Halted>> for Refusal {
    fn from(halted: Box<Halted>) -> Self {
        Self::Halted(halted)
    }
}
