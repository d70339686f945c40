//! What a server says of the plugin when it is asked: a question for which no hook runs.

use std::time::Duration;

use hookwire::model::Object;
use hookwire::{CallOptions, Difference, EffectiveConfig, PluginConfig, PluginError, PluginHandle};

use super::judge;

/// Stands for the plugin where the servers alone are looked at; logs show it.
pub(super) const ANY: &str = "*";

pub(super) struct Answer {
    pub(super) effective: EffectiveConfig,
    /// Why there is none.
    pub(super) error: Option<PluginError>,
    /// The plugins of a server that does not know this one.
    pub(super) others: Option<Vec<Object>>,
}

pub(super) async fn ask(config: PluginConfig, limit: Duration) -> Answer {
    let handle = PluginHandle::connect_lazy(config);
    let asked = handle.with(CallOptions::new().timeout(limit));
    let outcome = match handle.name() {
        ANY => asked.plugin_configs().await.map(drop),
        _ => asked.verify().await,
    };
    // Others are what follows from an answer.
    let error = outcome.err().filter(judge::tells_nothing);
    let effective = handle.config();
    let others = match error.is_none() && effective.differences().contains(&Difference::Unknown) {
        true => asked.plugin_configs().await.ok(),
        false => None,
    };
    Answer { effective, error, others }
}
