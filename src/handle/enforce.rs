//! A plugin's verdict, made to hold: no payload comes back but one that may go on.

use std::sync::Arc;

use super::{Denial, PluginHandle, Stopped};
use crate::error::PluginError;
use crate::hooks::{Applies, Hook};
use crate::model::{PluginContext, PluginResult};

impl PluginHandle {
    /// Asks the plugin about a payload, and gives back the one to go on with: as it was, or
    /// with the plugin's changes. The payload goes in by value, so that none is left to go
    /// on with after a denial or a failed call.
    ///
    /// For hooks that answer with something else than a changed payload, there is
    /// [`decide`](Self::decide). What else a plugin tells that allows (metadata, headers for
    /// the client, extensions) is in the result of [`invoke_hook`](Self::invoke_hook).
    ///
    /// ```no_run
    /// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
    /// use hookwire::{PluginContext, PluginHandle, Stopped};
    ///
    /// # async fn call_tool(guard: PluginHandle) -> Result<(), Stopped> {
    /// let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust");
    /// let mut context = PluginContext::new("request-1");
    /// let payload = guard.enforce::<ToolPreInvoke>(payload, &mut context).await?;
    /// println!("call {} with {:?}", payload.name, payload.args);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Stopped::Denied`] if the plugin denies, [`Stopped::Failed`] if it could not be
    /// asked. After a failure `context` is as it was.
    ///
    /// # Cancel safety
    /// As [`invoke_hook`](Self::invoke_hook).
    pub async fn enforce<H: Applies>(
        &self,
        mut payload: H::Payload,
        context: &mut PluginContext,
    ) -> Result<H::Payload, Stopped> {
        let answer = self.invoke_hook::<H>(&payload, context).await;
        if let Some(modified) = self.allowed::<H>(answer)? {
            H::apply(&mut payload, modified);
        }
        Ok(payload)
    }

    /// Asks the plugin for its decision, and gives back what it decided; `None` if it lets
    /// the request go on without an opinion of its own, which grants and resolves nothing.
    ///
    /// For hooks whose answer is not their payload, such as
    /// [`HttpAuthCheckPermission`](crate::hooks::HttpAuthCheckPermission).
    ///
    /// ```no_run
    /// use hookwire::hooks::{HttpAuthCheckPermission, HttpAuthCheckPermissionPayload};
    /// use hookwire::{PluginContext, PluginHandle, Stopped};
    ///
    /// # async fn may(guard: PluginHandle) -> Result<bool, Stopped> {
    /// let asked = HttpAuthCheckPermissionPayload::new("ada@example.org", "tools.execute");
    /// let mut context = PluginContext::new("request-1");
    /// // One that is not granted ends here, as a denial.
    /// let decision = guard.decide::<HttpAuthCheckPermission>(asked, &mut context).await?;
    /// Ok(decision.is_some())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Stopped::Denied`] if the plugin denies, or its answer is a
    /// [refusal](Hook::refusal); [`Stopped::Failed`] if it could not be asked. After a
    /// failure `context` is as it was.
    ///
    /// # Cancel safety
    /// As [`invoke_hook`](Self::invoke_hook).
    pub async fn decide<H: Hook>(
        &self,
        payload: H::Payload,
        context: &mut PluginContext,
    ) -> Result<Option<H::Modified>, Stopped> {
        let answer = self.invoke_hook::<H>(&payload, context).await;
        self.allowed::<H>(answer)
    }

    fn allowed<H: Hook>(
        &self,
        answer: Result<PluginResult<H::Modified>, PluginError>,
    ) -> Result<Option<H::Modified>, Stopped> {
        let plugin = || Arc::clone(&self.inner.client.identity.plugin);
        let denial = match answer {
            Ok(result) if result.is_allowed() => return Ok(result.modified_payload),
            Ok(result) => Denial::new(plugin(), H::NAME, result.without_payload()),
            Err(error) => Denial::beside(error, plugin(), H::NAME)?,
        };
        Err(Stopped::Denied(Box::new(denial)))
    }
}
