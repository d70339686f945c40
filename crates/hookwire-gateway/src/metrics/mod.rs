//! What the plugins of a gateway do, in numbers for Prometheus.
//!
//! [`GatewayMetrics`] goes into the gateway's own [`Registry`], [`gateway_text`] is for gateways
//! without one. Both take a snapshot when they are asked, so there is no task, no global recorder,
//! and nothing on the way of a call. [`PluginMetrics`] and [`text`] are the same for whoever has
//! plugins and no [`Gateway`](crate::Gateway): the first of the tables below.
//!
//! Plugins are told apart by their configured names: where the snapshots are totals, as
//! [`Gateway::stats`](crate::Gateway::stats) has them, counters go on over reloads. Names of plugins
//! that were removed stay there, with their gauges at rest, so names should come from a bounded
//! set.
//!
//! These have the label `plugin`. Every counter of a plugin is there from the start, at 0;
//! the durations of a hook from its first call on. Times are in seconds, sizes in bytes.
//!
//! | name | type | other labels | what |
//! |---|---|---|---|
//! | `hookwire_calls_begun_total` | counter | | calls of hooks |
//! | `hookwire_calls_total` | counter | `outcome` | ended calls; those that their callers dropped have no outcome |
//! | `hookwire_call_duration_seconds` | histogram | `hook`, `outcome` | how long calls took ([`HookStats`](hookwire::HookStats)), 20 µs to 50 s |
//! | `hookwire_inexact_total` | counter | `direction` | requests and replies that came over as something else: rounded, or null for NaN |
//! | `hookwire_retries_total` | counter | | requests sent again |
//! | `hookwire_retries_refused_total` | counter | | requests not sent again: the retry budget was spent |
//! | `hookwire_config_answers_total` | counter | | answers of the server about the plugin's entry |
//! | `hookwire_config_changes_total` | counter | | how often such an answer was another one |
//! | `hookwire_breaker_opened_total` | counter | | outages |
//! | `hookwire_panics_total` | counter | | panics of other code that were caught |
//! | `hookwire_abandoned_total` | counter | | requests and replies whose callers had left |
//! | `hookwire_reconnects_total` | counter | | connections made in place of another |
//! | `hookwire_traffic_bytes_total` | counter | `direction` | bytes on the sockets, frames included |
//! | `hookwire_calls_waiting` | gauge | | calls that wait for a slot |
//! | `hookwire_requests_queued` | gauge | | requests that wait to be sent |
//! | `hookwire_requests_in_flight` | gauge | | requests that wait for their reply |
//! | `hookwire_connections` | gauge | `state` | connections in this [state](hookwire::ConnectionState) |
//! | `hookwire_breaker` | gauge | `state` | 1 for the [state](hookwire::BreakerState) that it is in, 0 for the others |
//!
//! `outcome` is `allowed` or `denied`; and for calls without a verdict `plugin_error` (the plugin
//! failed), `timeout`, `refused` (not sent), `mismatch` (another's reply), `other` (connection
//! lost, reply not understood); of durations it is `failed` for all of these. `direction` is
//! `sent` or `received`.
//!
//! Of a gateway also these; those of a `plugin` only for plugins that run now:
//!
//! | name | type | labels | what |
//! |---|---|---|---|
//! | `hookwire_plugin_ready` | gauge | `plugin` | 1 if requests do not stop for want of it ([`is_ready`](crate::PluginHealth::is_ready)) |
//! | `hookwire_plugin_left_out` | gauge | `plugin` | 1 if it is left out since an error (`on_error: disable`): requests pass without it |
//! | `hookwire_plugin_refused` | gauge | `plugin` | 1 if each call of it is refused without being made: it is disabled, or cannot be used as it is configured |
//! | `hookwire_plugin_checked` | gauge | `plugin` | 1 if the server that is called now has told its own entry |
//! | `hookwire_gateway_reloads_total` | counter | `outcome` | configurations that were `applied`, the first included, or `failed` |
//! | `hookwire_gateway_up_to_date` | gauge | | 1 if the last one was applied: 0 means that the gateway runs an old one |
//! | `hookwire_gateway_ready` | gauge | | 1 if requests can be served now ([`is_ready`](crate::Gateway::is_ready)) |
//! | `hookwire_gateway_background_running` | gauge | | calls that nobody waits for (`fire_and_forget`) |
//! | `hookwire_gateway_background_dropped_total` | counter | | the same that were dropped, for there was no room |
//!
//! Built on `prometheus-client`, because its collectors encode histograms that were counted
//! elsewhere as they are. The facade `metrics` takes single values only, which would mean to
//! invent one for each call in a bucket.
//!
//! ```
//! use hookwire_gateway::Gateway;
//! use hookwire_gateway::metrics::{self, GatewayMetrics, Registry};
//!
//! # fn serve(gateway: Gateway) {
//! // What `GET /metrics` answers, with this media type:
//! println!("{}\n{}", metrics::CONTENT_TYPE, metrics::gateway_text(&gateway));
//!
//! // Or beside the gateway's own metrics:
//! let mut registry = Registry::default();
//! registry.register_collector(Box::new(GatewayMetrics::new(gateway)));
//! # }
//! ```

mod gateway;
mod table;

use std::collections::BTreeMap;
use std::fmt;

use hookwire::{LatencyHistogram, PluginStats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
pub use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

pub use gateway::{GatewayMetrics, gateway_text};
use table::{METRICS, Metric, Series};

/// The media type of [`text`]: the text format of Prometheus, version 0.0.4.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

type Snapshot = BTreeMap<String, PluginStats>;

/// A collector of what the plugins do, for a [`Registry`] of `prometheus-client`, where
/// there is no [`Gateway`](crate::Gateway).
///
/// ```
/// use hookwire_gateway::metrics::{PluginMetrics, Registry};
///
/// # fn register(guard: hookwire::PluginHandle) {
/// let mut registry = Registry::default();
/// let stats = move || [(guard.name().to_owned(), guard.stats())].into();
/// registry.register_collector(Box::new(PluginMetrics::new(stats)));
/// # }
/// ```
pub struct PluginMetrics {
    stats: Box<dyn Fn() -> Snapshot + Send + Sync>,
}

impl PluginMetrics {
    /// `stats` is called for each scrape: what each plugin has counted, by its name.
    #[must_use]
    pub fn new(stats: impl Fn() -> BTreeMap<String, PluginStats> + Send + Sync + 'static) -> Self {
        Self { stats: Box::new(stats) }
    }
}

/// What the plugins have counted, in the text format of Prometheus. It may be put before or
/// behind what another exporter writes in this format.
#[must_use]
pub fn text(stats: BTreeMap<String, PluginStats>) -> String {
    encoded(PluginMetrics::new(move || stats.clone()))
}

fn encoded(collector: impl Collector) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

impl Collector for PluginMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_plugins(&(self.stats)(), &mut encoder)
    }
}

fn encode_plugins(plugins: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for Metric { name, kind, help, series } in METRICS {
        let mut metric = encoder.encode_descriptor(name, help, None, *kind)?;
        for (plugin, stats) in plugins {
            for Series { label, read } in *series {
                let labels: Vec<_> = [("plugin", &**plugin)].into_iter().chain(*label).collect();
                number(metric.encode_family(&labels)?, *kind, read(stats))?;
            }
        }
    }
    let (name, help) = ("hookwire_call_duration", "How long calls of hooks took.");
    let (unit, kind) = (Unit::Seconds, MetricType::Histogram);
    let mut metric = encoder.encode_descriptor(name, help, Some(&unit), kind)?;
    for (plugin, stats) in plugins {
        for (hook, times) in &stats.hooks {
            let outcomes =
                [("allowed", &times.allowed), ("denied", &times.denied), ("failed", &times.failed)];
            for (outcome, latency) in outcomes {
                let labels = [("plugin", &**plugin), ("hook", hook), ("outcome", outcome)];
                durations(metric.encode_family(&labels)?, latency)?;
            }
        }
    }
    Ok(())
}

fn number(mut metric: MetricEncoder<'_>, kind: MetricType, value: u64) -> fmt::Result {
    match kind {
        MetricType::Counter => metric.encode_counter::<NoLabelSet, u64, f64>(&value, None),
        _ => metric.encode_gauge(&value),
    }
}

fn durations(mut metric: MetricEncoder<'_>, latency: &LatencyHistogram) -> fmt::Result {
    let mut below = 0;
    let buckets: Vec<_> = latency
        .cumulative()
        .map(|(bound, count)| {
            let own = count - std::mem::replace(&mut below, count);
            (bound.as_secs_f64(), own)
        })
        .collect();
    let (sum, count) = (latency.sum().as_secs_f64(), latency.count());
    metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}

impl fmt::Debug for PluginMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PluginMetrics")
    }
}
