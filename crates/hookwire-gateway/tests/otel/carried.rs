//! What of a trace is carried to plugins, and what is made of it there.

use hookwire::GlobalContext;
use hookwire::model::Object;
use hookwire_gateway::{RequestContext, otel};
use serde_json::{Value, json};
use tracing::{Instrument, info_span};

use crate::collector::Collector;
use crate::world::{World, run};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn metadata(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

/// A context as it comes to a plugin.
fn context(value: Value) -> GlobalContext {
    GlobalContext::new("request-1").with_metadata(metadata(value))
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_carried() {
    let world = World::new(&[("Guard", "sequential"), ("Watcher", "audit")]).await;
    run(&world.chain, "search", &mut RequestContext::new("request-1")).await.unwrap();
    assert_eq!(*world.seen.borrow(), [Object::new(), Object::new()]);
}

#[tokio::test]
async fn each_plugin_is_told_its_own_call_beside_what_the_gateway_tells() {
    let collector = Collector::start();
    let world = World::new(&[("Guard", "sequential"), ("Judge", "concurrent")]).await;
    let global = context(json!({"route": "/mcp", "traceparent": "stale", "tracestate": "stale=1"}));
    let mut request = RequestContext::from(global.clone());
    run(&world.chain, "search", &mut request).await.unwrap();
    let expected = ["Guard/tool_pre_invoke", "Judge/tool_pre_invoke"].map(|name| {
        let call = collector.span(name);
        let traceparent = format!("00-{}-{}-01", call.trace, call.id);
        metadata(json!({"route": "/mcp", "traceparent": traceparent}))
    });
    assert_eq!(*world.seen.borrow(), expected);
    // What the gateway itself has stays as it is.
    assert_eq!(request.global().metadata, global.metadata);
}

#[tokio::test]
async fn a_trace_from_outside_goes_on_with_its_state_to_the_plugins() {
    let collector = Collector::start();
    let world = World::new(&[("Guard", "sequential")]).await;
    let outside = context(json!({"traceparent": TRACEPARENT, "tracestate": "vendor=1"}));
    let span = info_span!("request");
    otel::follow(&span, &outside);
    let mut request = RequestContext::new("request-1");
    run(&world.chain, "search", &mut request).instrument(span).await.unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = collector.span("request");
    assert_eq!((&*request.trace, &*request.parent), (trace, "00f067aa0ba902b7"));
    let plugin = collector.span("guard");
    assert_eq!((&*plugin.trace, &*plugin.tracestate), (trace, "vendor=1"));
    assert_eq!(world.seen.borrow()[0]["tracestate"], "vendor=1");
}

#[cfg(feature = "tower")]
#[tokio::test]
async fn a_trace_of_the_client_goes_on_to_the_plugins() {
    let collector = Collector::start();
    let world = World::new(&[("Guard", "sequential")]).await;
    let mut headers = http::HeaderMap::new();
    headers.insert("traceparent", TRACEPARENT.parse().unwrap());
    headers.append("tracestate", "one=1".parse().unwrap());
    headers.append("tracestate", "two=2".parse().unwrap());
    let span = info_span!("request");
    otel::follow_headers(&span, &headers);
    let mut request = RequestContext::new("request-1");
    run(&world.chain, "search", &mut request).instrument(span).await.unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = collector.span("request");
    assert_eq!((&*request.trace, &*request.parent), (trace, "00f067aa0ba902b7"));
    assert_eq!(collector.span("guard").trace, trace);
    assert_eq!(world.seen.borrow()[0]["tracestate"], "one=1,two=2");
}

#[cfg(feature = "tower")]
#[tokio::test]
async fn a_client_that_names_no_trace_or_two_of_them_begins_none() {
    let collector = Collector::start();
    for (at, parents) in [&[][..], &[TRACEPARENT, TRACEPARENT], &["x"]].into_iter().enumerate() {
        let mut headers = http::HeaderMap::new();
        for parent in parents {
            headers.append("traceparent", parent.parse().unwrap());
        }
        let span = info_span!("request", otel.name = format!("request {at}"));
        otel::follow_headers(&span, &headers);
        span.in_scope(|| ());
        drop(span);
        assert_eq!(collector.span(&format!("request {at}")).parent, "");
    }
}

/// Whoever began it has decided that nobody records it.
#[tokio::test]
async fn a_trace_that_is_not_recorded_is_carried_as_one() {
    let collector = Collector::start();
    let world = World::new(&[("Guard", "sequential")]).await;
    let span = info_span!("request");
    let unrecorded = TRACEPARENT.replace("-01", "-00");
    otel::follow(&span, &context(json!({"traceparent": unrecorded})));
    let mut request = RequestContext::new("request-1");
    run(&world.chain, "search", &mut request).instrument(span).await.unwrap();
    let carried = world.seen.borrow()[0]["traceparent"].as_str().unwrap().to_owned();
    assert!(carried.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{carried}");
    assert!(carried.ends_with("-00"), "{carried}");
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn a_trace_that_cannot_be_read_begins_a_new_one() {
    let collector = Collector::start();
    let bad = [json!({"traceparent": "00-zz-01"}), json!({"traceparent": 7}), json!({})];
    for (at, value) in bad.into_iter().enumerate() {
        let span = info_span!("request", otel.name = format!("request {at}"));
        otel::follow(&span, &context(value));
        span.in_scope(|| ());
        drop(span);
        assert_eq!(collector.span(&format!("request {at}")).parent, "");
    }
}

#[tokio::test]
async fn calls_without_a_chain_can_carry_the_current_span() {
    let collector = Collector::start();
    let mut global = context(json!({"tracestate": "stale=1"}));
    let span = info_span!("request");
    otel::inject(&span, &mut global);
    drop(span);
    let request = collector.span("request");
    let traceparent = format!("00-{}-{}-01", request.trace, request.id);
    assert_eq!(global.metadata, metadata(json!({"traceparent": traceparent})));
}
