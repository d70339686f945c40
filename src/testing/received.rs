//! The calls that came to a double.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::hooks::Hook;
use crate::model::{PluginContext, redacted_debug};
use crate::server::request::HookRequest;

/// How long calls are waited for: longer than a plugin that was down rests by default.
const LIMIT: Duration = Duration::from_secs(60);

/// A call that came to a [`Double`](super::Double), as it came.
///
/// `Debug` shows names and sizes only, as everywhere.
///
/// ```
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire::testing::Double;
/// use hookwire::{PluginContext, Stopped};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Stopped> {
/// let guard = Double::named("Guard").build();
/// let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust");
/// let mut context = PluginContext::new("request-1");
/// guard.handle().enforce::<ToolPreInvoke>(payload, &mut context).await?;
///
/// let call = &guard.calls()[0];
/// assert_eq!(call.hook, "tool_pre_invoke");
/// assert_eq!(call.request_id(), "request-1");
/// assert_eq!(call.payload["args"]["query"], "rust");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ReceivedCall {
    /// The hook type.
    pub hook: String,
    /// The payload, with the keys that were on the wire.
    pub payload: Value,
    /// The context: whose request it is, and what the plugin has kept.
    pub context: PluginContext,
}

redacted_debug!(ReceivedCall { show: hook, context; size: payload });

impl ReceivedCall {
    pub(super) fn read(request: &HookRequest<'_>) -> Self {
        // They are the client's own, and it writes neither so that it cannot be read.
        Self {
            hook: request.hook_type.to_owned(),
            payload: request.read_payload().unwrap_or_default(),
            context: request.read_context().unwrap_or_else(|_| PluginContext::new("")),
        }
    }

    /// The id of the request that it belongs to.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.context.global_context.request_id
    }

    /// The payload in the hook's own type.
    ///
    /// # Errors
    /// It is a call of another hook, with other fields.
    pub fn payload_of<H: Hook>(&self) -> Result<H::Payload, serde_json::Error>
    where
        H::Payload: serde::de::DeserializeOwned,
    {
        serde::Deserialize::deserialize(&self.payload)
    }
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub(super) struct Log(watch::Sender<Vec<ReceivedCall>>);

impl Log {
    pub(super) fn add(&self, call: ReceivedCall) {
        self.0.send_modify(|calls| calls.push(call));
    }

    pub(super) fn calls(&self) -> Vec<ReceivedCall> {
        self.0.borrow().clone()
    }

    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// The calls, once there are `count`; what there is of them after [`LIMIT`].
    pub(super) async fn wait_for(&self, count: usize) -> Result<Vec<ReceivedCall>, usize> {
        let mut calls = self.0.subscribe();
        let enough = calls.wait_for(|calls| calls.len() >= count);
        match timeout(LIMIT, enough).await {
            Ok(Ok(calls)) => Ok(calls.clone()),
            _ => Err(self.len()),
        }
    }
}
