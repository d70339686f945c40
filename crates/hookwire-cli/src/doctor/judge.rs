//! From what both sides say of a plugin to findings: values in, a list out.

use std::io;
use std::time::Duration;

use hookwire::config::{Difference, OnError, PluginMode, Verify};
use hookwire::model::Object;
use hookwire::{EffectiveConfig, PluginConfig, PluginError, ServerEntry};

use hookwire_gateway::ConfigProblem;

use super::finding::Finding;
use crate::advice;

/// How long the reference server lets a hook run.
const SERVERS_LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn may_deny(mode: PluginMode) -> bool {
    matches!(mode, PluginMode::Sequential | PluginMode::Concurrent)
}

/// What the entry alone tells.
pub(crate) fn entry(config: &PluginConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    let timeout = config.policy().timeout();
    if timeout <= SERVERS_LIMIT && config.mode() != PluginMode::Disabled {
        findings.push(Finding::note(
            "timeout",
            format!(
                "`timeout` is {} s, and the reference server lets a hook run for {} s: the call of a slow hook is over before its error comes, and after some the breaker opens",
                timeout.as_secs_f64(),
                SERVERS_LIMIT.as_secs(),
            ),
            "leave it at 35 s, unless requests must not wait so long",
        ));
    }
    if config.policy().verify() == Verify::Off && config.mode() != PluginMode::Disabled {
        findings.push(Finding::warn(
            "verify",
            "`verify` is off: the gateway will not see when the server's own entry changes",
            "set `verify: strict` for a plugin that guards something, or remove the key",
        ));
    }
    findings
}

/// What the file alone tells, unless the server's answer told it already.
pub(crate) fn warning(warning: &ConfigProblem, told: &[Finding], guards: bool) -> Option<Finding> {
    let (key, line) = (warning.key().unwrap_or_default(), warning.line());
    let line = line.map_or(String::new(), |line| format!("line {line}: "));
    let value = warning.value().map_or(String::new(), |value| format!(" = {value}"));
    let message = format!("{line}`{key}`{value}: {}", warning.reason());
    if key != "hooks" {
        return Some(Finding::warn("key", message, "correct the key, or take it out"));
    }
    let is_told = told.iter().any(|finding| finding.check == "hooks");
    let advice = "correct the name: the plugin is not asked by a name that no gateway calls";
    let broken = guards && warning.reason().contains("did you mean");
    (!is_told).then(|| Finding::broken(broken, "hooks", message, advice))
}

/// What the server's answer tells. `others` are the plugins of a server that
/// does not know this one.
pub(crate) fn answer(
    local: &PluginConfig,
    config: &EffectiveConfig,
    guards: bool,
    others: Option<&[Object]>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let differences = config.differences();
    findings.extend(differences.iter().map(|found| match found {
        Difference::Unknown => unknown(local.name(), guards, others),
        _ => difference(found, guards),
    }));
    let told_disabled =
        differences.iter().any(|found| matches!(found, Difference::Disabled { .. }));
    if local.mode() != PluginMode::Disabled
        && config.mode() == PluginMode::Disabled
        && !told_disabled
    {
        findings.push(Finding::broken(
            true,
            "disabled",
            "the plugin is disabled on its server, and the entry here sets no mode: it is never asked",
            "set its mode on the server and restart it, or write `mode: disabled` here too",
        ));
    }
    if config.hooks().known().is_some_and(<[String]>::is_empty) {
        findings.push(Finding::broken(
            guards,
            "hooks",
            "neither side names a hook: the plugin is never asked",
            "name its `hooks` here, or in the server's own entry",
        ));
    }
    if let Some((here, server)) = versions(local, config.server()) {
        findings.push(Finding::note(
            "version",
            format!("the entry here is for version {here}, on the server is {server}"),
            "correct `version`, or update the plugin's server",
        ));
    }
    findings
}

fn versions<'a>(
    local: &'a PluginConfig,
    server: Option<&'a ServerEntry>,
) -> Option<(&'a str, &'a str)> {
    let (here, server) = (local.version()?, server?.version()?);
    (here != server).then_some((here, server))
}

/// An old server answers a question that it does not know with an error, which reads as no plugin.
fn unknown(plugin: &str, guards: bool, others: Option<&[Object]>) -> Finding {
    let (message, advice) = match others {
        Some([]) => (
            "the server tells of no plugin at all: it has none, or is too old to know the question"
                .to_owned(),
            "add the plugin to its server's file, or update the server",
        ),
        others => {
            let others = others.and_then(|others| advice::explain(plugin, "", others));
            let others = others.map_or(String::new(), |others| format!(": {others}"));
            (
                format!("the server does not know the plugin{others}"),
                "correct `name` here, or add the plugin to its server's file",
            )
        }
    };
    Finding::broken(guards, "unknown", message, advice)
}

fn difference(found: &Difference, guards: bool) -> Finding {
    let message = found.to_string();
    let (check, advice) = match found {
        Difference::Disabled { here, .. } => (
            "disabled",
            format!(
                "set `mode: {here}` in the server's own entry and restart it, or write `mode: disabled` here too"
            ),
        ),
        Difference::Mode { here, .. } => {
            ("mode", format!("set `mode: {here}` in the server's own entry, and restart it"))
        }
        Difference::OnError { here, .. } => (
            "on_error",
            format!("set `on_error: {here}` in the server's own entry, and restart it"),
        ),
        Difference::Unreadable { key, .. } => (
            "unreadable",
            format!("look at `{key}` in the server's own entry, and write a word that is known"),
        ),
        Difference::NotServed { nearest: Some(hook), .. }
        | Difference::Unregistered { nearest: Some(hook), .. } => {
            ("hooks", format!("write `{hook}` under `hooks` here"))
        }
        Difference::NotServed { hook, .. } | Difference::Unregistered { hook, .. } => {
            ("hooks", format!("take `{hook}` out of `hooks` here, or let the plugin serve it"))
        }
        Difference::PassesErrors { .. } => {
            let advice = format!("set `on_error: {}` if it guards something", OnError::Fail);
            return Finding::warn("on_error", message, advice);
        }
        Difference::Incomplete => {
            let advice = "write dates and keys of its `config` on the server in quotes";
            return Finding::warn("incomplete", message, advice);
        }
        _ => ("difference", "compare both entries".to_owned()),
    };
    Finding::broken(guards && (found.is_weaker() || check == "hooks"), check, message, advice)
}

/// A plugin that the gateway does not run, by its own entry: well, unless its server would let
/// it deny, and so takes it for a guard.
pub(crate) fn disabled_here(server: Option<&ServerEntry>) -> Finding {
    let mode = server.and_then(ServerEntry::mode);
    match mode.filter(|mode| may_deny(*mode)) {
        Some(mode) => Finding::broken(
            true,
            "disabled",
            format!(
                "`mode` is `disabled` here, so it is never asked, and `{mode}` on the server: there it is a guard"
            ),
            "set its mode here (look for a merge key `<<` that brings `disabled`), or disable it on the server too",
        ),
        None => Finding::note(
            "disabled",
            "`mode` is `disabled` here, so it is never asked",
            "set another `mode` if it shall run",
        ),
    }
}

/// Whether an error is that there was no answer: others are what follows from one.
pub(crate) fn tells_nothing(error: &PluginError) -> bool {
    !matches!(error.reason(), "no_hooks" | "weaker_server")
}

/// An error's words. A process that ends tries nothing again, and the plugin and where it is
/// stand above.
pub(crate) fn without_place(error: &PluginError) -> String {
    let message = format!("{error:#}");
    let place = format!("plugin `{}` at {}: ", error.plugin(), error.endpoint());
    let server = format!("the server at {}: ", error.endpoint());
    let rest = message.strip_prefix(&place).or(message.strip_prefix(&server));
    rest.unwrap_or(&message).to_owned()
}

/// What it means that there was none.
/// The socket is named by this `setting`.
pub(crate) fn no_answer(error: &PluginError, setting: &str, guards: bool) -> Finding {
    let message = without_place(error);
    let (check, advice) = match error.reason() {
        "name_mismatch" => ("name", "write the name as the server has it; case counts"),
        "unavailable" => match error.io_error().map(io::Error::kind) {
            Some(io::ErrorKind::PermissionDenied) => {
                ("permission", "let the gateway's user write to the socket, or run it as its owner")
            }
            Some(io::ErrorKind::ConnectionRefused) => {
                ("no_server", "nobody listens there, as after a crash: start the plugin's server")
            }
            _ => ("no_server", "start the plugin's server, or correct "),
        },
        "untrusted" => (
            "untrusted",
            "let the server run as `peer_uids` and `trust_path` ask for, or correct them",
        ),
        "timeout" | "unresponsive" => (
            "unchecked",
            "see whether the server hangs, and restart it; until it answers, nothing is known of its own entry",
        ),
        "disconnected" | "closed_after_fault" => (
            "unchecked",
            "look at the server's log; one that is too old for the question may close the connection: update it",
        ),
        "framing" | "undecodable" | "mismatch" | "empty_reply" | "wrong_type" => (
            "unchecked",
            "see that a plugin server listens there, and update it: one that is too old does not know the question",
        ),
        "unimplemented" => (
            "unchecked",
            "see that a plugin server listens there, and not another one that speaks gRPC",
        ),
        _ => ("unchecked", "see what its server logs"),
    };
    // A sentence that ends with what it names.
    let advice = match advice.ends_with(' ') {
        true => format!("{advice}`{setting}`"),
        false => advice.to_owned(),
    };
    let message = match check {
        "unchecked" => {
            format!("the server's own entry is not known, it may let everything pass: {message}")
        }
        _ => message,
    };
    Finding::broken(guards, check, message, advice)
}
