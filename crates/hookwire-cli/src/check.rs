//! `hookwire check`: a gateway's entry of a plugin, held against its server's.

use std::process::ExitCode;

use clap::Args;
use hookwire::{PluginConfig, PluginHandle};
use serde::Serialize;

use crate::failure::{self, Failure};
use crate::input;

/// Ask a plugin's server as a gateway with this entry would, and tell where they contradict
/// each other.
///
/// A plugin's server acts on its own entry first: with `mode: audit` there, for one, a
/// denial arrives as an allow. Prints {"plugin", "socket", "mode", "on_error", "hooks",
/// "differences": [{"weaker", "message"}]}, the first ones as they hold for the gateway;
/// `hooks` is null where neither side names any, and `socket` names the targets of an entry over
/// gRPC.
///
/// Exit code 1 if the plugin guards less than the entry asks for (`weaker`), or cannot be
/// asked.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The plugin's entry of the gateway's configuration: a JSON object, @FILE, or - for
    /// stdin.
    #[arg(value_name = "JSON|@FILE|-")]
    entry: String,
    /// Print over several lines.
    #[arg(long)]
    pretty: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    plugin: &'a str,
    socket: String,
    mode: &'static str,
    on_error: &'static str,
    hooks: Option<&'a [String]>,
    differences: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    weaker: bool,
    message: String,
}

impl Check {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let entry = input::object("the entry", &self.entry)?;
        let config = PluginConfig::from_value(entry.into())?;
        let handle = PluginHandle::builder(config).allow_no_hooks().connect_lazy();
        handle.verify().await?;

        let (config, hooks) = (handle.config(), handle.hooks());
        let differences = config.differences().iter();
        let differences = differences.map(|difference| Told {
            weaker: difference.is_weaker(),
            message: difference.to_string(),
        });
        let report = Report {
            plugin: config.name(),
            socket: config.endpoint().to_string(),
            mode: config.mode().as_str(),
            on_error: config.on_error().as_str(),
            hooks: hooks.known(),
            differences: differences.collect(),
        };
        failure::print_json(&report, self.pretty)?;
        let weaker = report.differences.iter().any(|difference| difference.weaker);
        Ok(if weaker { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
