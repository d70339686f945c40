//! The engine's call of a hook, and the server's answer to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use hookwire::{ErrorKind, Hooks, PluginHandle, PluginResult, Verdict};
use praxis_policy_core::cmf::{CmfHook, MessagePayload};
use praxis_policy_core::context::PluginContext;
use praxis_policy_core::error::PluginError;
use praxis_policy_core::hooks::{Extensions, HookTypeDef, PluginPayload};
use praxis_policy_core::registry::AnyHookHandler;
use tokio::time::Instant;

use crate::denial::{self, Erased};
use crate::form::{Form, form};
use crate::hook::Hook;
use crate::instance::Instance;
use crate::payload::{Answer, Refusal, cmf, legacy};
use crate::{context, errors};

/// One hook of one plugin: erased, because a typed handler has no way to tell of an error, and
/// a failure that is not told never reaches `on_error`.
pub(crate) struct Handler {
    plugin: Arc<Instance>,
    hook: Hook,
    /// The log was told that extensions of this plugin's do not go back.
    warned: AtomicBool,
}

impl Handler {
    pub(crate) fn new(plugin: Arc<Instance>, hook: Hook) -> Self {
        Self { plugin, hook, warned: AtomicBool::new(false) }
    }

    /// The form that the server wants. It is asked if it has not told yet: then that and the
    /// call share the time of one call.
    async fn form(&self, handle: &mut PluginHandle) -> Result<Form, Box<PluginError>> {
        let (name, settings) = (self.plugin.name(), self.plugin.settings());
        let mut hooks = handle.hooks();
        if hooks == Hooks::Unknown {
            *handle = handle.until(Instant::now() + settings.plugin.policy().timeout());
            handle.verify().await.map_err(|error| errors::failed(name, &error))?;
            hooks = handle.hooks();
        }
        let known = hooks.known().unwrap_or_default();
        let form = form(settings.payload, self.hook, |hook| known.iter().any(|own| own == hook));
        form.ok_or_else(|| {
            errors::unusable_plugin(name, ErrorKind::Config, "its server does not serve this hook")
        })
    }

    /// Turns an answer into what the engine takes; `apply` puts a changed payload in place.
    fn finish<P>(
        &self,
        answer: Answer<P>,
        sent: hookwire::PluginContext,
        extensions: &Extensions,
        context: &mut PluginContext,
        apply: impl FnOnce(P) -> Result<MessagePayload, Refusal>,
    ) -> Result<Erased, Box<PluginError>> {
        let name = self.plugin.name();
        let (result, reply) = match answer {
            Ok(answer) => answer,
            // Half of a verdict that denies, beside an error: `on_error: ignore` must not let
            // it pass.
            Err(error) if error.is_denial() => {
                let violation = error.plugin_fault().and_then(|fault| fault.violation());
                return Ok(denial::denied(violation.map(denial::told)));
            }
            Err(error) => return Err(errors::failed(name, &error)),
        };
        if let Some(denied) = denial::of(&result) {
            merge(reply, sent, context);
            return Ok(denied);
        }
        self.warn_of_extensions(&result);
        let headers = denial::headers(&result, extensions);
        let told = context::told(name, &result);
        let Verdict::Allowed(modified) = result.into_verdict() else {
            return Ok(denial::denied(None));
        };
        let modified =
            modified.map(apply).transpose().map_err(|why| errors::unusable(name, why))?;
        merge(reply, sent, context);
        context.global_state.extend(told);
        Ok(denial::allowed(modified, headers))
    }

    fn warn_of_extensions<P>(&self, result: &PluginResult<P>) {
        if result.modified_extensions().is_some() && !self.warned.swap(true, Relaxed) {
            let (plugin, hook) = (self.plugin.name(), self.hook.in_engine());
            tracing::warn!(
                plugin,
                hook,
                "the plugin changes extensions, which is ignored: the engine takes none that came over a socket"
            );
        }
    }
}

fn merge(
    reply: Option<hookwire::ReplyContext>,
    sent: hookwire::PluginContext,
    context: &mut PluginContext,
) {
    if let Some(reply) = reply {
        context::incoming(reply, sent, context);
    }
}

#[async_trait]
impl AnyHookHandler for Handler {
    async fn invoke(
        &self,
        payload: &dyn PluginPayload,
        extensions: &Extensions,
        context: &mut PluginContext,
    ) -> Result<Erased, Box<PluginError>> {
        let name = self.plugin.name();
        let Some(payload) = payload.as_any().downcast_ref::<MessagePayload>() else {
            return Err(errors::unsendable(name, "the payload is no message"));
        };
        let message = &payload.message;
        let mut handle = self.plugin.handle()?;
        let form = self.form(&mut handle).await?;
        match form {
            Form::Message => {
                if let Some(why) = cmf::refusal(message) {
                    return Err(errors::unsendable(name, why));
                }
                let sent = context::outgoing(extensions, context);
                let answer = cmf::ask(self.hook, &handle, message, &sent).await;
                self.finish(answer, sent, extensions, context, Ok)
            }
            Form::Legacy => {
                let namespace = self.plugin.settings().namespace;
                let payload = legacy::outgoing(self.hook, message, namespace)
                    .map_err(|why| errors::unsendable(name, why))?;
                let sent = context::outgoing(extensions, context);
                let answer = legacy::ask(&handle, &payload, &sent).await;
                self.finish(answer, sent, extensions, context, |answered| {
                    answered.applied_to(message)
                })
            }
        }
    }

    fn hook_type_name(&self) -> &'static str {
        CmfHook::NAME
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler")
            .field("plugin", &self.plugin.name())
            .field("hook", &self.hook)
            .finish_non_exhaustive()
    }
}
