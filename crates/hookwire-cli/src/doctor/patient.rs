//! A plugin, looked at.

use std::time::Duration;

use hookwire::config::{PluginMode, Transport};
use hookwire::{EffectiveConfig, PluginConfig};
use serde::Serialize;

use super::answer::{self, Answer, ask};
use super::finding::{Finding, Level};
use super::judge;
use super::path::{self, Owner};
use super::servers::{self, Found, Server};

/// What names a plugin's socket.
const PATH: &str = "unix_socket.path";

/// A plugin that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Patient {
    pub(super) plugin: String,
    pub(super) line: Option<usize>,
    pub(super) socket: String,
    pub(super) state: Level,
    pub(super) mode: &'static str,
    pub(super) on_error: &'static str,
    pub(super) hooks: Option<Vec<String>>,
    pub(super) owner: Option<Owner>,
    /// Over gRPC.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) servers: Vec<Server>,
    pub(super) findings: Vec<Finding>,
    #[serde(skip)]
    pub(super) guards: bool,
}

/// Looks at what is there, and asks.
pub(super) async fn examine(
    config: PluginConfig,
    line: Option<usize>,
    timeout: Duration,
) -> Patient {
    let guards = judge::may_deny(config.mode());
    let mut found = match config.transport() {
        Transport::Grpc(grpc) => {
            let judged = |answer: &Answer| answered(&config, answer);
            servers::look(&config, grpc, guards, timeout, judged).await
        }
        Transport::Unix(socket) => {
            let there = path::look(socket.path(), PATH, guards, socket.trust_path());
            behind_a_socket(&config, there, guards, timeout).await
        }
        // A guard that nobody has looked at is none in order.
        _ => Found {
            findings: vec![Finding::broken(
                guards,
                "transport",
                "it is reached in a way that this command does not know",
                "look at it with the version of this command that the gateway's hookwire has",
            )],
            ..Found::default()
        },
    };
    let effective = match found.answers.is_empty() {
        true => hookwire::PluginHandle::connect_lazy(config.clone()).config(),
        false => found.answers.swap_remove(0).effective,
    };
    let mut patient = Patient {
        plugin: config.name().to_owned(),
        line,
        socket: config.endpoint().to_string(),
        state: Level::Ok,
        mode: effective.mode().as_str(),
        on_error: effective.on_error().as_str(),
        hooks: effective.hooks().known().map(<[String]>::to_vec),
        owner: found.owner,
        servers: found.servers,
        findings: Vec::new(),
        guards: judge::may_deny(effective.mode()),
    };
    if config.mode() == PluginMode::Disabled {
        patient.add([judge::disabled_here(effective.server())]);
        return patient;
    }
    patient.add(found.findings);
    patient.add(judge::entry(&config));
    patient
}

async fn behind_a_socket(
    config: &PluginConfig,
    there: path::Look,
    guards: bool,
    timeout: Duration,
) -> Found {
    let mut found = Found { owner: there.owner, findings: there.findings, ..Found::default() };
    if !there.is_socket {
        return found;
    }
    let answer = ask(config.clone(), timeout).await;
    found.findings.extend(match &answer.error {
        Some(error) => vec![judge::no_answer(error, PATH, guards)],
        None => answered(config, &answer),
    });
    found.answers.push(answer);
    found
}

/// What an answer means.
fn answered(config: &PluginConfig, answer: &Answer) -> Vec<Finding> {
    let Answer { effective, others, .. } = answer;
    match config.name() {
        answer::ANY => Vec::new(),
        _ => judge::answer(config, effective, guards(effective), others.as_deref()),
    }
}

fn guards(effective: &EffectiveConfig) -> bool {
    judge::may_deny(effective.mode())
}

impl Patient {
    pub(super) fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        self.state = self.findings.first().map_or(Level::Ok, |worst| worst.level);
    }
}
