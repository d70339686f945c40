//! Traces that go on in the plugins: what of OpenTelemetry `tracing` alone does not do.
//!
//! Each call of a [`Chain`](crate::Chain) carries the trace that it belongs to, in the form of
//! the W3C: the metadata of the global context have the key `traceparent`, and `tracestate`
//! where the trace has one. They name the span of the call (see the
//! [spans](crate#to-see-what-happens)), so what a plugin does is below it. Where no layer of
//! `tracing-opentelemetry` listens, nothing is carried and nothing copied.
//!
//! - [`inject`] does the same for calls without a chain.
//! - `follow_headers` (with the feature `tower`) lets the gateway's own span go on with the
//!   trace of its client.
//! - [`follow`] is for plugins in Rust.
//! - A plugin in Python on the reference server, with the packages `opentelemetry-sdk` and
//!   `opentelemetry-exporter-otlp`:
//!
//! ```python
//! from opentelemetry import trace
//! from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
//!
//! tracer = trace.get_tracer("guard")
//!
//! class Guard(Plugin):
//!     async def tool_pre_invoke(self, payload, context):
//!         parent = TraceContextTextMapPropagator().extract(context.global_context.metadata)
//!         with tracer.start_as_current_span("guard", context=parent):
//!             return ToolPreInvokeResult(continue_processing=True)
//! ```
//!
//! ```
//! use hookwire::hooks::ToolPreInvoke;
//! use hookwire::server::Handlers;
//! use hookwire::PluginResult;
//! use hookwire_gateway::otel;
//! use tracing::Instrument;
//!
//! // The same in Rust.
//! let guard = Handlers::new().on::<ToolPreInvoke>(|payload, context| async move {
//!     let span = tracing::info_span!("guard", tool = payload.name);
//!     otel::follow(&span, &context.global_context);
//!     async { Ok(PluginResult::allow()) }.instrument(span).await
//! });
//! ```
//!
//! # Versions
//!
//! The layer, the tracer and this feature must be of the same versions: `opentelemetry` 0.33,
//! `opentelemetry_sdk` 0.33 and `tracing-opentelemetry` 0.34. With others the gateway builds, and
//! nothing is carried, without a message. So take them from here, with an exporter that belongs
//! to them (`opentelemetry-otlp` 0.33). The layer stands beside those for logs, each with a filter
//! of its own: the spans are at level info, and a filter above that, of the layer or of the
//! subscriber as a whole, stops them.
//!
//! ```
//! use hookwire_gateway::otel::opentelemetry::trace::TracerProvider;
//! use hookwire_gateway::otel::opentelemetry_sdk::trace::SdkTracerProvider;
//! use hookwire_gateway::otel::tracing_opentelemetry;
//! use tracing_subscriber::filter::LevelFilter;
//! use tracing_subscriber::layer::{Layer, SubscriberExt};
//!
//! // With an exporter: `.with_batch_exporter(..)`.
//! let provider = SdkTracerProvider::builder().build();
//! let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("gateway"));
//! let logs = tracing_subscriber::fmt::layer().with_filter(LevelFilter::WARN);
//! let subscriber =
//!     tracing_subscriber::registry().with(logs).with(spans.with_filter(LevelFilter::INFO));
//! # let _ = subscriber;
//! // Then `subscriber.init()`, and at the end `provider.shutdown()`.
//! ```

use std::sync::LazyLock;

use hookwire::GlobalContext;
use hookwire::model::Object;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// In the versions that this feature works with: see [Versions](self#versions).
pub use {opentelemetry, opentelemetry_sdk, tracing_opentelemetry};

/// The key of the global context's metadata that has the trace and the span.
pub const TRACEPARENT: &str = "traceparent";

/// The key of the global context's metadata that has what tracing systems add, if they do.
pub const TRACESTATE: &str = "tracestate";

static W3C: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// Writes the trace that `span` belongs to into a context, for plugins to go on with, in place
/// of one that is there. Where no layer of `tracing-opentelemetry` sees the span, it changes
/// nothing. A chain does this by itself.
///
/// ```
/// use hookwire::PluginContext;
/// use hookwire_gateway::otel;
///
/// let mut context = PluginContext::new("request-1");
/// otel::inject(&tracing::Span::current(), &mut context.global_context);
/// // Nobody listens here.
/// assert!(context.global_context.metadata.get(otel::TRACEPARENT).is_none());
/// ```
pub fn inject(span: &Span, global: &mut GlobalContext) {
    if let Some(trace) = Trace::of(span) {
        trace.write(global);
    }
}

/// Makes `span` a part of the trace that the context carries. To be called before the span is
/// entered. Where the context carries none, or no layer of `tracing-opentelemetry` sees the
/// span, it changes nothing. See the [module](self) for an example.
pub fn follow(span: &Span, global: &GlobalContext) {
    let parent = W3C.extract_with_context(&Context::new(), &Metadata(&global.metadata));
    set_parent(span, parent);
}

/// Makes `span` a part of the trace that a client's request names in its headers `traceparent`
/// and `tracestate` (feature `tower`). To be called before the span is entered. Where they name
/// none, or no layer of `tracing-opentelemetry` sees the span, it changes nothing.
///
/// A client may name any trace, and whether it is recorded: for clients that are not trusted,
/// leave it out.
///
/// ```
/// use hookwire_gateway::otel;
/// use http::Request;
/// use tracing::Span;
///
/// /// The span of a request, for what is around the [`HookLayer`](hookwire_gateway::HookLayer).
/// fn span<B>(request: &Request<B>) -> Span {
///     let span = tracing::info_span!("request", method = %request.method());
///     otel::follow_headers(&span, request.headers());
///     span
/// }
/// ```
#[cfg(feature = "tower")]
pub fn follow_headers(span: &Span, headers: &http::HeaderMap) {
    let parent = W3C.extract_with_context(&Context::new(), &Headers::of(headers));
    set_parent(span, parent);
}

/// Makes `span` a child of `parent` without keeping that one open.
pub(crate) fn adopt(span: &Span, parent: &Span) {
    set_parent(span, parent.context());
}

fn set_parent(span: &Span, parent: Context) {
    if parent.span().span_context().is_valid() {
        // Nobody listens, or it has begun already: there is nothing to go on with.
        let _ = span.set_parent(parent);
    }
}

/// The trace of a span that somebody listens to.
pub(crate) struct Trace(Context);

impl Trace {
    pub(crate) fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        let context = span.context();
        context.span().span_context().is_valid().then_some(Self(context))
    }

    pub(crate) fn write(&self, global: &mut GlobalContext) {
        global.metadata.remove(TRACESTATE);
        W3C.inject_context(&self.0, &mut MetadataMut(&mut global.metadata));
    }
}

struct Metadata<'a>(&'a Object);

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

struct MetadataMut<'a>(&'a mut Object);

impl Injector for MetadataMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value.into());
        }
    }
}

/// Those of a trace: of several parents none counts, and states go on.
#[cfg(feature = "tower")]
struct Headers<'a> {
    parent: Option<&'a str>,
    state: String,
}

#[cfg(feature = "tower")]
impl<'a> Headers<'a> {
    fn of(headers: &'a http::HeaderMap) -> Self {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = parents.next().filter(|_| parents.next().is_none());
        let states = headers.get_all(TRACESTATE).iter().filter_map(|state| state.to_str().ok());
        Self {
            parent: parent.and_then(|parent| parent.to_str().ok()),
            state: states.collect::<Vec<_>>().join(","),
        }
    }
}

#[cfg(feature = "tower")]
impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => self.parent,
            TRACESTATE => Some(&self.state),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}
