//! An entry that is none of a plugin that is called here, or does not look like one.

use std::collections::BTreeMap;

use hookwire::PluginConfig;
use serde_json::{Value, json};

use super::entries::{Reading, Whose};
use super::left_out::{LeftOut, ReachedBy};
use super::places::{HOOKS, Places, SECTION};
use super::problem::GatewayConfigError;
use super::reached::{EXTERNAL, has, is_like_external, reached_by};
use super::tree::{Field, Node, value};

impl Reading<'_> {
    /// What looks like an entry of ours and is misspelt would be left out, and never asked.
    pub(super) fn refuse_misspelt(&mut self, fields: &[Field<'_>], whose: &Whose) {
        if has(fields, SECTION) {
            return;
        }
        let kind = value(fields, "kind");
        if let Some((kind, word)) = kind.and_then(|kind| Some((kind, kind.text()?)))
            && is_like_external(word)
        {
            let word = self.shown(kind).map(|word| Value::from(word).to_string());
            let reason = "must be `external`, written so, for a plugin behind a transport, and else the class of the plugin";
            self.add(whose, kind.line(), Some("kind".into()), word, reason);
        }
        let is_external = reached_by(fields).is_none();
        for (field, meant) in misspelt(fields) {
            let key = self.shown(field.key).unwrap_or("a key that a template makes").to_owned();
            let reason = format!("unknown key, did you mean `{meant}`?");
            let line = field.key.line();
            match meant {
                // Told with the section that is missing.
                SECTION if is_external => {}
                SECTION => self.add(whose, line, Some(key), None, reason),
                _ => self.warnings.push(self.problem(whose, line, Some(key), None, reason)),
            }
        }
    }

    pub(super) fn leave_out(
        &mut self,
        node: &Node,
        fields: &[Field<'_>],
        whose: &Whose,
        reached_by: ReachedBy,
    ) {
        let named = value(fields, "name");
        let Some(name) = named.and_then(Node::text).filter(|name| !name.is_empty()) else {
            return match named.and_then(Node::fault) {
                Some(fault) => self.add_faults(whose, vec![fault]),
                None => self.refuse(whose, node.line(), "name", "missing, empty, or no text"),
            };
        };
        let kind = value(fields, "kind").filter(|kind| kind.text().is_some());
        let Some(config) = self.read_settings(node, fields, whose) else { return };
        self.warn_of_hooks(value(fields, HOOKS), whose);
        let mut faults = Vec::new();
        let entry = node.to_json(&mut faults);
        let faults = faults
            .into_iter()
            .map(|fault| self.problem(whose, fault.line, None, None, fault.reason));
        let faults: Vec<_> = faults.collect();
        let entry = match entry {
            Value::Object(entry) if faults.is_empty() => Ok(entry),
            _ => Err(GatewayConfigError::new(faults)),
        };
        self.left_out.push(LeftOut {
            name: name.to_owned(),
            kind: kind.and_then(Node::text).unwrap_or(EXTERNAL).to_owned(),
            shown_name: whose.plugin.clone(),
            shows_kind: kind.is_none_or(|kind| self.shown(kind).is_some()),
            reached_by,
            mode: config.mode(),
            hooks: config.hooks().to_vec(),
            number: whose.entry.unwrap_or_default(),
            line: self.origin.line(node.line()),
            entry,
        });
    }

    /// What every entry has that a gateway must know of, whoever runs the plugin.
    fn read_settings(
        &mut self,
        node: &Node,
        fields: &[Field<'_>],
        whose: &Whose,
    ) -> Option<PluginConfig> {
        let mut entry = json!({"name": "a plugin", SECTION: {"path": "/"}});
        let mut faults = Vec::new();
        for key in ["mode", "on_error", HOOKS] {
            if let Some(value) = value(fields, key) {
                entry[key] = value.to_json(&mut faults);
            }
        }
        let readable = faults.is_empty();
        self.add_faults(whose, faults);
        match PluginConfig::from_value(entry) {
            Ok(config) => Some(config).filter(|_| readable),
            Err(error) => {
                let places = Places::of(node, fields);
                for problem in error.problems() {
                    let (key, value) = (problem.field(), problem.value());
                    self.refuse_value(whose, &places, key, value, problem.reason());
                }
                None
            }
        }
    }
}

/// Keys that may be a misspelt transport, and which. What other kinds of plugins have beside
/// the known keys is theirs, so for `mcp` and `grpc`, which are short, it must be a section too.
fn misspelt<'a>(fields: &[Field<'a>]) -> Vec<(Field<'a>, &'static str)> {
    let keys = fields.iter().filter_map(|field| Some((field.key.text()?.to_owned(), json!(null))));
    let keys = keys.collect();
    let unknown: BTreeMap<_, _> = PluginConfig::unknown_keys(&keys).into_iter().collect();
    let meant = |field: &Field<'a>| {
        let meant = unknown.get(field.key.text()?).copied()??;
        let is_section = field.value.fields(&mut Vec::new()).is_some();
        (meant == SECTION || (is_section && matches!(meant, "mcp" | "grpc")))
            .then_some((*field, meant))
    };
    fields.iter().filter_map(meant).collect()
}
