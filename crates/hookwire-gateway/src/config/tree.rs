//! A document as a tree whose nodes know their lines. Merge keys are resolved as it is read.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;

use saphyr_parser::Span;
use serde_json::Value;

use super::origin::Origin;

const MERGE: &str = "<<";

/// A part of a document.
pub(super) struct Node {
    /// Lines of the text, from 1.
    first: usize,
    last: usize,
    /// How deep it nests, and of how many nodes it is, with those that aliases stand for.
    pub(super) depth: usize,
    pub(super) nodes: usize,
    data: Data,
}

pub(super) enum Data {
    Scalar(Value),
    List(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
    /// What JSON cannot say, and why it is refused where it matters.
    Odd(String),
}

/// A key with its value.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) key: &'a Node,
    pub(super) value: &'a Node,
}

pub(super) fn value<'a>(fields: &[Field<'a>], key: &str) -> Option<&'a Node> {
    fields.iter().find(|field| field.key.text() == Some(key)).map(|field| field.value)
}

/// Something wrong, at a line of the text.
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) reason: String,
    /// A key that is there twice, and the line of the first one.
    pub(super) again: Option<(Rc<Node>, usize)>,
}

impl Fault {
    pub(super) fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into(), again: None }
    }

    fn again(key: &Rc<Node>, first: usize) -> Self {
        // Of two values of a key, either may be the one that was meant.
        let reason = match key.text() {
            Some(MERGE) => "; of several bases, make a list: `<<: [*a, *b]`",
            _ => "",
        };
        Self { again: Some((key.clone(), first)), ..Self::new(key.first, reason) }
    }
}

// Of the node, its line alone.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({}, {:?})", self.line, self.reason)
    }
}

impl Node {
    pub(super) fn new(span: Span, data: Data) -> Self {
        let children: Box<dyn Iterator<Item = &Rc<Node>>> = match &data {
            Data::List(items) => Box::new(items.iter()),
            Data::Map(fields) => Box::new(fields.iter().flat_map(|(key, value)| [key, value])),
            Data::Scalar(_) | Data::Odd(_) => Box::new(std::iter::empty()),
        };
        let (depth, nodes) = children.fold((0, 1_usize), |(depth, nodes), child| {
            (depth.max(child.depth), nodes.saturating_add(child.nodes))
        });
        let (first, last) = (span.start.line(), span.end.line());
        Self { first, last, depth: depth + 1, nodes, data }
    }

    pub(super) fn line(&self) -> usize {
        self.first
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.data, Data::Scalar(Value::Null))
    }

    pub(super) fn items(&self) -> Option<&[Rc<Node>]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// Whether all of it stands in the source as it is, so that nothing in it is a value of the
    /// environment's.
    pub(super) fn is_literal(&self, origin: &Origin<'_>) -> bool {
        match &self.data {
            Data::Odd(_) => origin.is_untemplated(self.first, self.last),
            Data::Scalar(value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                origin.is_untemplated(self.first, self.last) && origin.holds(&text)
            }
            Data::List(items) => items.iter().all(|item| item.is_literal(origin)),
            Data::Map(fields) => {
                fields.iter().all(|(key, value)| key.is_literal(origin) && value.is_literal(origin))
            }
        }
    }

    /// The keys of a map, those of its bases included: its own win, then those of the base
    /// that is named first. `None` of what is no map.
    pub(super) fn fields(&self, faults: &mut Vec<Fault>) -> Option<Vec<Field<'_>>> {
        let Data::Map(pairs) = &self.data else { return None };
        let (bases, own): (Vec<_>, Vec<_>) =
            pairs.iter().partition(|(key, _)| key.text() == Some(MERGE));
        let mut firsts = HashMap::new();
        for (key, _) in pairs {
            let Some(text) = key.text() else { continue };
            match firsts.get(text) {
                Some(first) => faults.push(Fault::again(key, *first)),
                None => drop(firsts.insert(text, key.first)),
            }
        }
        let mut known: HashSet<_> = firsts.into_keys().collect();
        let mut fields: Vec<_> = own.iter().map(|(key, value)| Field { key, value }).collect();
        for (key, value) in bases {
            let bases = match &value.data {
                Data::List(bases) => bases.iter().collect(),
                _ => vec![value],
            };
            for base in bases {
                match base.fields(faults) {
                    Some(base) => fields.extend(
                        base.into_iter()
                            .filter(|field| field.key.text().is_none_or(|key| known.insert(key))),
                    ),
                    None => faults.push(Fault::new(
                        key.first,
                        "the merge key `<<` must be followed by a map, or by a list of maps",
                    )),
                }
            }
        }
        Some(fields)
    }

    /// As JSON. What that cannot say is null, and a fault.
    pub(super) fn to_json(&self, faults: &mut Vec<Fault>) -> Value {
        match &self.data {
            Data::Scalar(value) => value.clone(),
            Data::List(items) => items.iter().map(|item| item.to_json(faults)).collect(),
            Data::Odd(_) => {
                faults.extend(self.fault());
                Value::Null
            }
            Data::Map(_) => {
                let fields = self.fields(faults).unwrap_or_default();
                let mut object = serde_json::Map::new();
                for field in fields {
                    match field.key.text() {
                        Some(key) => {
                            object.insert(key.into(), field.value.to_json(faults));
                        }
                        None => faults.push(field.key.not_a_key()),
                    }
                }
                object.into()
            }
        }
    }

    /// Why this cannot be read, if it cannot.
    pub(super) fn fault(&self) -> Option<Fault> {
        match &self.data {
            Data::Odd(reason) => Some(Fault::new(self.first, reason)),
            _ => None,
        }
    }

    fn not_a_key(&self) -> Fault {
        let other = || Fault::new(self.first, "a key must be a string; put it in quotes");
        self.fault().unwrap_or_else(other)
    }
}
