//! From the tree of a file to its plugins: which entries are ours, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use hookwire::PluginConfig;

use super::left_out::{LeftOut, ReachedBy};
use super::origin::Origin;
use super::places::{Place, Places, SECTION};
use super::problem::{ConfigProblem, escaped};
use super::tree::{Fault, Field, Node};
use crate::conditions::Conditions;

/// The kind of every plugin that is reached over a transport, and of an entry without one.
const EXTERNAL: &str = "external";

/// What a file holds, and what is wrong with it.
pub(super) struct Reading<'a> {
    file: Option<&'a Path>,
    origin: &'a Origin<'a>,
    pub(super) plugins: Vec<(PluginConfig, Option<usize>)>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) warnings: Vec<ConfigProblem>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(file: Option<&'a Path>, origin: &'a Origin<'a>) -> Self {
        let (plugins, left_out) = (Vec::new(), Vec::new());
        Self { file, origin, plugins, left_out, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Everything beside `plugins` is the gateway's own.
    pub(super) fn read(&mut self, document: Option<&Node>) {
        let mut faults = Vec::new();
        let fields = document.and_then(|document| document.fields(&mut faults));
        let nobody = Whose::default();
        faults.extend(document.and_then(Node::fault));
        self.add_faults(&nobody, faults);
        let plugins = fields.as_deref().and_then(|fields| value(fields, "plugins"));
        let line = document.map_or(1, Node::line);
        match plugins {
            Some(plugins) if plugins.is_null() => {}
            Some(plugins) => match (plugins.items(), plugins.fault()) {
                (Some(entries), _) => self.read_entries(entries),
                (None, Some(fault)) => self.add_faults(&nobody, vec![fault]),
                (None, None) => self.refuse(&nobody, plugins.line(), "plugins", "must be a list"),
            },
            None => self.refuse(
                &nobody,
                line,
                "plugins",
                "missing; without this list no plugin is ever asked. Write `plugins: []` if there are none",
            ),
        }
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
                    let place = places.of_key(problem.field());
                    let literal = place.value.is_none_or(|value| value.is_literal(self.origin));
                    let value = problem.value().filter(|_| literal).map(str::to_owned);
                    let key = Some(self.shown_key(place, problem.field()));
                    self.add(whose, place.line, key, value, reason);
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
        let text = |key| value(fields, key).and_then(Node::text).map(str::to_owned);
        match (text("name"), text("kind").or_else(|| Some(EXTERNAL.into()))) {
            (Some(name), Some(kind)) if !name.is_empty() => {
                let line = self.origin.line(node.line());
                self.left_out.push(LeftOut { name, kind, reached_by, line });
            }
            _ => match value(fields, "name").and_then(Node::fault) {
                Some(fault) => self.add_faults(whose, vec![fault]),
                None => self.refuse(whose, node.line(), "name", "missing, empty, or no text"),
            },
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
            self.add(whose, fault.line, None, None, fault.reason);
        }
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
        let problem = self.problem(whose, line, key, value, reason);
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
    let has = |key| value(fields, key).is_some_and(|value| !value.is_null());
    let kind = value(fields, "kind").filter(|kind| !kind.is_null());
    match kind.map_or(Some(EXTERNAL), Node::text) {
        _ if has(SECTION) => None,
        _ if has("mcp") => Some(ReachedBy::Mcp),
        _ if has("grpc") => Some(ReachedBy::Grpc),
        Some(EXTERNAL) | None => None,
        Some(_) => Some(ReachedBy::InProcess),
    }
}
