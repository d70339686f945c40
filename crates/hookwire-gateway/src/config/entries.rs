//! From the tree of a file to its plugins: which entries are ours, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use hookwire::{HookRegistry, PluginConfig};
use serde_json::{Value, json};

use super::left_out::{LeftOut, ReachedBy};
use super::origin::Origin;
use super::places::{Place, Places, SECTION};
use super::problem::{ConfigProblem, GatewayConfigError, escaped};
use super::section::Section;
use super::tree::{Fault, Field, Node};
use crate::conditions::Conditions;

/// The kind of every plugin that is reached over a transport, and of an entry without one.
const EXTERNAL: &str = "external";

const HOOKS: &str = "hooks";

const NO_LIST: &str =
    "missing; without this list no plugin is ever asked. Write `plugins: []` if there are none";

/// What a file holds, and what is wrong with it.
pub(super) struct Reading<'a> {
    file: Option<&'a Path>,
    origin: &'a Origin<'a>,
    pub(super) plugins: Vec<(PluginConfig, Option<usize>)>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) sections: BTreeMap<String, Section>,
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) warnings: Vec<ConfigProblem>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(file: Option<&'a Path>, origin: &'a Origin<'a>) -> Self {
        Self {
            file,
            origin,
            plugins: Vec::new(),
            left_out: Vec::new(),
            sections: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Everything beside `plugins` is the gateway's own.
    pub(super) fn read(&mut self, document: Option<&Node>) {
        let mut faults = Vec::new();
        let fields = document.and_then(|document| document.fields(&mut faults));
        let nobody = Whose::default();
        faults.extend(document.and_then(Node::fault));
        self.add_faults(&nobody, faults);
        for field in fields.iter().flatten().filter(|field| field.key.text() != Some("plugins")) {
            self.read_section(field);
        }
        let plugins = fields.as_deref().and_then(|fields| value(fields, "plugins"));
        let line = document.map_or(1, Node::line);
        match plugins {
            // As of a file whose writing was not complete.
            Some(plugins) if plugins.is_null() => {
                self.refuse(&nobody, plugins.line(), "plugins", NO_LIST);
            }
            Some(plugins) => match (plugins.items(), plugins.fault()) {
                (Some(entries), _) => self.read_entries(entries),
                (None, Some(fault)) => self.add_faults(&nobody, vec![fault]),
                (None, None) => self.refuse(&nobody, plugins.line(), "plugins", "must be a list"),
            },
            None => self.refuse(&nobody, line, "plugins", NO_LIST),
        }
    }

    /// The gateway's own, which may be anything as long as nobody asks for it.
    fn read_section(&mut self, field: &Field<'_>) {
        let Some(key) = field.key.text() else { return };
        let mut faults = Vec::new();
        let value = field.value.to_json(&mut faults);
        let nobody = Whose::default();
        let faults = faults.into_iter().map(|fault| self.problem_of(&nobody, fault));
        let faults: Vec<_> = faults.collect();
        let place = self.problem(&nobody, field.key.line(), Some(key.to_owned()), None, "");
        let value = if faults.is_empty() { Ok(value) } else { Err(faults) };
        self.sections.insert(key.to_owned(), Section { place, value });
    }

    fn read_entries(&mut self, entries: &[Rc<Node>]) {
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, node) in entries.iter().enumerate() {
            let mut whose = Whose { entry: Some(index + 1), plugin: None };
            let mut faults = Vec::new();
            let Some(fields) = node.fields(&mut faults) else {
                match node.fault() {
                    Some(fault) => self.add_faults(&whose, vec![fault]),
                    None => self.add(&whose, node.line(), None, None, "must be an object"),
                }
                continue;
            };
            let name =
                value(&fields, "name").filter(|name| name.text().is_some_and(|n| !n.is_empty()));
            whose.plugin = name.and_then(|name| self.shown(name)).map(str::to_owned);
            self.add_faults(&whose, faults);
            if let Some((node, name)) = name.and_then(|name| Some((name, name.text()?))) {
                match lines.get(name) {
                    Some(line) => {
                        let place = self.origin.line(*line);
                        let place = place.map_or(String::new(), |line| format!(", in line {line}"));
                        let reason =
                            format!("an entry before has it{place}; a name stands for one plugin");
                        self.refuse(&whose, node.line(), "name", reason);
                    }
                    None => drop(lines.insert(name, node.line())),
                }
            }
            self.refuse_misspelt(&fields, &whose);
            match reached_by(&fields) {
                None => self.read_ours(node, &fields, &whose),
                Some(reached_by) => self.leave_out(node, &fields, &whose, reached_by),
            }
        }
    }

    fn read_ours(&mut self, node: &Node, fields: &[Field<'_>], whose: &Whose) {
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
                self.plugins.push((config, self.origin.line(node.line())));
            }
            Err(error) => {
                let problems = error.problems().iter().filter(|problem| {
                    // What is there was told as something that cannot be read.
                    let is_there = places.of_key(problem.field()).key.is_some();
                    !(faulty && is_there && problem.reason().starts_with("missing"))
                });
                let section =
                    value(fields, SECTION).is_none_or(|value| value.is_literal(self.origin));
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

    /// The value is told if the file has it.
    fn refuse_value(
        &mut self,
        whose: &Whose,
        places: &Places<'_>,
        key: &str,
        value: Option<&str>,
        reason: impl Into<String>,
    ) {
        let place = places.of_key(key);
        let literal = place.value.is_none_or(|value| value.is_literal(self.origin));
        let value = value.filter(|_| literal).map(str::to_owned);
        let key = Some(self.shown_key(place, key));
        self.add(whose, place.line, key, value, reason);
    }

    /// What looks like an entry of ours and is misspelt would be left out, and never asked.
    fn refuse_misspelt(&mut self, fields: &[Field<'_>], whose: &Whose) {
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
    fn warn_of_hooks(&mut self, hooks: Option<&Node>, whose: &Whose) {
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

    fn leave_out(
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

    /// A text that may be told: the file has it, so it is no secret of the environment's.
    fn shown<'n>(&self, node: &'n Node) -> Option<&'n str> {
        node.text().filter(|text| node.is_literal(self.origin) || self.origin.holds(text))
    }

    fn shown_key(&self, place: Place<'_>, key: &str) -> String {
        match place.key {
            Some(node) if self.shown(node).is_none() => "a key that a template makes".to_owned(),
            _ => key.to_owned(),
        }
    }

    fn add_faults(&mut self, whose: &Whose, faults: Vec<Fault>) {
        for fault in faults {
            let problem = self.problem_of(whose, fault);
            self.add_problem(problem);
        }
    }

    fn problem_of(&self, whose: &Whose, fault: Fault) -> ConfigProblem {
        let reason = match &fault.again {
            None => fault.reason,
            Some((key, first)) => {
                let key = self.shown(key);
                let key = key.map_or("a key".to_owned(), |key| format!("`{}`", escaped(key)));
                let first = self.origin.line(*first);
                let first = first.map_or(String::new(), |line| format!(", in line {line}"));
                format!("{key} is in this map already{first}{}", fault.reason)
            }
        };
        self.problem(whose, fault.line, None, None, reason)
    }

    fn refuse(&mut self, whose: &Whose, line: usize, key: &str, reason: impl Into<String>) {
        self.add(whose, line, Some(key.into()), None, reason);
    }

    fn add(
        &mut self,
        whose: &Whose,
        line: usize,
        key: Option<String>,
        value: Option<String>,
        reason: impl Into<String>,
    ) {
        self.add_problem(self.problem(whose, line, key, value, reason));
    }

    fn add_problem(&mut self, problem: ConfigProblem) {
        // A base that several entries have is read for each.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn problem(
        &self,
        whose: &Whose,
        line: usize,
        key: Option<String>,
        value: Option<String>,
        reason: impl Into<String>,
    ) -> ConfigProblem {
        ConfigProblem {
            file: self.file.map(Path::to_owned),
            line: self.origin.line(line),
            entry: whose.entry,
            plugin: whose.plugin.clone(),
            key,
            value,
            reason: reason.into(),
        }
    }
}

/// Which entry a problem is of.
#[derive(Default)]
struct Whose {
    entry: Option<usize>,
    plugin: Option<String>,
}

fn value<'a>(fields: &[Field<'a>], key: &str) -> Option<&'a Node> {
    fields.iter().find(|field| field.key.text() == Some(key)).map(|field| field.value)
}

/// A reason without the value of another key, which some end with.
fn without_value(reason: &str) -> &str {
    let value = reason.strip_suffix(')').and_then(|reason| reason.rsplit_once(" ("));
    match value {
        Some((reason, value)) if value.parse::<f64>().is_ok() => reason,
        _ => reason,
    }
}

/// `None` of an entry that is ours: it has the section, or claims to be reached over something
/// and does not tell what, which may be a misspelt section.
fn reached_by(fields: &[Field<'_>]) -> Option<ReachedBy> {
    let kind = value(fields, "kind").filter(|kind| !kind.is_null());
    match kind.map_or(Some(EXTERNAL), Node::text) {
        _ if has(fields, SECTION) => None,
        _ if has(fields, "mcp") => Some(ReachedBy::Mcp),
        _ if has(fields, "grpc") => Some(ReachedBy::Grpc),
        None => None,
        Some(EXTERNAL) => None,
        Some(kind) if is_like_external(kind) => None,
        Some(_) => Some(ReachedBy::InProcess),
    }
}

fn has(fields: &[Field<'_>], key: &str) -> bool {
    value(fields, key).is_some_and(|value| !value.is_null())
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

/// Whether a kind is `external` but for its case, blanks, a typing error, or an end that is cut
/// off. A class has a dot.
fn is_like_external(kind: &str) -> bool {
    let word = kind.trim().to_lowercase();
    let is_like = EXTERNAL.starts_with(&word)
        || word.starts_with('e') && strsim::damerau_levenshtein(&word, EXTERNAL) <= 2;
    kind != EXTERNAL && !word.is_empty() && is_like
}
