//! Whether what templates put in is read as part of the file's values, or changes what the file
//! is made of: a quote in a variable could end the text that it stands in, and bring keys of its
//! own.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// What an expression has put into a text.
pub(super) struct Insertion {
    /// Where it is in the text.
    pub(super) range: Range<usize>,
    /// A word of the same length, which means nothing to YAML.
    pub(super) word: String,
    /// The line of the source.
    pub(super) line: usize,
    /// The expression, as the file has it.
    pub(super) expression: String,
}

/// A text that is of one word.
pub(super) fn word(text: &str) -> String {
    let inner = text.trim_matches(' ');
    let word = inner.replace(|character: char| !character.is_alphanumeric(), "x");
    text.replacen(inner, &word, usize::from(!inner.is_empty()))
}

/// The insertions that are more than a part of one value.
pub(super) fn intruders<'a>(text: &str, insertions: &'a [Insertion]) -> Vec<&'a Insertion> {
    let Some(shape) = shape(text) else { return Vec::new() };
    let differs = |insertions: &mut dyn Iterator<Item = &Insertion>| {
        self::shape(&with_words(text, insertions)).is_none_or(|other| !alike(&shape, &other))
    };
    if insertions.is_empty() || !differs(&mut insertions.iter()) {
        return Vec::new();
    }
    let alone: Vec<_> =
        insertions.iter().filter(|one| differs(&mut std::iter::once(*one))).take(MAX).collect();
    // What only several do together.
    if alone.is_empty() { insertions.iter().take(MAX).collect() } else { alone }
}

/// More are told once these are mended.
const MAX: usize = 20;

fn with_words(text: &str, insertions: &mut dyn Iterator<Item = &Insertion>) -> String {
    let (mut replaced, mut end) = (String::with_capacity(text.len()), 0);
    for Insertion { range, word, .. } in insertions {
        replaced += &text[end..range.start];
        replaced += word;
        end = range.end;
    }
    replaced + &text[end..]
}

#[derive(PartialEq)]
enum Part {
    /// The length of one without quotes, which a comment or the end of the value may cut.
    Scalar(Option<usize>, bool, bool),
    Alias(usize),
    List(bool, bool),
    Map(bool, bool),
    End,
    Document,
}

/// What a text is made of, whatever its values are; `None` of what is no YAML.
fn shape(text: &str) -> Option<Vec<Part>> {
    let mut shape = Vec::new();
    for event in Parser::new_from_str(text) {
        shape.push(match event.ok()?.0 {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = (style == ScalarStyle::Plain).then(|| text.chars().count());
                Part::Scalar(plain, anchor > 0, tag.is_some())
            }
            Event::Alias(anchor) => Part::Alias(anchor),
            Event::SequenceStart(anchor, tag) => Part::List(anchor > 0, tag.is_some()),
            Event::MappingStart(anchor, tag) => Part::Map(anchor > 0, tag.is_some()),
            Event::SequenceEnd | Event::MappingEnd => Part::End,
            Event::DocumentStart(_) => Part::Document,
            _ => continue,
        });
    }
    Some(shape)
}

fn alike(one: &[Part], other: &[Part]) -> bool {
    let pairs = one.iter().zip(other);
    one.len() == other.len()
        && pairs.into_iter().all(|pair| match pair {
            // One of both in quotes, which the value has brought with it.
            (Part::Scalar(one, a, b), Part::Scalar(other, c, d)) => {
                (a, b) == (c, d) && one.zip(*other).is_none_or(|(one, other)| one == other)
            }
            (one, other) => one == other,
        })
}
