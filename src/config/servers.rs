//! The keys that say where a plugin's gRPC servers are: exactly one of three.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::rule::{path, replaced, some, some_path};
use super::section::Section;
use crate::grpc::target::Target;

pub(super) const KEYS: &[&str] = &["target", "targets", "uds"];

/// Where the servers are, checked or not.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Servers {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_path")]
    uds: Option<PathBuf>,
    /// What they say, once they are checked.
    #[serde(skip)]
    read: Vec<Target>,
}

impl Servers {
    pub(super) fn target(target: String) -> Self {
        Self { target: Some(target), ..Self::default() }
    }

    pub(super) fn list(targets: Vec<String>) -> Self {
        Self { targets: Some(targets), ..Self::default() }
    }

    pub(super) fn uds(path: PathBuf) -> Self {
        Self { uds: Some(path), ..Self::default() }
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.read
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mut servers = Self::default();
        let set = Vec::from_iter(KEYS.iter().filter(|key| section.get(key).is_some()));
        match set[..] {
            [] => section.refuse_key("target", "missing; it must say where the plugin's server is, as in `guard.example:50051` (or `targets` where several are, or `uds` for a Unix socket)"),
            [_] => {}
            [first, ..] => {
                for other in &set[1..] {
                    section.refuse_key(other, format!("is one of three ways to say where the server is, and `{first}` is set too; remove one of them"));
                }
            }
        }
        match section.get("target") {
            Some(Value::String(text)) => match one(text) {
                Ok(target) => {
                    servers.target = Some(text.clone());
                    servers.read = vec![target];
                }
                Err(reason) if may_hold_a_secret(text) => section.refuse_key("target", reason),
                Err(reason) => section.refuse("target", reason),
            },
            Some(Value::Array(_)) => {
                section.refuse("target", "must be a string; a list is `targets`");
            }
            Some(_) => section.refuse("target", "must be a string, as in `guard.example:50051`"),
            None => {}
        }
        match section.get("targets").map(list) {
            Some(Ok((texts, targets))) => {
                servers.targets = Some(texts);
                servers.read = targets;
            }
            Some(Err(reason)) => section.refuse("targets", reason),
            None => {}
        }
        section.read("uds", &mut servers.uds, some(path));
        servers.read.extend(servers.uds.clone().map(Target::Unix));
        servers
    }

    /// Refuses plaintext to what is not on this machine.
    pub(super) fn refuse_unless_local(&self, section: &mut Section<'_>) {
        let Some(at) = self.read.iter().position(|target| !target.is_local()) else { return };
        let (key, item) = match self.targets {
            Some(_) => ("targets", format!("item {}: ", at + 1)),
            None => ("target", String::new()),
        };
        let what = match &self.read[at] {
            Target::Host { host, .. } if host == "localhost" => {
                "`localhost` is a name, which may lead to another machine (write `127.0.0.1` or `[::1]`)"
            }
            Target::Host { .. } => "is a name, not known to be that of this machine",
            _ => "is not on this machine",
        };
        section.refuse(key, format!("{item}{what}, and there is no `tls`: what is sent could be read and changed on the way; add `tls: {{}}`, with a `ca_bundle` for a private authority, or write `plaintext: true` where something else protects the way"));
    }
}

fn one(text: &str) -> Result<Target, String> {
    replaced(&Value::from(text))?;
    Target::parse(text)
}

/// Each of the list, as it was written and as it is meant.
fn list(value: &Value) -> Result<(Vec<String>, Vec<Target>), String> {
    let texts = value.as_array().and_then(|list| {
        list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    let texts =
        texts.ok_or("must be a list of strings, as in `[a.example:50051, b.example:50051]`")?;
    if texts.is_empty() {
        return Err("must not be empty".into());
    }
    let mut targets = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let named = |reason: String| format!("item {}: {reason}", at + 1);
        let target = one(text).map_err(named)?;
        if targets.contains(&target) {
            return Err(named("is there twice".into()));
        }
        targets.push(target);
    }
    Ok((texts, targets))
}

/// A URI may have a password in it.
fn may_hold_a_secret(text: &str) -> bool {
    text.contains('@')
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &String| match may_hold_a_secret(text) {
            true => "…".to_owned(),
            false => text.clone(),
        };
        let targets = self.targets.as_ref();
        f.debug_struct("Servers")
            .field("target", &self.target.as_ref().map(shown))
            .field("targets", &targets.map(|all| Vec::from_iter(all.iter().map(shown))))
            .field("uds", &self.uds)
            .finish()
    }
}
