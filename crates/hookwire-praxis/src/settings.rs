//! What an entry of the engine's configuration says about its plugin server.
//!
//! All of it is below `config`: of what stands beside that, the engine hands over what it
//! knows, and drops the rest without a word.

use std::time::Duration;

use hookwire::PluginConfig;
use hookwire::config::UnixSocketSection;
use praxis_policy_core::plugin::{OnError, PluginConfig as Entry, PluginMode};
use serde_json::{Map, Value};

use crate::hook::Hook;

/// Below the engine's own limit for a plugin, which is 30 s where nothing else is set: a call
/// that the engine drops tells nothing about what happened.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The engine's limit, where its configuration does not set another. A factory cannot see it.
const ENGINES_LIMIT: Duration = Duration::from_secs(30);

const KEYS: [&str; 6] = ["unix_socket", "grpc", "payload", "namespace", "name", "start"];

/// What was configured, valid as soon as it exists.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The plugin, as hookwire calls it.
    pub(crate) plugin: PluginConfig,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) payload: Payload,
    pub(crate) namespace: Namespace,
    pub(crate) start: Start,
}

/// In which form the server gets the engine's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// As its list of hooks tells.
    Auto,
    Messages,
    Legacy,
}

/// What becomes of a tool's namespace, which the legacy payload has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    Refuse,
    Drop,
}

/// When the server has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Eager,
    Lazy,
}

impl Settings {
    /// Reads an entry; all its problems are told together.
    pub(crate) fn read(entry: &Entry) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let hooks = hooks(entry, &mut problems);
        let empty = Map::new();
        let config = match &entry.config {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(config)) => config,
            Some(_) => return Err(vec!["`config` must be an object".to_owned()]),
        };
        refuse_unknown(config, &mut problems);
        let payload = word(config, "payload", &PAYLOADS, &mut problems);
        let namespace = word(config, "namespace", &NAMESPACES, &mut problems);
        let start = word(config, "start", &STARTS, &mut problems);
        let name = match config.get("name") {
            None => entry.name.as_str(),
            Some(Value::String(name)) if !name.is_empty() => name,
            Some(_) => {
                problems.push("`config.name` must be the plugin's name on its server".to_owned());
                ""
            }
        };
        if payload == Payload::Legacy {
            for hook in hooks.iter().filter(|hook| hook.legacy().is_none()) {
                let hook = hook.in_engine();
                problems
                    .push(format!("`{hook}` has no legacy payload: leave `config.payload` out"));
            }
        }
        let plugin = plugin(name, entry, config).map_err(|problem| problems.push(problem));
        match plugin {
            Ok(plugin) if problems.is_empty() => {
                Ok(Self { plugin, hooks, payload, namespace, start })
            }
            _ => Err(problems),
        }
    }

    /// What is allowed and seldom meant, for the log.
    pub(crate) fn doubts(&self, entry: &Entry) -> Vec<String> {
        let mut doubts = Vec::new();
        let unheard = match entry.mode {
            PluginMode::Transform => Some("transform"),
            PluginMode::Audit => Some("audit"),
            PluginMode::FireAndForget => Some("fire_and_forget"),
            _ => None,
        };
        if let Some(mode) = unheard {
            doubts.push(format!(
                "in the mode `{mode}` the engine ignores a denial, and lets the request pass as \
                 it was where the plugin fails, whatever `on_error` says: a guard, and one that \
                 redacts, must be `sequential`"
            ));
        }
        if entry.on_error == OnError::Disable {
            doubts.push(
                "with `on_error: disable` one failed call, such as one in the moment of a restart \
                 of the server, takes the plugin out until the engine is made anew"
                    .to_owned(),
            );
        }
        if self.plugin.policy().timeout() >= ENGINES_LIMIT {
            doubts.push(format!(
                "`timeout` is {:?}; it must be below the engine's `plugin_timeout` (30 s unless \
                 set), or the engine gives a call up before it can tell what happened",
                self.plugin.policy().timeout()
            ));
        }
        doubts
    }
}

const PAYLOADS: [(&str, Payload); 3] =
    [("auto", Payload::Auto), ("cmf", Payload::Messages), ("legacy", Payload::Legacy)];
const NAMESPACES: [(&str, Namespace); 2] =
    [("refuse", Namespace::Refuse), ("drop", Namespace::Drop)];
const STARTS: [(&str, Start); 2] = [("eager", Start::Eager), ("lazy", Start::Lazy)];

fn hooks(entry: &Entry, problems: &mut Vec<String>) -> Vec<Hook> {
    if entry.hooks.is_empty() {
        problems.push("`hooks` is empty: the plugin would never be called".to_owned());
    }
    let mut hooks = Vec::with_capacity(entry.hooks.len());
    for name in &entry.hooks {
        match Hook::named(name) {
            Ok(hook) if hooks.contains(&hook) => {
                problems.push(format!("`{name}` is twice in `hooks`"));
            }
            Ok(hook) => hooks.push(hook),
            Err(why) => problems.push(format!("the hook `{name}` cannot be served: {why}")),
        }
    }
    hooks
}

fn refuse_unknown(config: &Map<String, Value>, problems: &mut Vec<String>) {
    for key in config.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let nearest = nearest(key, KEYS);
        let hint = nearest.map_or_else(
            || format!("; there are {}", KEYS.map(|key| format!("`{key}`")).join(", ")),
            |nearest| format!(", did you mean `{nearest}`?"),
        );
        problems.push(format!("`config.{key}` is unknown{hint}"));
    }
}

/// The key that may have been meant.
fn nearest<const N: usize>(key: &str, keys: [&'static str; N]) -> Option<&'static str> {
    const ALIKE: f64 = 0.6;
    let plain = |key: &str| key.replace(['_', '-'], "").to_lowercase();
    let alike = |known: &str| strsim::normalized_damerau_levenshtein(&plain(key), &plain(known));
    let best =
        keys.into_iter().map(|known| (known, alike(known))).max_by(|a, b| a.1.total_cmp(&b.1));
    best.filter(|(_, alike)| *alike >= ALIKE).map(|(known, _)| known)
}

/// One of a few words; the first where none is set.
fn word<T: Copy, const N: usize>(
    config: &Map<String, Value>,
    key: &str,
    words: &[(&'static str, T); N],
    problems: &mut Vec<String>,
) -> T {
    let [(_, default), ..] = words.as_slice() else { unreachable!("words are never empty") };
    let Some(value) = config.get(key) else { return *default };
    match words.iter().find(|(word, _)| value == word) {
        Some((_, meant)) => *meant,
        None => {
            let all = words.map(|(word, _)| format!("`{word}`")).join(", ");
            problems.push(format!("`config.{key}` must be one of {all}"));
            *default
        }
    }
}

/// The plugin as hookwire calls it. Without hooks of its own: which ones its server serves
/// decides the form of the payload, so they are the server's to tell. With the engine's mode
/// and `on_error`: the server acts on its own first, and hookwire tells where those are weaker.
fn plugin(name: &str, entry: &Entry, config: &Map<String, Value>) -> Result<PluginConfig, String> {
    let mut builder = PluginConfig::builder(name).on_error(match entry.on_error {
        OnError::Ignore => hookwire::config::OnError::Ignore,
        OnError::Disable => hookwire::config::OnError::Disable,
        // One that the engine has come to know since too.
        _ => hookwire::config::OnError::Fail,
    });
    if let Some(mode) = mode(entry.mode) {
        builder = builder.mode(mode);
    }
    let (section, builder) = match (config.get("unix_socket"), config.get("grpc")) {
        (Some(section), None) => {
            let read: UnixSocketSection =
                serde_json::from_value(section.clone()).map_err(|error| error.to_string())?;
            (section, builder.unix_socket_section(read))
        }
        #[cfg(feature = "grpc")]
        (None, Some(section)) => {
            let read: hookwire::config::GrpcSection =
                serde_json::from_value(section.clone()).map_err(|error| error.to_string())?;
            (section, builder.grpc_section(read))
        }
        #[cfg(not(feature = "grpc"))]
        (None, Some(_)) => {
            return Err("`config.grpc` needs the feature `grpc` of hookwire-praxis".to_owned());
        }
        (Some(_), Some(_)) => {
            return Err("`config.unix_socket` and `config.grpc` exclude each other".to_owned());
        }
        (None, None) => {
            return Err("`config.unix_socket` is missing; a `unix_socket` beside `config` never \
                        arrives here, for the engine drops keys of an entry that it does not know"
                .to_owned());
        }
    };
    let builder = match section.get("timeout") {
        None => builder.timeout(DEFAULT_TIMEOUT),
        Some(_) => builder,
    };
    builder.build().map_err(|error| error.to_string())
}

fn mode(mode: PluginMode) -> Option<hookwire::config::PluginMode> {
    use hookwire::config::PluginMode as Mode;
    Some(match mode {
        PluginMode::Sequential => Mode::Sequential,
        PluginMode::Transform => Mode::Transform,
        PluginMode::Audit => Mode::Audit,
        PluginMode::Concurrent => Mode::Concurrent,
        PluginMode::FireAndForget => Mode::FireAndForget,
        PluginMode::Disabled => Mode::Disabled,
        // One that the engine has come to know since.
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
