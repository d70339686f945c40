//! Where the keys of an entry are, by the names that problems have for them.

use std::collections::BTreeMap;

use super::tree::{Field, Node};

pub(super) const SECTION: &str = "unix_socket";
pub(super) const HOOKS: &str = "hooks";

/// Where the keys of an entry are, and of its sections.
pub(super) struct Places<'a> {
    entry: usize,
    keys: BTreeMap<String, Place<'a>>,
}

#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) line: usize,
    pub(super) key: Option<&'a Node>,
    pub(super) value: Option<&'a Node>,
}

impl<'a> Places<'a> {
    pub(super) fn of(entry: &Node, fields: &[Field<'a>]) -> Self {
        let mut keys = BTreeMap::new();
        let mut add = |prefix: &str, field: &Field<'a>| {
            let Some(key) = field.key.text() else { return };
            let line = field.key.line();
            let place = Place { line, key: Some(field.key), value: Some(field.value) };
            keys.insert(format!("{prefix}{key}"), place);
        };
        for field in fields {
            add("", field);
            for (section, prefix) in [(SECTION, "unix_socket."), ("grpc", "grpc.")] {
                if field.key.text() == Some(section) {
                    let keys = field.value.fields(&mut Vec::new()).unwrap_or_default();
                    keys.iter().for_each(|key| add(prefix, key));
                    let tls = keys.iter().filter(|key| key.key.text() == Some("tls"));
                    for tls in tls.filter(|_| section == "grpc") {
                        let keys = tls.value.fields(&mut Vec::new()).unwrap_or_default();
                        keys.iter().for_each(|key| add("grpc.tls.", key));
                    }
                }
            }
        }
        Self { entry: entry.line(), keys }
    }

    /// Of a key that is missing, that of its section, or of the entry.
    pub(super) fn of_key(&self, key: &str) -> Place<'a> {
        let parents = std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
        let section = || {
            let section = parents.skip(1).find_map(|parent| self.keys.get(parent))?;
            Some(Place { line: section.line, key: None, value: None })
        };
        let entry = Place { line: self.entry, key: None, value: None };
        self.keys.get(key).copied().or_else(section).unwrap_or(entry)
    }
}
