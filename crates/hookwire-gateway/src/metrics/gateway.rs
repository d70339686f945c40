//! Numbers of a whole gateway: its plugins, and what is none of theirs.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType::{Counter, Gauge};

use super::{encode_plugins, encoded};
use crate::gateway::{Gateway, PluginHealth};

/// A collector of what a [`Gateway`] and its plugins do, for a [`Registry`](super::Registry) of
/// `prometheus-client`. See the [module](super) for an example.
#[derive(Debug)]
pub struct GatewayMetrics(Gateway);

impl GatewayMetrics {
    /// The gateway is looked at for each scrape.
    #[must_use]
    pub fn new(gateway: Gateway) -> Self {
        Self(gateway)
    }
}

/// What a gateway and its plugins do, in the text format of Prometheus. It may be put before or
/// behind what another exporter writes in this format.
#[must_use]
pub fn gateway_text(gateway: &Gateway) -> String {
    encoded(GatewayMetrics::new(gateway.clone()))
}

/// Something that is so or is not so of each plugin that runs.
struct State {
    name: &'static str,
    help: &'static str,
    holds: fn(&PluginHealth) -> bool,
}

const STATES: [State; 4] = [
    State {
        name: "hookwire_plugin_ready",
        help: "1 if requests do not stop for want of the plugin.",
        holds: PluginHealth::is_ready,
    },
    State {
        name: "hookwire_plugin_left_out",
        help: "1 if the plugin is left out since an error.",
        holds: |plugin| plugin.left_out,
    },
    State {
        name: "hookwire_plugin_refused",
        help: "1 if each call is refused without being made.",
        holds: |plugin| plugin.refused.is_some(),
    },
    State {
        name: "hookwire_plugin_checked",
        help: "1 if the server that is called now has told its own entry.",
        holds: |plugin| plugin.checked,
    },
];

impl Collector for GatewayMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(gateway) = self;
        encode_plugins(&gateway.stats(), &mut encoder)?;
        let health = gateway.health();
        for State { name, help, holds } in STATES {
            let mut metric = encoder.encode_descriptor(name, help, None, Gauge)?;
            for plugin in &health {
                let labels = [("plugin", &*plugin.name)];
                metric.encode_family(&labels)?.encode_gauge(&u64::from(holds(plugin)))?;
            }
        }
        let (reloads, chain) = (gateway.reload_stats(), gateway.chain());
        let (name, help) = ("hookwire_gateway_reloads", "Configurations, by what became of them.");
        let mut metric = encoder.encode_descriptor(name, help, None, Counter)?;
        for (outcome, count) in [("applied", reloads.applied), ("failed", reloads.failed)] {
            let labels = [("outcome", outcome)];
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
        }
        let (name, help) = (
            "hookwire_gateway_background_dropped",
            "Calls in the background that were dropped, for there was no room.",
        );
        let mut metric = encoder.encode_descriptor(name, help, None, Counter)?;
        metric.encode_counter::<NoLabelSet, u64, f64>(&chain.background_dropped(), None)?;
        let gauges = [
            (
                "hookwire_gateway_up_to_date",
                "1 if the last configuration was taken over.",
                u64::from(reloads.up_to_date),
            ),
            (
                "hookwire_gateway_ready",
                "1 if requests can be served now.",
                u64::from(gateway.is_ready()),
            ),
            (
                "hookwire_gateway_background_running",
                "Calls in the background.",
                chain.background_running() as u64,
            ),
        ];
        for (name, help, value) in gauges {
            encoder.encode_descriptor(name, help, None, Gauge)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}
