//! `hookwire configs`: what a server says about its plugins.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwire::{PluginConfig, PluginHandle, UnixSocketConfig};

use crate::failure::{self, Failure};
use crate::input;

/// Stands for the plugin where all are asked for; the log shows it.
const ALL: &str = "*";

/// Print the configuration of one plugin (an object) or of all (a list) as JSON.
///
/// This is the server's own configuration and may hold secrets.
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
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let socket = UnixSocketConfig::builder(&self.socket).max_connections(1);
        let plugin = PluginConfig::builder(self.plugin.as_deref().unwrap_or(ALL));
        let plugin = plugin.unix_socket(socket).timeout(self.timeout);
        let handle = PluginHandle::connect_lazy(plugin.build()?);
        match self.plugin {
            None => failure::print_json(&handle.plugin_configs().await?, self.pretty)?,
            Some(name) => match handle.plugin_config().await? {
                Some(config) => failure::print_json(&config, self.pretty)?,
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
