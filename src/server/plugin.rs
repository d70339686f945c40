//! What the server asks of a plugin: its hooks, and an answer to a call.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::HandlerError;
use super::reply::{self, Returned};
use super::request::HookRequest;
use crate::config::BigIntegers;
use crate::model::{PluginContext, PluginResult};
use crate::wire::EncodeError;
use crate::wire::request::EncodedFrame;

/// The future of a hook call.
pub type HookFuture<'a> =
    Pin<Box<dyn Future<Output = Result<HookReply, HandlerError>> + Send + 'a>>;

/// A plugin, as the server sees it.
///
/// [`Handlers`](super::Handlers) is one made of functions. Implement the trait to
/// borrow from the plugin while it answers, or to serve hooks that are not known
/// before they are called.
///
/// ```
/// use hookwire::hooks::ToolPreInvokePayload;
/// use hookwire::server::{HookCall, HookFuture, Plugin};
/// use hookwire::{PluginResult, PluginViolation};
///
/// struct Denylist {
///     tools: Vec<String>,
/// }
///
/// impl Plugin for Denylist {
///     fn hooks(&self) -> Vec<String> {
///         vec!["tool_pre_invoke".to_owned()]
///     }
///
///     fn invoke<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
///         Box::pin(async move {
///             let payload: ToolPreInvokePayload = call.payload()?;
///             let result: PluginResult<ToolPreInvokePayload> = if self.tools.contains(&payload.name) {
///                 PluginResult::deny(PluginViolation::new("DENYLIST").with_reason("denied").with_description("on the list"))
///             } else {
///                 PluginResult::allow()
///             };
///             call.reply(&result)
///         })
///     }
/// }
/// ```
pub trait Plugin: Send + Sync + 'static {
    /// The hook types that it serves, as its configuration lists them. Asked
    /// once, when the server is built.
    fn hooks(&self) -> Vec<String>;

    /// Runs a hook. A hook type that it does not serve is answered with
    /// [`HookCall::unknown_hook`].
    fn invoke<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a>;
}

impl<P: Plugin + ?Sized> Plugin for Arc<P> {
    fn hooks(&self) -> Vec<String> {
        (**self).hooks()
    }

    fn invoke<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
        (**self).invoke(call)
    }
}

/// A call of a hook, still encoded: it is read into the types that the plugin
/// asks for, and replied to in the types that it has. See [`Plugin`].
pub struct HookCall<'a> {
    request: &'a HookRequest<'a>,
    big_integers: BigIntegers,
}

impl<'a> HookCall<'a> {
    pub(super) fn new(request: &'a HookRequest<'a>, big_integers: BigIntegers) -> Self {
        Self { request, big_integers }
    }

    /// The hook type, such as `tool_pre_invoke`.
    #[must_use]
    pub fn hook_type(&self) -> &'a str {
        self.request.hook_type
    }

    /// The plugin that is called.
    #[must_use]
    pub fn plugin_name(&self) -> &'a str {
        self.request.plugin
    }

    /// Reads the payload. An absent one reads as an object without keys.
    ///
    /// # Errors
    /// If the payload does not fit `T`. The error tells what was found and expected, not
    /// where and not the value; only the words of `T`'s own `Deserialize` may quote it.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, HandlerError> {
        self.request.read_payload().map_err(|error| {
            let hook = self.hook_type();
            HandlerError::new(format!("the payload of `{hook}` cannot be read: {error}"))
        })
    }

    /// Reads the context. An absent one reads as an empty one.
    ///
    /// # Errors
    /// If a field of it is encoded as another type than the protocol's.
    pub fn context(&self) -> Result<PluginContext, HandlerError> {
        self.request
            .read_context()
            .map_err(|error| HandlerError::new(format!("the context cannot be read: {error}")))
    }

    /// Replies, with the context as it came.
    ///
    /// # Errors
    /// If the result cannot be encoded: it nests too deep, a number is not finite, or an
    /// integer is beyond ±2^53.
    pub fn reply<R: Serialize>(&self, result: &PluginResult<R>) -> Result<HookReply, HandlerError> {
        let context = match self.request.carries_state() {
            true => Returned::Unchanged(&self.request.context),
            false => Returned::Nothing,
        };
        self.encode(result, context)
    }

    /// Replies, with a context that may have been changed.
    ///
    /// It must keep what is under [`STAMP_KEY`](crate::model::STAMP_KEY) in its
    /// metadata: callers that use stamps take no reply without it.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn reply_with_context<R: Serialize>(
        &self,
        result: &PluginResult<R>,
        context: &PluginContext,
    ) -> Result<HookReply, HandlerError> {
        let objects = [&context.state, &context.metadata, &context.global_context.state];
        let returned = match objects.iter().all(|object| object.is_empty()) {
            true => Returned::Nothing,
            false => Returned::Changed(context),
        };
        self.encode(result, returned)
    }

    fn encode<R: Serialize>(
        &self,
        result: &PluginResult<R>,
        context: Returned<'_>,
    ) -> Result<HookReply, HandlerError> {
        let request = self.request;
        reply::result(request.plugin, result, context, self.big_integers, request.payload.len())
            .map(HookReply)
            .map_err(unencodable)
    }

    /// The error for a hook type that the plugin does not serve, in the words of
    /// the reference server.
    #[must_use]
    pub fn unknown_hook(&self) -> HandlerError {
        unknown_hook(self.hook_type(), self.plugin_name())
    }
}

pub(super) fn unknown_hook(hook: &str, plugin: &str) -> HandlerError {
    HandlerError::new(format!(
        "Unable to find {hook} for plugin {plugin}.  Make sure the plugin is registered."
    ))
}

fn unencodable(error: EncodeError) -> HandlerError {
    HandlerError::internal(format!("the plugin's reply cannot be sent: {error}"))
}

impl fmt::Debug for HookCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookCall")
            .field("hook_type", &self.hook_type())
            .field("plugin_name", &self.plugin_name())
            .finish_non_exhaustive()
    }
}

/// An encoded reply, made by [`HookCall::reply`] or [`HookCall::reply_with_context`].
pub struct HookReply(pub(super) EncodedFrame);

impl fmt::Debug for HookReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HookReply({} bytes)", self.0.len())
    }
}
