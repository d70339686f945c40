//! The points of a request where plugins are asked.
//!
//! A hook is a type that implements [`Hook`]: it ties the hook's name to what
//! goes out and to what may come back in place of it. The built-in ones follow
//! the reference's hook models; plugin authors add their own the same way and
//! register them in a [`HookRegistry`].
//!
//! Payloads have public fields, `new` with what is required and `with_*` for
//! the rest. Optional fields that are not set are left out on the wire; absent
//! and null are the same when reading. `Debug` shows names and sizes only.
//!
//! ```
//! use hookwire::hooks::{Hook, HookRegistry, ToolPreInvoke, ToolPreInvokePayload};
//! use serde::{Deserialize, Serialize};
//!
//! let payload = ToolPreInvokePayload::new("search");
//! assert!(HookRegistry::builtin().contains(ToolPreInvoke::NAME));
//!
//! // A hook of one's own:
//! enum InvoiceCheck {}
//!
//! #[derive(Serialize, Deserialize)]
//! struct Invoice {
//!     total: f64,
//! }
//!
//! impl Hook for InvoiceCheck {
//!     const NAME: &'static str = "invoice_check";
//!     type Payload = Invoice;
//!     type Result = Invoice;
//! }
//!
//! let mut registry = HookRegistry::builtin();
//! registry.register_hook::<InvoiceCheck>();
//! ```

mod agent;
mod auth;
mod content;
mod delegation;
mod http;
mod identity;
mod message;
mod prompt;
mod registry;
mod resource;
mod tool;

use serde::{Serialize, de::DeserializeOwned};

pub use agent::{AgentPostInvoke, AgentPostInvokePayload, AgentPreInvoke, AgentPreInvokePayload};
pub use auth::{
    HttpAuthCheckPermission, HttpAuthCheckPermissionPayload, HttpAuthResolveUser,
    HttpAuthResolveUserPayload, PermissionDecision,
};
pub use content::ContentPart;
pub use delegation::{DelegatedToken, RouteAttenuation, TokenDelegate, TokenDelegatePayload};
pub use http::{HttpPostRequest, HttpPostRequestPayload, HttpPreRequest, HttpPreRequestPayload};
pub use identity::{IdentityResolve, IdentityResolvePayload, ResolvedIdentity};
pub use message::{
    CmfLlmInput, CmfLlmOutput, CmfPromptPostFetch, CmfPromptPreFetch, CmfResourcePostFetch,
    CmfResourcePreFetch, CmfToolPostInvoke, CmfToolPreInvoke, Evaluate, Message, MessagePayload,
};
pub use prompt::{PromptPostFetch, PromptPostFetchPayload, PromptPreFetch, PromptPreFetchPayload};
pub use registry::HookRegistry;
pub use resource::{
    ResourcePostFetch, ResourcePostFetchPayload, ResourcePreFetch, ResourcePreFetchPayload,
};
pub use tool::{ToolPostInvoke, ToolPostInvokePayload, ToolPreInvoke, ToolPreInvokePayload};

/// A hook: its name on the wire and its types. See the [module](self) for an example.
///
/// Never made into a value; an uninhabited enum is enough. Its types can be moved and
/// shared between threads, so that a gateway generic over its hooks can spawn the calls:
///
/// ```
/// use hookwire::{Hook, PluginContext, PluginHandle};
///
/// fn call<H: Hook + 'static>(guard: PluginHandle, payload: H::Payload) {
///     tokio::spawn(async move {
///         let mut context = PluginContext::new("request-1");
///         guard.invoke_hook::<H>(&payload, &mut context).await.is_ok_and(|r| r.is_allowed())
///     });
/// }
/// ```
pub trait Hook {
    /// The hook type on the wire, such as `tool_pre_invoke`. Not empty.
    const NAME: &'static str;
    /// What goes to the plugin; it serialises to a JSON object.
    type Payload: Serialize + Send + Sync;
    /// What a plugin may answer in [`modified_payload`](crate::PluginResult::modified_payload).
    type Result: DeserializeOwned + Send + Sync;
}

/// Declares a built-in hook: its marker type, name, payload and result.
macro_rules! hook {
    ($(#[$doc:meta])* $marker:ident = $name:literal, $payload:ty => $result:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $marker {}

        impl $crate::hooks::Hook for $marker {
            const NAME: &'static str = $name;
            type Payload = $payload;
            type Result = $result;
        }
    };
}

use hook;

#[cfg(test)]
mod tests;
