//! `hookwire configs`: what a server says about its plugins.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwire::model::Object;
use hookwire::{PluginConfig, PluginHandle, UnixSocketConfig};

use crate::failure::{self, Failure};
use crate::{input, weakness};

/// Stands for the plugin where all are asked for; the log shows it.
const ALL: &str = "*";

/// Print the configuration of one plugin (an object) or of all (a list) as JSON.
///
/// This is the server's own configuration and may hold secrets. Where it lets requests pass
/// that a plugin denies, or fails for, a warning on stderr tells.
#[derive(Debug, Args)]
pub(crate) struct Configs {
    /// The plugin server's Unix socket, as an absolute path.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
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
        let socket = UnixSocketConfig::builder(&self.socket).max_connections(1);
        let plugin = PluginConfig::builder(self.plugin.as_deref().unwrap_or(ALL));
        let plugin = plugin.unix_socket(socket).timeout(self.timeout);
        let handle = PluginHandle::connect_lazy(plugin.build()?);
        match self.plugin {
            None => {
                let configs = handle.plugin_configs().await?;
                warn(json, &configs);
                failure::print_json(&configs, self.pretty)?;
            }
            Some(name) => match handle.plugin_config().await? {
                Some(config) => {
                    warn(json, std::slice::from_ref(&config));
                    failure::print_json(&config, self.pretty)?;
                }
                None => {
                    let path = self.socket.display();
                    return Err(Failure::not_found(format!(
                        "the server at {path} knows no plugin `{name}`; `hookwire configs` without --plugin lists those it knows"
                    )));
                }
            },
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn warn(json: bool, entries: &[Object]) {
    for warning in entries.iter().flat_map(weakness::of) {
        failure::warn(json, &warning);
    }
}
