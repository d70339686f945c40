//! The spans of a run and of its calls, and the line about a call that failed. Their names, levels and fields are part of the API: the
//! crate's documentation has them. They hold no payload, no context and no words of a plugin.

use std::borrow::Cow;

use hookwire::{Hook, PluginContext, PluginError, PluginResult, ReplyContext};
use tracing::{Span, field};

use super::outcome::HaltReason;

const TARGET: &str = "hookwire_gateway::chain";

/// The span of one run.
pub(super) fn run(hook: &str, request_id: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "chain",
        otel.name = %format_args!("chain {hook}"),
        otel.status_code = field::Empty,
        hook,
        request_id,
        outcome = field::Empty,
        plugin = field::Empty,
    )
}

/// Notes how a run ended, and by which plugin.
pub(super) fn run_ended(span: &Span, halted: Option<&HaltReason>) {
    let (word, plugin) = match halted {
        None => ("allowed", None),
        Some(reason) => (reason.outcome(), reason.plugin()),
    };
    span.record("outcome", word);
    if let Some(plugin) = plugin {
        span.record("plugin", plugin);
    }
    if !matches!(word, "allowed" | "denied") {
        span.record("otel.status_code", "ERROR");
    }
}

macro_rules! call_span {
    ($plugin:ident, $hook:ident, $mode:ident $(, parent: $parent:expr)?) => {
        tracing::info_span!(
            target: TARGET,
            $(parent: $parent,)?
            "plugin",
            otel.name = %format_args!("{}/{}", $plugin, $hook),
            otel.kind = "client",
            otel.status_code = field::Empty,
            rpc.system = "hookwire",
            rpc.service = $plugin,
            rpc.method = $hook,
            network.transport = "unix",
            mode = $mode,
            outcome = field::Empty,
            "error.type" = field::Empty,
        )
    };
}

/// The span of one call, below that of its run.
pub(super) fn call(plugin: &str, hook: &str, mode: &str) -> Span {
    call_span!(plugin, hook, mode)
}

/// The span of a call that nobody waits for. It belongs to the same trace, but does not keep
/// the span of its run open.
pub(super) fn background_call(plugin: &str, hook: &str, mode: &str) -> Span {
    let span = call_span!(plugin, hook, mode, parent: None);
    let run = Span::current();
    span.follows_from(&run);
    #[cfg(feature = "otel")]
    crate::otel::adopt(&span, &run);
    span
}

/// Notes how a call ended.
pub(super) fn call_ended<M>(
    span: &Span,
    called: &Result<(PluginResult<M>, Option<ReplyContext>), PluginError>,
) {
    match called {
        Ok((result, _)) => {
            span.record("outcome", if result.is_allowed() { "allowed" } else { "denied" });
        }
        // Beside an error, but a verdict: it is in the reason.
        Err(error) if error.is_denial() => {
            span.record("outcome", "denied");
        }
        Err(error) => {
            span.record("outcome", error.reason());
            span.record("error.type", error.reason());
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// The context to call a plugin with: with the trace that the span belongs to.
#[cfg_attr(not(feature = "otel"), allow(unused_variables))]
pub(super) fn carried<'a>(span: &Span, context: &'a PluginContext) -> Cow<'a, PluginContext> {
    #[cfg(feature = "otel")]
    if let Some(trace) = crate::otel::Trace::of(span) {
        let mut carrying = context.clone();
        trace.write(&mut carrying.global_context);
        return Cow::Owned(carrying);
    }
    Cow::Borrowed(context)
}

/// A line about a failed call that does not end the chain, without the error's own text, which
/// may be the plugin's words.
pub(super) fn call_failed<H: Hook>(error: &PluginError, then: &str) {
    let (plugin, hook, reason) = (error.plugin(), H::NAME, error.reason());
    tracing::warn!(target: TARGET, plugin, hook, reason, "a call failed; {then}");
}
