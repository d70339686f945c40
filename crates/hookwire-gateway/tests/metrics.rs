//! What Prometheus reads of the plugins, as a parser of its format reads it.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use hookwire::config::{OnError, PluginMode};
use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::{HandlerError, Handlers, PluginServer};
use hookwire::testing::{Answer, Double};
use hookwire::{
    PluginConfig, PluginContext, PluginHandle, PluginResult, PluginStats, PluginViolation,
};
use hookwire_gateway::metrics::{self, PluginMetrics, Registry};
use hookwire_gateway::{Chain, Gateway, RequestContext};
use prometheus_parse::{Sample, Scrape, Value};

fn scrape(text: &str) -> Scrape {
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap()
}

fn read(stats: &BTreeMap<String, PluginStats>) -> Scrape {
    scrape(&metrics::text(stats.clone()))
}

/// The one sample of this name that has these labels.
fn sample<'a>(scrape: &'a Scrape, name: &str, labels: &[(&str, &str)]) -> &'a Sample {
    let is_meant = |sample: &&Sample| {
        sample.metric == name
            && labels.iter().all(|(label, value)| sample.labels.get(label) == Some(value))
    };
    let found: Vec<_> = scrape.samples.iter().filter(is_meant).collect();
    let [sample] = found[..] else { panic!("{} of {name} {labels:?}", found.len()) };
    sample
}

fn counter(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    match &sample(scrape, name, labels).value {
        Value::Counter(value) => *value,
        other => panic!("{name} is no counter: {other:?}"),
    }
}

fn gauge(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    match &sample(scrape, name, labels).value {
        Value::Gauge(value) => *value,
        other => panic!("{name} is no gauge: {other:?}"),
    }
}

/// A plugin that does what the tool is named, and calls to it.
struct World {
    _directory: tempfile::TempDir,
    _server: PluginServer,
    config: PluginConfig,
}

impl World {
    async fn new() -> Self {
        let plugin = Handlers::new().on::<ToolPreInvoke>(|payload, _context| async move {
            match payload.name.as_str() {
                "fail" => Err(HandlerError::new("broken")),
                "deny" => Ok(PluginResult::deny(PluginViolation::new("NO"))),
                _ => Ok(PluginResult::allow()),
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("plugins.sock");
        let server = PluginServer::builder().plugin("Guard", plugin).bind(&socket).await.unwrap();
        let config = PluginConfig::builder("Guard").socket(&socket).build().unwrap();
        Self { _directory: directory, _server: server, config }
    }

    fn handle(&self) -> PluginHandle {
        PluginHandle::connect_lazy(self.config.clone())
    }
}

async fn call(handle: &PluginHandle, tools: &[&str]) {
    for tool in tools {
        let mut context = PluginContext::new("request-1");
        let payload = ToolPreInvokePayload::new(*tool);
        let _ = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
    }
}

const OUTCOMES: [&str; 7] =
    ["allowed", "denied", "plugin_error", "timeout", "refused", "mismatch", "other"];

#[test]
fn every_counter_of_a_plugin_is_there_at_0_before_its_first_call() {
    let scrape = read(&[("Guard".to_owned(), PluginStats::default())].into());
    for outcome in OUTCOMES {
        assert_eq!(counter(&scrape, "hookwire_calls_total", &[("outcome", outcome)]), 0.0);
    }
    let counters = scrape.samples.iter().filter(|sample| matches!(sample.value, Value::Counter(_)));
    assert_eq!(counters.clone().count(), 20);
    assert!(counters.into_iter().all(|sample| sample.value == Value::Counter(0.0)));
    assert!(scrape.samples.iter().all(|sample| sample.labels.get("plugin") == Some("Guard")));
}

#[tokio::test]
async fn calls_are_counted_by_what_became_of_them_and_their_durations_in_buckets() {
    let world = World::new().await;
    let handle = world.handle();
    call(&handle, &["a", "deny", "b", "fail", "c"]).await;
    let stats: BTreeMap<_, _> = [("Guard".to_owned(), handle.stats())].into();
    let scrape = read(&stats);
    let calls = |outcome| counter(&scrape, "hookwire_calls_total", &[("outcome", outcome)]);
    assert_eq!(OUTCOMES.map(calls), [3.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(gauge(&scrape, "hookwire_breaker", &[("state", "closed")]), 1.0);
    assert_eq!(gauge(&scrape, "hookwire_breaker", &[("state", "open")]), 0.0);
    assert_eq!(gauge(&scrape, "hookwire_connections", &[("state", "ready")]), 1.0);

    let times = &stats["Guard"].hooks["tool_pre_invoke"];
    for (outcome, expected) in
        [("allowed", &times.allowed), ("denied", &times.denied), ("failed", &times.failed)]
    {
        let labels = [("hook", "tool_pre_invoke"), ("outcome", outcome)];
        let name = "hookwire_call_duration_seconds";
        let Value::Histogram(buckets) = &sample(&scrape, name, &labels).value else {
            panic!("{name} is no histogram")
        };
        let found: Vec<_> = buckets.iter().map(|bucket| (bucket.less_than, bucket.count)).collect();
        let bounds =
            expected.cumulative().map(|(bound, count)| (bound.as_secs_f64(), count as f64));
        let all = (f64::INFINITY, expected.count() as f64);
        assert_eq!(found, bounds.chain([all]).collect::<Vec<_>>(), "{outcome}");
        let untyped =
            |suffix: &str| match &sample(&scrape, &format!("{name}{suffix}"), &labels).value {
                Value::Untyped(value) => *value,
                other => panic!("{other:?}"),
            };
        assert_eq!(untyped("_count"), expected.count() as f64);
        assert_eq!(Duration::from_secs_f64(untyped("_sum")), expected.sum());
    }
}

#[tokio::test]
async fn over_a_reload_no_counter_goes_back() {
    let world = World::new().await;
    let before = world.handle();
    call(&before, &["a", "deny", "fail"]).await;
    let total = before.stats();
    let first = read(&[("Guard".to_owned(), total.clone())].into());

    let after = world.handle();
    let mut sum = total;
    sum += &after.stats();
    let second = read(&[("Guard".to_owned(), sum.clone())].into());
    call(&after, &["a"]).await;
    let mut sum = before.stats();
    sum += &after.stats();
    let third = read(&[("Guard".to_owned(), sum)].into());

    let counters = |scrape: &Scrape| -> Vec<(String, f64)> {
        let counters = scrape.samples.iter().filter_map(|sample| match sample.value {
            Value::Counter(value) => Some((format!("{} {}", sample.metric, sample.labels), value)),
            _ => None,
        });
        counters.collect()
    };
    for (earlier, later) in [(&first, &second), (&second, &third)] {
        for ((name, before), (_, after)) in counters(earlier).iter().zip(counters(later)) {
            assert!(after >= *before, "{name}: {before}, then {after}");
        }
    }
    assert_eq!(counter(&third, "hookwire_calls_total", &[("outcome", "allowed")]), 2.0);
}

/// Names are the gateway's own, and need not be words. (The parser knows no escapes.)
#[test]
fn quotes_and_backslashes_in_a_plugins_name_are_escaped() {
    let name = r#"a "guard"\ of }=, tools"#.to_owned();
    let text = metrics::text([(name, PluginStats::default())].into());
    let line = r#"hookwire_calls_begun_total{plugin="a \"guard\"\\ of }=, tools"} 0"#;
    assert!(text.lines().any(|found| found == line), "{text}");
}

#[tokio::test]
async fn in_a_registry_they_are_read_anew_for_each_scrape() {
    let world = World::new().await;
    let handle = world.handle();
    let of = handle.clone();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(PluginMetrics::new(move || {
        [("Guard".to_owned(), of.stats())].into()
    })));
    for calls in [1.0, 2.0] {
        call(&handle, &["a"]).await;
        let mut text = String::new();
        prometheus_client::encoding::prometheus_text::encode(&mut text, &registry).unwrap();
        assert_eq!(counter(&scrape(&text), "hookwire_calls_begun_total", &[]), calls);
    }
}

/// What the documentation promises is what is there.
#[tokio::test]
async fn the_documented_metrics_are_those_that_there_are() {
    let world = World::new().await;
    let (gateway, _) = Gateway::builder().start([world.config.clone()]).await.unwrap();
    call(&gateway.handles()[0], &["a"]).await;
    let text = metrics::gateway_text(&gateway);
    let found: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let rows = include_str!("../src/metrics/mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split_once("` | "));
    let mut documented: Vec<(&str, &str)> =
        rows.map(|(name, rest)| (name, rest.split_once(" |").unwrap().0)).collect();
    let mut found = found;
    documented.sort_unstable();
    found.sort_unstable();
    assert_eq!(documented, found);
}

fn of_plugin(scrape: &Scrape, name: &str) -> f64 {
    gauge(scrape, name, &[("plugin", "Guard")])
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_an_error_disabled_and_what_the_background_dropped_are_seen() {
    let entry = |name: &str| PluginConfig::builder(name).socket("/s").hook("tool_pre_invoke");
    let broken = Answer::fail(HandlerError::new("broken"));
    let guard = Double::of(entry("Guard").on_error(OnError::Disable)).then(broken).build();
    let hangs = Answer::silence();
    let watcher = Double::of(entry("W").mode(PluginMode::FireAndForget)).always(hangs).build();
    let settings = Chain::builder().plugins([guard.handle(), watcher.handle()]).background(1);
    let (gateway, _) = Gateway::builder().settings(settings).start([]).await.unwrap();
    let before = scrape(&metrics::gateway_text(&gateway));
    assert_eq!(of_plugin(&before, "hookwire_plugin_left_out"), 0.0);
    assert_eq!(counter(&before, "hookwire_gateway_background_dropped_total", &[]), 0.0);

    for _ in 0..2 {
        let payload = ToolPreInvokePayload::new("a");
        let mut request = RequestContext::new("request-1");
        let ran = gateway.chain().run::<ToolPreInvoke>(payload, &mut request).await;
        assert!(ran.is_ok());
    }
    let after = scrape(&metrics::gateway_text(&gateway));
    assert_eq!(of_plugin(&after, "hookwire_plugin_left_out"), 1.0);
    assert_eq!(of_plugin(&after, "hookwire_plugin_ready"), 1.0, "requests pass without it");
    assert_eq!(counter(&after, "hookwire_gateway_background_dropped_total", &[]), 1.0);
    assert_eq!(gauge(&after, "hookwire_gateway_background_running", &[]), 1.0);
}

#[tokio::test]
async fn what_became_of_configurations_and_whether_requests_can_be_served_is_seen() {
    let world = World::new().await;
    let (gateway, _) = Gateway::builder().start([world.config.clone()]).await.unwrap();
    let scraped = || scrape(&metrics::gateway_text(&gateway));
    let reloads = |scrape: &Scrape| {
        ["applied", "failed"].map(|outcome| {
            counter(scrape, "hookwire_gateway_reloads_total", &[("outcome", outcome)])
        })
    };
    let first = scraped();
    assert_eq!(reloads(&first), [1.0, 0.0]);
    for name in ["hookwire_gateway_up_to_date", "hookwire_gateway_ready"] {
        assert_eq!(gauge(&first, name, &[]), 1.0, "{name}");
    }
    for (name, value) in [("ready", 1.0), ("checked", 1.0), ("refused", 0.0), ("left_out", 0.0)] {
        assert_eq!(of_plugin(&first, &format!("hookwire_plugin_{name}")), value, "{name}");
    }

    let twice = [world.config.clone(), world.config.clone()];
    assert!(gateway.apply(twice).await.is_err());
    let second = scraped();
    assert_eq!(reloads(&second), [1.0, 1.0]);
    assert_eq!(gauge(&second, "hookwire_gateway_up_to_date", &[]), 0.0);

    gateway.apply([]).await.unwrap();
    let third = scraped();
    assert_eq!(reloads(&third), [2.0, 1.0]);
    assert_eq!(gauge(&third, "hookwire_gateway_up_to_date", &[]), 1.0);
    let of_plugins = |sample: &&Sample| sample.metric.starts_with("hookwire_plugin_");
    assert_eq!(third.samples.iter().filter(of_plugins).count(), 0, "it is gone");
}
