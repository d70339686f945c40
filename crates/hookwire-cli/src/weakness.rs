//! What a plugin's entry on its server takes from a guard: the server acts on it first.

use hookwire::ServerEntry;
use hookwire::config::{OnError, PluginMode};
use hookwire::model::Object;

/// What a gateway that calls the plugin as a guard should know of this entry.
pub(crate) fn of(entry: &Object) -> Vec<String> {
    let entry = ServerEntry::from(entry.clone());
    let mode = entry.mode().and_then(|mode| match mode {
        PluginMode::Audit | PluginMode::Transform => {
            Some(format!("`mode: {mode}`: its denials arrive as results that allow"))
        }
        PluginMode::Disabled => Some(format!("`mode: {mode}`: every call of it fails")),
        _ => None,
    });
    let passes = entry.on_error().filter(|on_error| *on_error != OnError::Fail);
    let on_error = passes
        .map(|on_error| format!("`on_error: {on_error}`: its errors arrive as results that allow"));
    let told = |what| {
        let name = entry.name().unwrap_or_default();
        format!("the server, which acts first, runs `{name}` with {what}")
    };
    mode.into_iter().chain(on_error).map(told).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(entry: Value) -> Vec<String> {
        of(entry.as_object().unwrap())
    }

    #[test]
    fn an_entry_that_passes_denials_or_errors_is_told_and_older_words_as_their_successors() {
        for (entry, expected) in [
            (json!({"name": "G", "mode": "audit"}), "`G` with `mode: audit`"),
            (json!({"name": "G", "mode": "permissive"}), "`G` with `mode: transform`"),
            (json!({"name": "G", "mode": "disabled"}), "every call of it fails"),
            (json!({"name": "G", "on_error": "ignore"}), "`G` with `on_error: ignore`"),
            (json!({"name": "G", "on_error": "disable"}), "its errors arrive as results"),
        ] {
            let warnings = told(entry);
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains(expected), "{warnings:?}");
        }
        assert_eq!(told(json!({"name": "G", "mode": "audit", "on_error": "ignore"})).len(), 2);
    }

    #[test]
    fn an_entry_that_guards_is_not_told() {
        for entry in [
            json!({"name": "G"}),
            json!({"name": "G", "mode": "sequential", "on_error": "fail"}),
            json!({"name": "G", "mode": "concurrent"}),
            json!({"name": "G", "mode": "fire_and_forget"}),
        ] {
            assert_eq!(told(entry), [] as [&str; 0]);
        }
    }
}
