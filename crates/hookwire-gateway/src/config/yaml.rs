//! From a text in YAML to a tree.

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Number, Value};

use super::template::Holes;
use super::tree::{Data, Fault, Node};

/// An alias stands for all that its anchor has, so a small file can have a huge tree.
const MAX_NODES: usize = 100_000;
const MAX_DEPTH: usize = 64;

/// Reads the one document of a text.
///
/// # Errors
/// The first thing that is no YAML.
pub(super) fn parse(text: &str, holes: &Holes) -> Result<Option<Rc<Node>>, Fault> {
    let mut builder = Builder { holes, open: vec![], anchors: BTreeMap::new(), root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| Fault::new(error.marker().line(), error.info()))?;
        builder.add(event, span)?;
    }
    Ok(builder.root)
}

/// A collection that has begun.
struct Open {
    anchor: usize,
    tagged: bool,
    is_map: bool,
    start: Span,
    children: Vec<Rc<Node>>,
}

struct Builder<'a> {
    holes: &'a Holes,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

impl Builder<'_> {
    fn add(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let hole = self.holes.within(&text);
                // A name like any other to who reads the file as YAML tells, and a trap.
                let quoted = self.is_key() && text == "<<" && style != ScalarStyle::Plain;
                let hole = hole.or_else(|| quoted.then(|| QUOTED_MERGE.to_owned()));
                let value = Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref());
                let core = tag.is_none_or(|tag| tag.is_yaml_core_schema());
                let data = hole.map_or_else(|| scalar(value, core), Data::Odd);
                self.close(anchor, Node::new(span, data))
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.place(node),
                None => Err(Fault::new(span.start.line(), "an alias whose anchor is not complete")),
            },
            Event::SequenceStart(anchor, tag) => {
                self.begin(anchor, tag.as_deref(), false, span);
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(anchor, tag.as_deref(), true, span);
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.end(open, span),
                None => Ok(()),
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Fault::new(span.start.line(), "a second document begins here; one is read"))
            }
            _ => Ok(()),
        }
    }

    fn is_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_map && open.children.len().is_multiple_of(2))
    }

    fn begin(&mut self, anchor: usize, tag: Option<&Tag>, is_map: bool, start: Span) {
        let tagged = tag.is_some_and(|tag| !tag.is_yaml_core_schema());
        self.open.push(Open { anchor, tagged, is_map, start, children: Vec::new() });
    }

    fn end(&mut self, open: Open, span: Span) -> Result<(), Fault> {
        let span = Span::new(open.start.start, span.end);
        let data = match open.is_map {
            _ if open.tagged => Data::Odd(TAGGED.into()),
            false => Data::List(open.children),
            true => {
                let mut children = open.children.into_iter();
                let mut fields = Vec::new();
                while let (Some(key), Some(value)) = (children.next(), children.next()) {
                    fields.push((key, value));
                }
                Data::Map(fields)
            }
        };
        self.close(open.anchor, Node::new(span, data))
    }

    fn close(&mut self, anchor: usize, node: Node) -> Result<(), Fault> {
        let node = Rc::new(node);
        // 0 is none.
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node)
    }

    fn place(&mut self, node: Rc<Node>) -> Result<(), Fault> {
        if node.depth > MAX_DEPTH {
            return Err(Fault::new(
                node.line(),
                format!("lists and maps nest more than {MAX_DEPTH} deep"),
            ));
        }
        if node.nodes > MAX_NODES {
            return Err(Fault::new(
                node.line(),
                format!("more than {MAX_NODES} values, with what its aliases stand for"),
            ));
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }
}

const QUOTED_MERGE: &str = "the merge key `<<` is one without quotes only";

const TAGGED: &str = "a value with a tag of its own (`!…`) cannot be read";

fn scalar(value: Option<Scalar<'_>>, core: bool) -> Data {
    Data::Scalar(match value {
        _ if !core => return Data::Odd(TAGGED.into()),
        None => return Data::Odd("a value is not what its tag says".into()),
        Some(Scalar::Null) => Value::Null,
        Some(Scalar::Boolean(value)) => value.into(),
        Some(Scalar::Integer(value)) => value.into(),
        Some(Scalar::String(value)) => value.into_owned().into(),
        Some(Scalar::FloatingPoint(value)) => match Number::from_f64(value.into_inner()) {
            Some(number) => number.into(),
            None => return Data::Odd("a number must be finite".into()),
        },
    })
}
