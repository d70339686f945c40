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
//!     type Modified = Invoice;
//! }
//!
//! let registry = HookRegistry::builtin().register_hook::<InvoiceCheck>();
//! assert!(registry.contains("invoice_check"));
//! ```
//!
//! A hook whose answer is a decision of its own, beside
//! [`continue_processing`](crate::PluginResult), tells by [`Hook::refusal`] which answers
//! are denials.

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

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::model::PluginViolation;

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
/// fn is_allowed<H: Hook>(guard: PluginHandle, payload: H::Payload)
/// where
///     H::Payload: 'static,
/// {
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
    /// What a plugin that allows may answer: mostly, what to go on with in place of the
    /// payload.
    type Modified: DeserializeOwned + Send + Sync;

    /// The denial inside an answer that formally allows. Default: none.
    ///
    /// A permission that is not granted, or an identity that is rejected, stops the
    /// request as a denial does, and everything here treats it as one:
    /// [`PluginResult::is_allowed`](crate::PluginResult::is_allowed), counters, spans.
    fn refusal(modified: &Self::Modified) -> Option<PluginViolation> {
        let _ = modified;
        None
    }

    /// [`refusal`](Self::refusal) for calls by name, whose answers are JSON.
    ///
    /// Default: what `refusal` finds in an answer that deserialises; one that does not is
    /// the caller's to judge.
    fn refusal_json(modified: &Value) -> Option<PluginViolation> {
        Self::Modified::deserialize(modified).ok().and_then(|modified| Self::refusal(&modified))
    }
}

/// A hook whose answer changes its payload, so that
/// [`enforce`](crate::PluginHandle::enforce) can give back the one to go on with.
///
/// Every hook that answers in its payload's own type is one: the answer replaces the
/// payload.
///
/// ```
/// use hookwire::hooks::{Applies, HttpPreRequest, HttpPreRequestPayload};
///
/// // Plugins answer with the headers that change, in any case.
/// let mut payload = HttpPreRequestPayload::new("/mcp", "POST")
///     .with_headers([("Accept".to_owned(), "*/*".to_owned())].into());
/// HttpPreRequest::apply(&mut payload, [("accept".to_owned(), "text/html".to_owned())].into());
/// assert_eq!(payload.headers, [("accept".to_owned(), "text/html".to_owned())].into());
/// ```
pub trait Applies: Hook {
    /// Applies what a plugin answered.
    fn apply(payload: &mut Self::Payload, modified: Self::Modified);
}

impl<P, H: Hook<Payload = P, Modified = P>> Applies for H {
    fn apply(payload: &mut P, modified: P) {
        *payload = modified;
    }
}

/// Declares a built-in hook: its marker type, name, payload and answer; and which
/// answers are refusals, where some are.
macro_rules! hook {
    ($(#[$doc:meta])* $marker:ident = $name:literal, $payload:ty => $modified:ty) => {
        hook! {
            $(#[$doc])* $marker = $name, $payload => $modified;
            refusal: |_| None, refusal_json: |_| None
        }
    };
    (
        $(#[$doc:meta])* $marker:ident = $name:literal, $payload:ty => $modified:ty;
        refusal: $refusal:expr, refusal_json: $refusal_json:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $marker {}

        impl $crate::hooks::Hook for $marker {
            const NAME: &'static str = $name;
            type Payload = $payload;
            type Modified = $modified;

            fn refusal(modified: &$modified) -> Option<$crate::PluginViolation> {
                let refusal: fn(&$modified) -> Option<$crate::PluginViolation> = $refusal;
                refusal(modified)
            }

            // Nothing is deserialised for an answer that cannot refuse.
            fn refusal_json(modified: &serde_json::Value) -> Option<$crate::PluginViolation> {
                let refusal: fn(&serde_json::Value) -> Option<$crate::PluginViolation> =
                    $refusal_json;
                refusal(modified)
            }
        }
    };
}

use hook;

#[cfg(test)]
mod tests;
