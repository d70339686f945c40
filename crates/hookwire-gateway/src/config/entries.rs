//! From the tree of a file to its plugins: which entries are ours, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use hookwire::PluginConfig;

use super::left_out::LeftOut;
use super::origin::Origin;
use super::places::{Place, Places};
use super::problem::{ConfigProblem, escaped};
use super::reached::reached_by;
use super::section::Section;
use super::tree::{Fault, Field, Node, value};

const NO_LIST: &str =
    "missing; without this list no plugin is ever asked. Write `plugins: []` if there are none";

/// What a file holds, and what is wrong with it.
pub(super) struct Reading<'a> {
    file: Option<&'a Path>,
    pub(super) origin: &'a Origin<'a>,
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

    /// The value is told if the file has it.
    pub(super) fn refuse_value(
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

    /// A text that may be told: the file has it, so it is no secret of the environment's.
    pub(super) fn shown<'n>(&self, node: &'n Node) -> Option<&'n str> {
        node.text().filter(|text| node.is_literal(self.origin) || self.origin.holds(text))
    }

    pub(super) fn shown_key(&self, place: Place<'_>, key: &str) -> String {
        match place.key {
            Some(node) if self.shown(node).is_none() => "a key that a template makes".to_owned(),
            _ => key.to_owned(),
        }
    }

    pub(super) fn add_faults(&mut self, whose: &Whose, faults: Vec<Fault>) {
        for fault in faults {
            let problem = self.problem_of(whose, fault);
            self.add_problem(problem);
        }
    }

    pub(super) fn problem_of(&self, whose: &Whose, fault: Fault) -> ConfigProblem {
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

    pub(super) fn refuse(
        &mut self,
        whose: &Whose,
        line: usize,
        key: &str,
        reason: impl Into<String>,
    ) {
        self.add(whose, line, Some(key.into()), None, reason);
    }

    pub(super) fn add(
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

    pub(super) fn problem(
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
pub(super) struct Whose {
    pub(super) entry: Option<usize>,
    pub(super) plugin: Option<String>,
}
