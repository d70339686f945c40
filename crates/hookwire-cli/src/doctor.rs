//! `hookwire doctor`: whether the plugins of a gateway's file would do what it says.
//!
//! `path` looks at what is there, `judge` at what both sides say, and `table` shows it.

mod finding;
mod judge;
mod path;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwire::config::Transport;
use hookwire::{CallOptions, Difference, PluginConfig, PluginHandle};
use hookwire_gateway::{GatewayConfig, GatewayConfigError, LeftOut};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::failure::{self, Failure};
use crate::{input, text};
use finding::{Finding, Level};
use path::Owner;

/// Look at all plugins of a gateway's configuration file, and tell what keeps a guard from
/// guarding, and what to do.
///
/// Reads the file as a gateway does, with the environment of this process for its templates.
/// Of each plugin behind a Unix socket: what is at its path and who may connect, whether its
/// server answers a question that runs no hook, and where both sides' names, hooks, `mode` and
/// `on_error` contradict each other. A server acts on its own entry first: with `mode: audit`
/// there, for one, a denial arrives as an allow.
///
/// Entries that are not behind Unix sockets are named: the gateway must run them in another way,
/// and one that may deny and is not run is a guard that does not guard. Where the gateway runs
/// them, say so with --runs-others.
///
/// Exit code 1 if a plugin that may deny would not, by any of it (FAIL); 2 if the file cannot be
/// used. With --json, prints {"file", "guards", "plugins": [{"plugin", "line", "socket",
/// "state", "mode", "on_error", "hooks", "owner", "findings": [{"level", "check", "message",
/// "advice"}]}], "left_out": [{"name", "kind", "line", "mode",
/// "state"}]}.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The gateway's configuration file, in YAML.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// The time that each server has to answer, in seconds.
    #[arg(long, value_name = "SECS", default_value = "5", value_parser = input::seconds, allow_negative_numbers = true)]
    timeout: Duration,
    /// This gateway runs the plugins itself that are not behind Unix sockets.
    #[arg(long)]
    runs_others: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    file: String,
    guards: bool,
    plugins: &'a [Patient],
    left_out: Vec<Other<'a>>,
}

/// An entry that is not behind a Unix socket.
#[derive(Serialize)]
struct Other<'a> {
    name: &'a str,
    kind: &'a str,
    line: Option<usize>,
    mode: &'static str,
    state: Level,
    #[serde(skip)]
    told: String,
}

impl<'a> Other<'a> {
    fn new(entry: &'a LeftOut, is_run: bool) -> Self {
        let state = match entry.mode() {
            mode if judge::may_deny(mode) && !is_run => Level::Fail,
            _ => Level::Note,
        };
        let mode = entry.mode().as_str();
        let told = match state {
            Level::Fail => format!(
                "{entry}, and may deny (`mode: {mode}`): no handle of hookwire runs it -> this gateway must run it in another way; if it does, say `--runs-others`"
            ),
            _ => format!("not looked at: {entry} (`mode: {mode}`)"),
        };
        Self { name: entry.name(), kind: entry.kind(), line: entry.line(), mode, state, told }
    }
}

/// A plugin that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Patient {
    plugin: String,
    line: Option<usize>,
    socket: String,
    state: Level,
    mode: &'static str,
    on_error: &'static str,
    hooks: Option<Vec<String>>,
    owner: Option<Owner>,
    findings: Vec<Finding>,
    #[serde(skip)]
    guards: bool,
}

impl Doctor {
    pub(crate) async fn run(self, json: bool) -> Result<ExitCode, Failure> {
        let config =
            GatewayConfig::from_path(&self.config).map_err(|error| refused(error, json))?;
        let patients = self.examine(&config).await?;
        let others = config.left_out().iter();
        let others: Vec<_> = others.map(|entry| Other::new(entry, self.runs_others)).collect();
        let states = patients.iter().map(|patient| patient.state);
        let states: Vec<_> = states.chain(others.iter().map(|other| other.state)).collect();
        let guards = states.iter().all(|state| *state < Level::Fail);
        if json {
            let file = self.config.display().to_string();
            let report = Report { file, guards, plugins: &patients, left_out: others };
            failure::print_json(&report, false)?;
        } else {
            let others = others.iter().map(|other| {
                table::wrapped(&format!("{:6}", other.state.as_str()), &text::one_line(&other.told))
            });
            let table = if patients.is_empty() { String::new() } else { table::table(&patients) };
            failure::print(format_args!(
                "{table}{}{}",
                others.collect::<String>(),
                table::sum(patients.len(), &states)
            ))?;
        }
        Ok(if guards { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// All at once, since one that hangs takes its whole time.
    async fn examine(&self, config: &GatewayConfig) -> Result<Vec<Patient>, Failure> {
        let mut looks = JoinSet::new();
        for (index, plugin) in config.plugins().iter().enumerate() {
            let (plugin, line, timeout) =
                (plugin.clone(), config.line_of(plugin.name()), self.timeout);
            looks.spawn(async move { (index, examine(plugin, line, timeout).await) });
        }
        let mut patients: Vec<_> = looks.join_all().await;
        patients.sort_by_key(|(index, _)| *index);
        let mut patients: Vec<_> = patients.into_iter().map(|(_, patient)| patient).collect();
        for warning in config.warnings() {
            let patient =
                patients.iter_mut().find(|patient| Some(&*patient.plugin) == warning.plugin());
            if let Some(patient) = patient {
                patient.add(judge::warning(warning, &patient.findings, patient.guards));
            }
        }
        Ok(patients)
    }
}

/// Every problem of the file is a line of its own.
pub(crate) fn refused(error: GatewayConfigError, json: bool) -> Failure {
    let problems: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    if json || problems.len() == 1 {
        return Failure::config(problems.join("; "));
    }
    problems.iter().for_each(|problem| failure::note(format_args!("hookwire: {problem}")));
    Failure::config(format!("{} problems in the file; no plugin was looked at", problems.len()))
}

async fn examine(config: PluginConfig, line: Option<usize>, timeout: Duration) -> Patient {
    let handle = PluginHandle::connect_lazy(config.clone());
    let disabled = config.mode() == hookwire::config::PluginMode::Disabled;
    let guards = judge::may_deny(config.mode());
    let (path, trusts) = match config.transport() {
        Transport::Unix(socket) => (socket.path().to_owned(), socket.trust_path()),
        _ => (PathBuf::new(), false),
    };
    let look = path::look(&path, guards, trusts);
    let asked = handle.with(CallOptions::new().timeout(timeout));
    let answer = if look.is_socket { Some(asked.verify().await) } else { None };
    let effective = handle.config();
    let mut patient = Patient {
        plugin: config.name().to_owned(),
        line,
        socket: config.endpoint().to_string(),
        state: Level::Ok,
        mode: effective.mode().as_str(),
        on_error: effective.on_error().as_str(),
        hooks: effective.hooks().known().map(<[String]>::to_vec),
        owner: look.owner,
        findings: Vec::new(),
        guards: judge::may_deny(effective.mode()),
    };
    if disabled {
        patient.add([judge::disabled_here(effective.server())]);
        return patient;
    }
    patient.add(look.findings);
    patient.add(judge::entry(&config));
    match answer {
        None => {}
        Some(Err(error)) if judge::tells_nothing(&error) => {
            patient.add([judge::no_answer(&error, guards)]);
        }
        Some(_) => {
            let guards = judge::may_deny(effective.mode());
            let others = match effective.differences().contains(&Difference::Unknown) {
                true => asked.plugin_configs().await.ok(),
                false => None,
            };
            patient.add(judge::answer(&config, &effective, guards, others.as_deref()));
        }
    }
    patient
}

impl Patient {
    fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        self.state = self.findings.first().map_or(Level::Ok, |worst| worst.level);
    }
}
