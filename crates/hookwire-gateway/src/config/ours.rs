//! An entry of a plugin that is called here: behind a Unix socket, or over gRPC.

use hookwire::{HookRegistry, PluginConfig};
use serde_json::Value;

use super::entries::{Reading, Whose};
use super::places::{HOOKS, Places, SECTION};
use super::problem::escaped;
use super::tree::{Field, Node, value};
use crate::conditions::Conditions;

impl Reading<'_> {
    pub(super) fn read_ours(&mut self, node: &Node, fields: &[Field<'_>], whose: &Whose) {
        let mut faults = Vec::new();
        let entry = node.to_json(&mut faults);
        let faulty = !faults.is_empty();
        self.add_faults(whose, faults);
        let places = Places::of(node, fields);
        let unknown = entry.as_object().map(PluginConfig::unknown_keys).unwrap_or_default();
        let like_section = unknown.iter().find(|(_, nearest)| *nearest == Some(SECTION));
        let like_section = like_section.map(|(key, _)| self.shown_key(places.of_key(key), key));
        self.warn_of_unknown(&unknown, &places, whose);
        match PluginConfig::from_value(entry) {
            Ok(config) => {
                self.check_conditions(&config, &places, whose);
                self.warn_of_hooks(value(fields, HOOKS), whose);
                self.warn_of_kind(&config, &places, whose);
                self.plugins.push((config, self.origin.line(node.line())));
            }
            Err(error) => {
                let problems = error.problems().iter().filter(|problem| {
                    // What is there was told as something that cannot be read.
                    let is_there = places.of_key(problem.field()).key.is_some();
                    !(faulty && is_there && problem.reason().starts_with("missing"))
                });
                let section = [SECTION, "grpc"].into_iter().all(|section| {
                    value(fields, section).is_none_or(|value| value.is_literal(self.origin))
                });
                for problem in problems {
                    let reason = problem.reason();
                    let mut reason =
                        String::from(if section { reason } else { without_value(reason) });
                    if let Some(key) = &like_section
                        && problem.field() == SECTION
                    {
                        reason += &format!("; did you mean it by `{}`?", escaped(key));
                    }
                    self.refuse_value(whose, &places, problem.field(), problem.value(), reason);
                }
            }
        }
    }

    fn warn_of_unknown(
        &mut self,
        unknown: &[(&str, Option<&'static str>)],
        places: &Places<'_>,
        whose: &Whose,
    ) {
        for (key, nearest) in unknown {
            let meant = nearest.map_or(String::new(), |known| format!(", did you mean `{known}`?"));
            let place = places.of_key(key);
            let key = Some(self.shown_key(place, key));
            let reason = format!("unknown key, which is ignored{meant}");
            self.warnings.push(self.problem(whose, place.line, key, None, reason));
        }
    }

    /// The server tells which hooks it serves, and may be down for long; until then a plugin with
    /// a misspelt hook is not asked, and nobody sees that.
    pub(super) fn warn_of_hooks(&mut self, hooks: Option<&Node>, whose: &Whose) {
        let known = HookRegistry::builtin();
        for node in hooks.and_then(Node::items).unwrap_or_default() {
            let Some(hook) = node.text().filter(|hook| !known.contains(hook)) else { continue };
            let meant = match known.nearest(hook) {
                Some(nearest) => format!(", did you mean `{nearest}`?"),
                None => "; it is asked only where the gateway has it as a hook of its own".into(),
            };
            let shown = self.shown(node).map(|hook| Value::from(hook).to_string());
            let (key, line) = (Some(HOOKS.to_owned()), node.line());
            let reason = format!("no built-in hook has this name{meant}");
            self.warnings.push(self.problem(whose, line, key, shown, reason));
        }
    }

    /// Whoever gave it a class may wait for that to be loaded.
    fn warn_of_kind(&mut self, config: &PluginConfig, places: &Places<'_>, whose: &Whose) {
        if config.kind() != "external" {
            let place = places.of_key("kind");
            let kind = place.value.and_then(|kind| self.shown(kind));
            let kind = kind.map(|kind| Value::from(kind).to_string());
            let section = if config.endpoint().path().is_some() { SECTION } else { "grpc" };
            let reason = format!(
                "it is called over its `{section}`, and no class of this name is loaded; write `kind: external`, or remove the section"
            );
            self.warnings.push(self.problem(whose, place.line, Some("kind".into()), kind, reason));
        }
    }

    /// The client carries them as they are; what runs the plugins would refuse them later.
    fn check_conditions(&mut self, config: &PluginConfig, places: &Places<'_>, whose: &Whose) {
        if let Err(error) = Conditions::parse(config.conditions()) {
            let place = places.of_key("conditions");
            let literal = place.value.is_some_and(|value| value.is_literal(self.origin));
            let reason = match literal {
                true => error.to_string(),
                false => {
                    "a condition has an unknown key, or a value that is no list of texts".into()
                }
            };
            self.refuse(whose, place.line, "conditions", reason);
        }
    }
}

/// A reason without the value of another key, which some end with.
fn without_value(reason: &str) -> &str {
    let value = reason.strip_suffix(')').and_then(|reason| reason.rsplit_once(" ("));
    match value {
        Some((reason, value)) if value.parse::<f64>().is_ok() => reason,
        _ => reason,
    }
}
