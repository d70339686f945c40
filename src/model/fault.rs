//! A plugin's own error.

use std::fmt;

use super::{PluginResult, PluginViolation, Redacted};

/// A plugin's own error: why it could not run a hook.
///
/// Its `Debug` output shows the size of `message` and leaves `details` out: both
/// may quote the payload.
///
/// ```
/// # fn look(error: hookwire::PluginError) {
/// if let Some(fault) = error.plugin_fault() {
///     println!("`{}` failed with code `{}`", fault.plugin_name, fault.code);
///     // For the gateway's own client; `fault.message` may quote the payload.
///     println!("JSON-RPC error {}", fault.mcp_error_code);
/// }
/// # }
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct PluginFault {
    /// What went wrong, in the plugin's words.
    pub message: String,
    /// The plugin that failed; the called plugin where the reply names none.
    pub plugin_name: String,
    /// The plugin's own error code, often empty.
    pub code: String,
    /// Anything else about it.
    pub details: serde_json::Map<String, serde_json::Value>,
    /// The JSON-RPC error code for the gateway's client; −32603 where the reply has none.
    pub mcp_error_code: i32,
    /// What could be read of the verdict beside the error, if that is a denial.
    pub(crate) refusal: Option<Box<PluginResult<()>>>,
}

impl PluginFault {
    /// Whether the plugin denied the request all the same: the reply held the error beside
    /// (half of) a result that denies. The reference server answers so where it cannot write
    /// what a denial says about itself.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        self.refusal.is_some()
    }

    /// Why it was denied, as far as the half verdict tells.
    #[must_use]
    pub fn violation(&self) -> Option<&PluginViolation> {
        self.refusal.as_ref()?.violation()
    }
}

impl fmt::Debug for PluginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginFault")
            .field("message", &Redacted(&self.message))
            .field("plugin_name", &self.plugin_name)
            .field("code", &self.code)
            .field("mcp_error_code", &self.mcp_error_code)
            .field("is_denial", &self.is_denial())
            .finish_non_exhaustive()
    }
}
