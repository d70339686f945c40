//! `hookwire doctor`: whether the plugins of a gateway's file would do what it says.
//!
//! `path` and `servers` look at what is there, `judge` at what both sides say, and `table` shows
//! it.

mod answer;
mod finding;
mod judge;
mod path;
mod patient;
mod servers;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hookwire_gateway::{GatewayConfig, GatewayConfigError, LeftOut};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::failure::{self, Failure};
use crate::place::{GrpcFlags, Limits, Place};
use crate::{input, text};
use finding::Level;
use patient::Patient;

/// Look at all plugins of a gateway's configuration file, and tell what keeps a guard from
/// guarding, and what to do.
///
/// Reads the file as a gateway does, with the environment of this process for its templates.
/// Of each plugin behind a Unix socket: what is at its path and who may connect, whether its
/// server answers a question that runs no hook, and where both sides' names, hooks, `mode` and
/// `on_error` contradict each other. A server acts on its own entry first: with `mode: audit`
/// there, for one, a denial arrives as an allow.
///
/// Over gRPC it looks at each server of the entry, every address of a name: whether it can be
/// connected to, its certificate, whose that is and how long it holds, whether it asks for a
/// client certificate, and the same answers. It begins TLS once more than a gateway does, without
/// a client certificate, which a server that demands one may log. Servers of no file are looked
/// at with --grpc.
///
/// Entries that are reached in neither way are named: the gateway must run them by itself,
/// and one that may deny and is not run is a guard that does not guard. Where the gateway runs
/// them, say so with --runs-others.
///
/// Exit code 1 if a plugin that may deny would not, by any of it (FAIL); 2 if the file cannot be
/// used. With --json, prints {"file", "guards", "plugins": [{"plugin", "line", "socket",
/// "state", "mode", "on_error", "hooks", "owner", "servers": [{"server", "state", "seen",
/// "certificate": {"names", "issuer", "expires"}}], "findings": [{"level", "check", "message",
/// "advice"}]}], "left_out": [{"name", "kind", "line", "mode", "state"}]}; `servers` are those of
/// an entry over gRPC, and `socket` names its targets.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The gateway's configuration file, in YAML.
    #[arg(value_name = "CONFIG", required_unless_present = "targets", conflicts_with = "targets")]
    config: Option<PathBuf>,
    #[command(flatten)]
    grpc: GrpcFlags,
    /// With --grpc: the plugin that the servers must know, with exact case. Without it, only the
    /// servers are looked at.
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    plugin: Option<String>,
    /// The time that each server has to answer, in seconds; over gRPC, to connect, to begin TLS
    /// and to answer each.
    #[arg(long, value_name = "SECS", default_value = "5", value_parser = input::seconds, allow_negative_numbers = true)]
    timeout: Duration,
    /// This gateway runs the plugins itself that are reached in neither way.
    #[arg(long)]
    runs_others: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    file: Option<String>,
    guards: bool,
    plugins: &'a [Patient],
    left_out: Vec<Other<'a>>,
}

/// An entry that is neither behind a socket nor reached over gRPC.
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

impl Doctor {
    pub(crate) async fn run(self, json: bool) -> Result<ExitCode, Failure> {
        let Some(path) = &self.config else { return self.servers(json).await };
        self.grpc.refuse()?;
        let config = GatewayConfig::from_path(path).map_err(|error| refused(error, json))?;
        let patients = self.examine(&config).await?;
        let others = config.left_out().iter();
        let others: Vec<_> = others.map(|entry| Other::new(entry, self.runs_others)).collect();
        let states = patients.iter().map(|patient| patient.state);
        let states: Vec<_> = states.chain(others.iter().map(|other| other.state)).collect();
        let guards = states.iter().all(|state| *state < Level::Fail);
        if json {
            let file = Some(path.display().to_string());
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

    /// Without a file: servers that are named here.
    async fn servers(&self, json: bool) -> Result<ExitCode, Failure> {
        let place = Place::over_grpc(self.grpc.clone());
        let name = self.plugin.as_deref().unwrap_or(answer::ANY);
        let plugin = place.build(place.plugin(name, Limits::default())?)?;
        let mut patient = patient::examine(plugin, None, self.timeout).await;
        for finding in &mut patient.findings {
            finding.message = place.told(&finding.message);
            finding.advice = place.told(&finding.advice);
        }
        let guards = patient.state < Level::Fail;
        let patients = [patient];
        if json {
            let report = Report { file: None, guards, plugins: &patients, left_out: Vec::new() };
            failure::print_json(&report, false)?;
        } else {
            let sum = match guards {
                true => "nothing keeps the plugin from its work",
                false => "the plugin would not do its work",
            };
            failure::print(format_args!("{}{sum}", table::table(&patients)))?;
        }
        Ok(if guards { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// All at once, since one that hangs takes its whole time.
    async fn examine(&self, config: &GatewayConfig) -> Result<Vec<Patient>, Failure> {
        let mut looks = JoinSet::new();
        for (index, plugin) in config.plugins().iter().enumerate() {
            let (plugin, line, timeout) =
                (plugin.clone(), config.line_of(plugin.name()), self.timeout);
            looks.spawn(async move { (index, patient::examine(plugin, line, timeout).await) });
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
