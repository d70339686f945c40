//! `hookwire top`: how the plugins are, live.
//!
//! `watch` asks them, `row` is what there is to show of one, `table` draws, and `screen` is the
//! terminal.

mod row;
mod screen;
mod table;
mod watch;

use std::io::IsTerminal;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwire::config::PluginMode;
use hookwire::{PluginConfig, PluginHandle};
use hookwire_gateway::GatewayConfig;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::failure::{self, Failure};
use crate::place::{GrpcFlags, Limits, Place};
use crate::{doctor, input};
use row::Row;
use screen::Screen;
use watch::Watched;

/// Stands for the plugin where all are asked for; the log shows it.
const ALL: &str = "*";

/// Show how the plugins of a gateway's file, or of one server or several equal ones, are,
/// until q or Ctrl-C.
///
/// Asks each plugin for its configuration, a few times a second over a connection of its own,
/// and shows state, breaker, and how fast it answers. No hook runs, and the gateway's own calls
/// are not in it: a plugin that is busy with those is seen by its answers, which wait behind them
/// on a server that does one thing at a time.
///
/// Where stdout is no terminal, prints a line for each plugin each time; with --json an object
/// {"plugin", "state", "breaker", "answers_per_second", "p50_us", "p99_us", "in_flight",
/// "unanswered", "error"}. Times are those of the last minute.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The gateway's configuration file, in YAML, or the socket of a plugin server.
    #[arg(
        value_name = "CONFIG|SOCKET",
        required_unless_present = "targets",
        conflicts_with = "targets"
    )]
    target: Option<PathBuf>,
    #[command(flatten)]
    grpc: GrpcFlags,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "SECS", value_parser = input::seconds, allow_negative_numbers = true)]
    limit: Option<Duration>,
    /// Show anew each time so many seconds have passed.
    #[arg(long, value_name = "SECS", default_value = "1", value_parser = input::seconds, allow_negative_numbers = true)]
    every: Duration,
    /// The time that a plugin has to answer, in seconds.
    #[arg(long, value_name = "SECS", default_value = "5", value_parser = input::seconds, allow_negative_numbers = true)]
    timeout: Duration,
}

impl Top {
    pub(crate) async fn run(self, json: bool) -> Result<ExitCode, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::io("listen to signals"));
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let plugins = self.plugins(json).await?;
        if plugins.is_empty() {
            let target = self.title();
            return Err(Failure::not_found(format!(
                "{target} has no plugin behind a socket or over gRPC"
            )));
        }
        let watched: Vec<_> =
            plugins.into_iter().map(|plugin| Watched::start(plugin, self.timeout)).collect();

        let mut screen = match std::io::stdout().is_terminal() && !json {
            true => Some(Screen::open().map_err(Failure::io("use the terminal"))?),
            false => None,
        };
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // At once there is nothing to show but on a screen.
        if screen.is_none() {
            ticks.tick().await;
        }
        let end = async {
            match self.limit {
                Some(limit) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            let quit = async {
                match &mut screen {
                    Some(screen) => screen.quit().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut end => break,
                () = quit => break,
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = ticks.tick() => {}
            }
            let rows: Vec<Row> = watched.iter().map(Watched::row).collect();
            match &mut screen {
                Some(screen) => {
                    let title = self.title();
                    screen
                        .show(|size| table::draw(&title, &rows, size))
                        .map_err(Failure::io("write to the terminal"))?;
                }
                None => rows.iter().try_for_each(|row| match json {
                    true => failure::print_json(row, false),
                    false => failure::print(row.line()),
                })?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What is to be watched.
    async fn plugins(&self, json: bool) -> Result<Vec<PluginConfig>, Failure> {
        let Some(target) = &self.target else {
            return self.served(&Place::over_grpc(self.grpc.clone())).await;
        };
        self.grpc.refuse()?;
        let is_socket = std::fs::metadata(target).is_ok_and(|file| file.file_type().is_socket());
        if is_socket {
            let socket = std::path::absolute(target).map_err(Failure::io("read the path"))?;
            return self.served(&Place::socket(socket)).await;
        }
        let config =
            GatewayConfig::from_path(target).map_err(|error| doctor::refused(error, json))?;
        let (here, off): (Vec<_>, _) = config
            .into_plugins()
            .into_iter()
            .partition(|plugin| plugin.mode() != PluginMode::Disabled);
        for plugin in off {
            failure::warn(json, &format!("plugin `{}` is disabled, and not asked", plugin.name()));
        }
        Ok(here)
    }

    /// All plugins of one server.
    async fn served(&self, place: &Place) -> Result<Vec<PluginConfig>, Failure> {
        let plugin = |name: &str| place.build(place.plugin(name, Limits::default())?);
        let options = hookwire::CallOptions::new().timeout(self.timeout);
        let server = PluginHandle::connect_lazy(plugin(ALL)?).with(options);
        let configs = server.plugin_configs().await.map_err(|error| place.failed(error))?;
        let names = configs.iter().filter_map(|config| config.get("name").and_then(Value::as_str));
        names.map(plugin).collect()
    }

    /// What is looked at, as it was written.
    fn title(&self) -> String {
        match &self.target {
            Some(path) => path.display().to_string(),
            None => self.grpc.targets().join(", "),
        }
    }
}
