//! Why a handler cannot answer.

use std::error::Error;
use std::fmt;

use crate::model::{Object, Redacted, setters};

/// JSON-RPC's "internal error", which the reference server uses for every failure.
pub(super) const INTERNAL_ERROR: i32 = -32603;

/// The code of failures that are the server's and not the plugin's.
pub(super) const INTERNAL_ERROR_CODE: &str = "INTERNAL_ERROR";

/// Why a hook could not be run, as the gateway is told.
///
/// Any error becomes one with `?`: its text is sent to the gateway, which may log
/// it, so it must not quote payloads or secrets. To refuse a request is no error
/// but a [denial](crate::PluginResult::deny).
///
/// ```
/// use hookwire::server::HandlerError;
///
/// fn limit(text: &str) -> Result<u32, HandlerError> {
///     let limit: u32 = text.parse()?;
///     if limit == 0 {
///         return Err(HandlerError::new("a limit of 0 lets nobody in").with_code("BAD_LIMIT"));
///     }
///     Ok(limit)
/// }
/// assert_eq!(limit("0").unwrap_err().code, "BAD_LIMIT");
/// assert_eq!(limit("x").unwrap_err().message, "invalid digit found in string");
/// ```
// No `std::error::Error`: it would collide with the conversion from every error.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct HandlerError {
    /// What went wrong. An empty message would be no error, and is replaced.
    pub message: String,
    /// A code for programs. Default: empty.
    pub code: String,
    /// The JSON-RPC error code for the gateway's client. Default: −32603.
    pub mcp_error_code: i32,
    /// The plugin that failed. Default: the one that was called.
    pub plugin_name: Option<String>,
    /// Anything else about it; the reference server never sends any.
    pub details: Object,
}

impl HandlerError {
    /// An error without a code.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: String::new(),
            mcp_error_code: INTERNAL_ERROR,
            plugin_name: None,
            details: Object::new(),
        }
    }

    /// A failure of the server: the reference names no plugin then.
    pub(super) fn internal(message: String) -> Self {
        Self {
            code: INTERNAL_ERROR_CODE.to_owned(),
            plugin_name: Some(String::new()),
            ..Self::new(message)
        }
    }
}

setters!(HandlerError {
    /// Sets the code.
    with_code(code: impl Into<String>) => code = code.into();
    /// Sets the JSON-RPC error code.
    with_mcp_error_code(code: i32) => mcp_error_code = code;
    /// Sets the plugin that failed.
    with_plugin_name(name: impl Into<String>) => plugin_name = Some(name.into());
    /// Sets the details.
    with_details(details: Object) => details = details;
});

impl<E: Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("message", &self.message)
            .field("code", &self.code)
            .field("mcp_error_code", &self.mcp_error_code)
            .field("plugin_name", &self.plugin_name)
            .field("details", &Redacted(&self.details))
            .finish()
    }
}
