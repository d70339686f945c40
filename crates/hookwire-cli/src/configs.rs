//! `hookwire configs`: what a server says about its plugins.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwire::config::{Difference, OnError, PluginMode};
use hookwire::model::Object;
use hookwire::{HookRegistry, PluginHandle, ServerEntry};
use serde_json::Value;

use crate::failure::{self, Failure};
use crate::input;
use crate::place::{Limits, Place};

/// Stands for the plugin where all are asked for; the log shows it.
const ALL: &str = "*";

/// Print the configuration of one plugin (an object) or of all (a list) as JSON.
///
/// This is the server's own configuration and may hold secrets. What in it keeps a plugin
/// from denying is warned of on stderr; `hookwire check` compares it with a gateway's entry.
#[derive(Debug, Args)]
pub(crate) struct Configs {
    #[command(flatten)]
    place: Place,
    /// Only this plugin; servers ignore the case here.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// The time for the whole question, in seconds.
    #[arg(long, value_name = "SECS", default_value = input::TIMEOUT.as_str(), value_parser = input::seconds, allow_negative_numbers = true)]
    timeout: Duration,
    /// Print over several lines.
    #[arg(long)]
    pretty: bool,
}

impl Configs {
    pub(crate) async fn run(self, json: bool) -> Result<ExitCode, Failure> {
        let limits = Limits { connections: Some(1), message_len: None };
        let plugin = self.place.plugin(self.plugin.as_deref().unwrap_or(ALL), limits)?;
        let plugin = self.place.build(plugin.timeout(self.timeout))?;
        let handle = PluginHandle::connect_lazy(plugin);
        let failed = |error| self.place.failed(error);
        match &self.plugin {
            None => {
                let configs = handle.plugin_configs().await.map_err(failed)?;
                configs.iter().for_each(|config| self.warn_of(config, json));
                failure::print_json(&configs, self.pretty)?;
            }
            Some(name) => match handle.plugin_config().await.map_err(failed)? {
                Some(config) => {
                    self.warn_of(&config, json);
                    failure::print_json(&config, self.pretty)?;
                }
                None => {
                    let endpoint = handle.config().endpoint().clone();
                    return Err(Failure::not_found(format!(
                        "the server at {endpoint} knows no plugin `{name}`; `hookwire configs` without --plugin lists those it knows"
                    )));
                }
            },
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Tells what would keep a plugin from denying, or let requests pass where it fails:
    /// nothing that arrives at the gateway would show it.
    fn warn_of(&self, config: &Object, json: bool) {
        let name = config.get("name").and_then(Value::as_str).unwrap_or(ALL);
        let Ok(guard) = self.place.plugin(name, Limits::default()) else { return };
        let guard = guard.mode(PluginMode::default()).on_error(OnError::default()).build();
        // A name that none can be configured with is told where it is configured.
        let Ok(guard) = guard else { return };
        let server = ServerEntry::from(config.clone());
        for found in Difference::between(&guard, &server, &HookRegistry::builtin()) {
            if found.is_weaker() {
                failure::warn(
                    json,
                    &format!("plugin `{name}`, for a gateway that takes it for a guard: {found}"),
                );
            }
        }
    }
}
