//! The ways to call a hook, and the span that each call is.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Instrument, Span, field};

use super::{EncodedPayload, PluginHandle};
use crate::error::{Cause, PluginError};
use crate::hooks::Hook;
use crate::identity::Identity;
use crate::model::{PluginContext, PluginResult, PluginViolation, ReplyContext};
use crate::wire::request::Payload;

/// Part of the API: the crate's documentation names it.
const TARGET: &str = "hookwire::handle";

/// A result, and what the reply brought back for the context.
type Answer<R> = Result<(PluginResult<R>, Option<ReplyContext>), PluginError>;

impl PluginHandle {
    /// Runs a hook of the plugin. On success, what the plugin changed in the context is in
    /// `context`.
    ///
    /// A denial is a success of the call: look at the [verdict](PluginResult::verdict).
    /// [`enforce`](Self::enforce) does that for you.
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind). [`PluginError::sent`] tells whether the hook can
    /// have run. `context` stays as it was.
    ///
    /// # Cancel safety
    /// A dropped call leaves `context` as it was. If it was not sent yet, the hook does not
    /// run; if it was, the hook runs on and its reply is thrown away. No other call is
    /// affected.
    pub async fn invoke_hook<H: Hook>(
        &self,
        payload: &H::Payload,
        context: &mut PluginContext,
    ) -> Result<PluginResult<H::Modified>, PluginError> {
        let answer = self.call(H::NAME, payload, context, H::refusal).await;
        applied(answer, context)
    }

    /// Runs a hook that is known by name only. The payload is a JSON object.
    ///
    /// # Errors
    /// As [`invoke_hook`](Self::invoke_hook); and a hook type that is not in the handle's
    /// [`HookRegistry`](crate::HookRegistry) is refused before anything is sent.
    ///
    /// # Cancel safety
    /// As [`invoke_hook`](Self::invoke_hook).
    pub async fn invoke_hook_json(
        &self,
        hook_type: &str,
        payload: &Value,
        context: &mut PluginContext,
    ) -> Result<PluginResult<Value>, PluginError> {
        let Some(refusal) = self.inner.checked.registry.refusal(hook_type) else {
            let nearest = self.inner.checked.registry.nearest(hook_type).map(str::to_owned);
            let name = hook_type.to_owned();
            return Err(self.refused(Cause::UnregisteredHook { name, nearest }).await);
        };
        let answer = self.call(hook_type, payload, context, refusal).await;
        applied(answer, context)
    }

    /// [`invoke_hook`](Self::invoke_hook) as a future that owns all it needs, so that it can
    /// be spawned, or kept with others of its kind. It returns the context, changed as
    /// `invoke_hook` changes it. The payload is shared, so that several plugins can have the
    /// same one.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use futures::StreamExt;
    /// use futures::stream::FuturesUnordered;
    /// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
    /// use hookwire::{GlobalContext, PluginContext, PluginHandle};
    ///
    /// /// Asks all plugins at once; one denial or failure is enough.
    /// async fn may_run(plugins: &[PluginHandle], payload: ToolPreInvokePayload) -> bool {
    ///     let (payload, shared) = (Arc::new(payload), GlobalContext::new("request-1"));
    ///     let ask = |plugin: &PluginHandle| {
    ///         let context = PluginContext::from(shared.clone());
    ///         plugin.invoke_hook_owned::<ToolPreInvoke>(Arc::clone(&payload), context)
    ///     };
    ///     let mut calls: FuturesUnordered<_> = plugins.iter().map(ask).collect();
    ///     while let Some((result, _context)) = calls.next().await {
    ///         if !result.is_ok_and(|result| result.is_allowed()) {
    ///             return false; // the other calls are dropped
    ///         }
    ///     }
    ///     true
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`invoke_hook`](Self::invoke_hook), with the context as it was.
    ///
    /// # Cancel safety
    /// As [`invoke_hook`](Self::invoke_hook).
    pub fn invoke_hook_owned<H>(
        &self,
        payload: Arc<H::Payload>,
        mut context: PluginContext,
    ) -> impl Future<Output = (Result<PluginResult<H::Modified>, PluginError>, PluginContext)>
    + Send
    + 'static
    + use<H>
    where
        H: Hook + 'static,
        H::Payload: 'static,
        H::Modified: 'static,
    {
        let handle = self.clone();
        async move {
            let result = handle.invoke_hook::<H>(&payload, &mut context).await;
            (result, context)
        }
    }

    /// [`invoke_hook`](Self::invoke_hook) with a context that is only read: for callers that
    /// merge the changes of several plugins themselves. What the reply brought back, if it
    /// brought a context, comes beside the result.
    ///
    /// ```no_run
    /// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
    /// use hookwire::{PluginContext, PluginError, PluginHandle};
    ///
    /// # async fn check(
    /// #     guard: PluginHandle,
    /// #     payload: ToolPreInvokePayload,
    /// #     mut context: PluginContext,
    /// # ) -> Result<bool, PluginError> {
    /// let (result, reply) = guard.invoke_hook_shared::<ToolPreInvoke>(&payload, &context).await?;
    /// if let Some(reply) = reply {
    ///     println!("the plugin keeps {} values", reply.state().len());
    ///     reply.apply_to(&mut context);
    /// }
    /// # Ok(result.is_allowed())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`invoke_hook`](Self::invoke_hook).
    ///
    /// # Cancel safety
    /// As [`invoke_hook`](Self::invoke_hook).
    pub async fn invoke_hook_shared<H: Hook>(
        &self,
        payload: &H::Payload,
        context: &PluginContext,
    ) -> Result<(PluginResult<H::Modified>, Option<ReplyContext>), PluginError> {
        self.call(H::NAME, payload, context, H::refusal).await
    }

    /// [`invoke_hook_shared`](Self::invoke_hook_shared) with a payload that is encoded
    /// already, for several plugins that are called with the same one. See
    /// [`EncodedPayload`] for an example.
    ///
    /// # Errors
    /// As [`invoke_hook`](Self::invoke_hook).
    ///
    /// # Cancel safety
    /// As [`invoke_hook`](Self::invoke_hook).
    pub async fn invoke_hook_encoded<H: Hook>(
        &self,
        payload: &EncodedPayload<H>,
        context: &PluginContext,
    ) -> Result<(PluginResult<H::Modified>, Option<ReplyContext>), PluginError> {
        self.call(H::NAME, payload.as_encoded(), context, H::refusal).await
    }

    /// One span for each call. It holds no payload, no context and no words of the plugin,
    /// which may quote either.
    async fn call<P, R>(
        &self,
        hook_type: &str,
        payload: &P,
        context: &PluginContext,
        refusal: fn(&R) -> Option<PluginViolation>,
    ) -> Answer<R>
    where
        P: Payload + ?Sized,
        R: DeserializeOwned,
    {
        if let Some(cause) = self.inner.checked.refusal() {
            return Err(self.refused(cause).await);
        }
        let client = &self.inner.client;
        let span = tracing::debug_span!(
            target: TARGET,
            "invoke_hook",
            plugin = %client.identity.plugin,
            socket = %client.identity.endpoint,
            hook = hook_type,
            request_id = %context.global_context.request_id,
            attempt = 1_u64,
            outcome = field::Empty,
            inexact = field::Empty,
            duration_us = field::Empty,
        );
        // Pinned where it is: it is large, and would be moved twice.
        let call = pin!(client.invoke(hook_type, payload, context, self.options, refusal));
        if span.is_disabled() {
            return call.await;
        }
        let started = Instant::now();
        let answer = call.instrument(span.clone()).await;
        record(&client.identity, &span, started, &answer);
        answer
    }
}

fn applied<R>(
    answer: Answer<R>,
    context: &mut PluginContext,
) -> Result<PluginResult<R>, PluginError> {
    let (result, reply) = answer?;
    if let Some(reply) = reply {
        reply.apply_to(context);
    }
    Ok(result)
}

fn record<R>(identity: &Identity, span: &Span, started: Instant, answer: &Answer<R>) {
    let outcome = match answer {
        Ok((result, _)) if result.is_allowed() => "allowed",
        Ok(_) => "denied",
        Err(error) => error.reason(),
    };
    let duration = started.elapsed().as_micros();
    span.record("outcome", outcome);
    span.record("duration_us", u64::try_from(duration).unwrap_or(u64::MAX));
    identity.log(|_| tracing::debug!(target: TARGET, parent: span, outcome, "call finished"));
}
