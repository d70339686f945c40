//! What spans there are, what is below what, and what they tell.

use std::time::Duration;

use hookwire_gateway::RequestContext;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tracing::Instrument;

use crate::collector::{Collector, Span};
use crate::world::{World, run};

const LIMIT: Duration = Duration::from_secs(20);

/// `wanted` of the attributes.
fn assert_tells(span: &Span, wanted: &[(&str, &str)]) {
    for (key, value) in wanted {
        assert_eq!(span.attributes.get(*key).map(String::as_str), Some(*value), "{key}: {span:#?}");
    }
}

#[tokio::test]
async fn below_a_request_is_a_run_below_it_a_call_and_below_that_what_the_plugin_does() {
    let collector = Collector::start();
    let world = World::new(&[("Guard", "sequential")]).await;
    let mut request = RequestContext::new("request-7");
    let call = run(&world.chain, "search", &mut request);
    call.instrument(tracing::info_span!("request")).await.unwrap();

    let [request, chain, call, plugin] =
        ["request", "chain tool_pre_invoke", "Guard/tool_pre_invoke", "guard"]
            .map(|name| collector.span(name));
    assert_eq!(request.parent, "");
    for (parent, child) in [(&request, &chain), (&chain, &call), (&call, &plugin)] {
        assert_eq!((&child.trace, &child.parent), (&parent.trace, &parent.id), "{}", child.name);
        assert!(!child.is_error, "{child:#?}");
    }
    assert_eq!((chain.kind, call.kind), (SpanKind::Internal, SpanKind::Client));
    let chain_tells =
        [("hook", "tool_pre_invoke"), ("request_id", "request-7"), ("outcome", "allowed")];
    assert_tells(&chain, &chain_tells);
    let call_tells = [
        ("rpc.system", "hookwire"),
        ("rpc.service", "Guard"),
        ("rpc.method", "tool_pre_invoke"),
        ("network.transport", "unix"),
        ("mode", "sequential"),
        ("outcome", "allowed"),
    ];
    assert_tells(&call, &call_tells);
    assert!(!call.attributes.contains_key("error.type"), "{call:#?}");
}

#[tokio::test]
async fn a_denial_is_an_outcome_and_no_error() {
    let collector = Collector::start();
    let world = World::new(&[("Guard", "sequential")]).await;
    run(&world.chain, "deny", &mut RequestContext::new("request-1")).await.unwrap_err();
    let chain = collector.span("chain tool_pre_invoke");
    assert_tells(&chain, &[("outcome", "denied"), ("plugin", "Guard")]);
    let call = collector.span("Guard/tool_pre_invoke");
    assert_tells(&call, &[("outcome", "denied")]);
    assert!(!chain.is_error && !call.is_error);
}

#[tokio::test]
async fn a_failure_is_an_error_of_the_call_and_of_the_run_that_it_ends() {
    let collector = Collector::start();
    let world = World::new(&[("Guard", "sequential")]).await;
    run(&world.chain, "fail", &mut RequestContext::new("request-1")).await.unwrap_err();
    let chain = collector.span("chain tool_pre_invoke");
    let call = collector.span("Guard/tool_pre_invoke");
    assert!(chain.is_error && call.is_error);
    assert_tells(&chain, &[("plugin", "Guard")]);
    assert_eq!(call.attributes.get("error.type"), call.attributes.get("outcome"));
    assert!(call.attributes.contains_key("error.type"), "{call:#?}");
}

#[tokio::test]
async fn calls_side_by_side_are_all_below_their_run() {
    let collector = Collector::start();
    let world = World::new(&[("A", "concurrent"), ("B", "concurrent")]).await;
    run(&world.chain, "search", &mut RequestContext::new("request-1")).await.unwrap();
    let chain = collector.span("chain tool_pre_invoke");
    for call in ["A/tool_pre_invoke", "B/tool_pre_invoke"].map(|name| collector.span(name)) {
        assert_eq!(call.parent, chain.id);
        let spans = collector.spans();
        let below = spans.iter().filter(|span| span.parent == call.id);
        assert_eq!(below.map(|span| &*span.name).collect::<Vec<_>>(), ["guard"]);
    }
}

/// Its call would make every run look as long as the slowest plugin in the background.
#[tokio::test]
async fn a_call_in_the_background_belongs_to_the_trace_and_does_not_prolong_the_run() {
    let collector = Collector::start();
    let world = World::new(&[("Watcher", "fire_and_forget")]).await;
    run(&world.chain, "search", &mut RequestContext::new("request-1")).await.unwrap();
    // It has ended already, for nothing has run since.
    let chain = collector.span("chain tool_pre_invoke");
    assert!(world.chain.background_idle(LIMIT).await);
    let call = collector.span("Watcher/tool_pre_invoke");
    assert_eq!((&call.trace, &call.parent), (&chain.trace, &chain.id));
    assert_tells(&call, &[("mode", "fire_and_forget"), ("outcome", "allowed")]);
    assert!(call.end > chain.end && call.begin >= chain.begin, "{call:#?} {chain:#?}");
    assert_eq!(collector.span("guard").parent, call.id);
}
