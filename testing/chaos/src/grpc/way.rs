//! How a plugin over gRPC is called.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookwire::config::TlsConfig;
use hookwire::{CallPolicy, GrpcConfig, PluginConfig, PluginHandle, RetryPolicy};

use super::certificates::{Certificates, NAME};
use crate::site::{Contexts, Site};

/// Where a plugin's servers are, and how they are known.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) servers: Vec<SocketAddr>,
    /// Of servers with TLS.
    pub(crate) certificates: Option<Arc<Certificates>>,
}

impl Way {
    /// Bounds are small and waits are short, so that all of them are reached.
    pub(crate) fn handle(&self, site: &Site) -> PluginHandle {
        let mut dice = site.own_dice();
        let mut grpc = GrpcConfig::builder()
            .targets(self.servers.iter().map(ToString::to_string))
            .max_in_flight(dice.between(2, 32))
            .connect_timeout(Duration::from_millis(500))
            .reconnect_attempts(dice.between(1, 4) as u32)
            .reconnect_delay(dice.millis(5.0, 100.0))
            .keep_alive((!dice.one_in(4)).then(|| dice.millis(20.0, 500.0)));
        if let Some(certificates) = &self.certificates {
            let tls = TlsConfig::new().with_ca_bundle(certificates.bundle()).with_server_name(NAME);
            grpc = grpc.tls(tls);
        }
        let retry = match site.index % 8 {
            7 => RetryPolicy::Resend,
            1 | 4 | 6 => RetryPolicy::Unstarted,
            _ => RetryPolicy::Unsent,
        };
        let policy = CallPolicy::builder()
            .queue_capacity(dice.between(64, 1024))
            // So some calls have more time than the plugin, and most have less.
            .timeout(dice.millis(300.0, 2_000.0))
            .breaker_threshold(dice.between(1, 5) as u32)
            .breaker_max_open(dice.millis(50.0, 2_000.0))
            .retry_budget(dice.pick(&[0, 5, 20]))
            .retry(retry)
            .stamp(site.contexts == Contexts::Stamped);
        let config = PluginConfig::builder(&site.name).hook("tool_pre_invoke");
        let config = config.grpc(grpc).policy(policy);
        PluginHandle::connect_lazy(config.build().expect("a valid configuration"))
    }
}
