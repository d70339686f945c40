//! What may explain a plugin's error: the names that its server knows.

use std::time::Duration;

use hookwire::model::Object;
use hookwire::{CallOptions, PluginHandle};
use serde_json::Value;

/// The call has failed already: nobody wants to wait long for more words.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many names are listed.
const SHOWN: usize = 12;

/// Asks the server for its plugins, once one of them has reported an error.
pub(crate) async fn ask(handle: &PluginHandle, hook: &str) -> Option<String> {
    let question = handle.with(CallOptions::new().timeout(PATIENCE));
    let plugins = question.plugin_configs().await.ok()?;
    explain(handle.name(), hook, &plugins)
}

/// What the plugin or its hook is called on the server, if the call had it wrong.
pub(crate) fn explain(plugin: &str, hook: &str, plugins: &[Object]) -> Option<String> {
    let names = || plugins.iter().filter_map(|entry| entry.get("name")?.as_str());
    let Some(entry) = plugins.iter().find(|entry| entry.get("name").is_some_and(|n| n == plugin))
    else {
        let same = |name: &&str| name.to_lowercase() == plugin.to_lowercase();
        return Some(match names().find(same) {
            Some(name) => {
                format!("the server has `{name}`, and names are compared with exact case")
            }
            None if names().next().is_none() => "the server has no plugins".to_owned(),
            None => format!("the server has no `{plugin}`; it has {}", listed(names())),
        });
    };
    if entry.get("mode").is_some_and(|mode| mode == "disabled") {
        return Some("the server's own entry of the plugin has `mode: disabled`".to_owned());
    }
    let hooks: Vec<_> = entry.get("hooks")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let served = hooks.is_empty() || hooks.contains(&hook);
    (!served).then(|| format!("the plugin serves {}", listed(hooks.into_iter())))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let names = names.join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(plugin: &str, hook: &str) -> Option<String> {
        let plugins = json!([
            {"name": "Deny", "hooks": ["tool_pre_invoke", "tool_post_invoke"]},
            {"name": "Echo", "hooks": []},
            {"name": "Off", "hooks": ["tool_pre_invoke"], "mode": "disabled"},
        ]);
        explain(plugin, hook, &serde_json::from_value::<Vec<Object>>(plugins).unwrap())
    }

    #[test]
    fn a_plugin_with_another_case_is_told_with_the_servers() {
        let told = told("deny", "tool_pre_invoke").unwrap();
        assert_eq!(told, "the server has `Deny`, and names are compared with exact case");
    }

    #[test]
    fn an_unknown_plugin_is_told_with_those_that_are_there() {
        let told = told("Nope", "tool_pre_invoke").unwrap();
        assert_eq!(told, "the server has no `Nope`; it has `Deny`, `Echo`, `Off`");
        assert_eq!(explain("Nope", "h", &[]).unwrap(), "the server has no plugins");
    }

    #[test]
    fn a_hook_that_the_plugin_does_not_serve_is_told_with_those_that_it_does() {
        let told = told("Deny", "prompt_pre_fetch").unwrap();
        assert_eq!(told, "the plugin serves `tool_pre_invoke`, `tool_post_invoke`");
    }

    #[test]
    fn a_plugin_that_the_server_has_disabled_is_told_so() {
        assert!(told("Off", "tool_pre_invoke").unwrap().contains("`mode: disabled`"));
    }

    #[test]
    fn an_error_of_a_plugin_that_was_called_rightly_needs_no_advice() {
        assert_eq!(told("Deny", "tool_post_invoke"), None);
        assert_eq!(told("Echo", "a_hook_of_its_own"), None, "it names none, so it may have any");
    }

    #[test]
    fn a_long_list_of_names_is_cut_short_and_counted() {
        let names: Vec<_> = (0..15).map(|number| number.to_string()).collect();
        let listed = listed(names.iter().map(String::as_str));
        assert!(listed.starts_with("`0`, `1`") && listed.ends_with("`11` and 3 more"), "{listed}");
    }
}
