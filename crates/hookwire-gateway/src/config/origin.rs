//! Which line of a file each line of its rendered text comes from, and which of them a
//! template had a part in.
//!
//! The lines of the text before rendering are marked, it is rendered once more with the marks,
//! and these tell where they have come to. Where the marks change anything else, no line is
//! told rather than a wrong one.

/// Of the private use area: it means nothing to templates.
const MARK: char = '\u{F8FF}';

/// Where the lines of a text come from.
pub(super) struct Origin<'a> {
    source: &'a str,
    /// Of each line of the source, whether a part of a tag is in it. Empty if there are no tags.
    templated: Vec<bool>,
    lines: Lines,
}

enum Lines {
    Same,
    /// Of each line of the text, its line in the source, from 1.
    Moved(Vec<usize>),
    Unknown,
}

impl<'a> Origin<'a> {
    /// Of a text that is its own source.
    pub(super) fn same(source: &'a str) -> Self {
        Self { source, templated: Vec::new(), lines: Lines::Same }
    }

    /// Of a text that `render` made of a template: the source, or one with the same lines.
    /// `render` gives `None` if it fails.
    pub(super) fn rendered(
        source: &'a str,
        template: &str,
        text: &str,
        render: impl FnOnce(&str) -> Option<String>,
    ) -> Self {
        let lines = render(&marked(&pieces(template))).and_then(|marked| moved(text, &marked));
        Self {
            source,
            templated: templated(&pieces(source)),
            lines: lines.map_or(Lines::Unknown, Lines::Moved),
        }
    }

    /// The line of the source that a line of the text comes from, both from 1.
    pub(super) fn line(&self, line: usize) -> Option<usize> {
        match &self.lines {
            Lines::Same => Some(line),
            Lines::Moved(lines) => lines.get(line.saturating_sub(1)).or(lines.last()).copied(),
            Lines::Unknown => None,
        }
    }

    /// Whether nothing was rendered.
    pub(super) fn is_same(&self) -> bool {
        matches!(self.lines, Lines::Same)
    }

    /// Whether no template has a part in the lines that these lines of the text come from.
    pub(super) fn is_untemplated(&self, first: usize, last: usize) -> bool {
        let is_untemplated = |line| {
            let source = self.line(line)?;
            Some(!self.templated.get(source - 1).copied().unwrap_or_default())
        };
        (first..=last.max(first)).all(|line| is_untemplated(line).unwrap_or_default())
    }

    /// Whether a word stands in the source, so that it is no secret of the environment's.
    pub(super) fn holds(&self, word: &str) -> bool {
        self.is_same() || self.source.contains(word)
    }
}

/// A part of a template: text, or what is in braces.
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    is_tag: bool,
}

pub(super) fn pieces(mut rest: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let opening = |text: &str| {
        ["{{", "{%", "{#"].iter().filter_map(|open| text.find(open)).min().unwrap_or(text.len())
    };
    while !rest.is_empty() {
        let (text, from_tag) = rest.split_at(opening(rest));
        pieces.push(Piece { text, is_tag: false });
        let (tag, after) = from_tag.split_at(end_of_tag(from_tag));
        if !tag.is_empty() {
            pieces.push(Piece { text: tag, is_tag: true });
        }
        rest = after;
        if tag_name(tag) == "raw" {
            let end = rest.match_indices("{%").find(|(at, _)| {
                let tag = &rest[*at..];
                tag_name(&tag[..end_of_tag(tag)]) == "endraw"
            });
            let (raw, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
            pieces.push(Piece { text: raw, is_tag: false });
            rest = after;
        }
    }
    pieces
}

fn tag_name(tag: &str) -> &str {
    tag.trim_matches(['{', '%', '-', '+', '}', ' ', '\n', '\t'])
}

/// How long the tag is that the text begins with; what is in quotes does not end it.
fn end_of_tag(text: &str) -> usize {
    let close = match text.get(..2) {
        Some("{{") => "}}",
        Some("{%") => "%}",
        Some("{#") => return text.find("#}").map_or(text.len(), |at| at + 2),
        _ => return 0,
    };
    let mut quote = None;
    for (at, character) in text.char_indices().skip(2) {
        match quote {
            Some(open) if open == character => quote = None,
            Some(_) => {}
            None if text[at..].starts_with(close) => return at + 2,
            None if character == '"' || character == '\'' => quote = Some(character),
            None => {}
        }
    }
    text.len()
}

/// The source, with a mark and its number at the start of each text and of each of its lines.
///
/// Where a tag takes the white space beside it away, a mark would be in the way.
fn marked(pieces: &[Piece<'_>]) -> String {
    let mut marked = String::new();
    let mut line = 1;
    for (index, piece) in pieces.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &pieces[before]);
        let taken_before = before.is_some_and(|tag| tag.is_tag && takes(tag, tag.text.len() - 3));
        let after = pieces.get(index + 1);
        let taken_after = after.is_some_and(|tag| tag.is_tag && takes(tag, 2));
        let text = piece.text;
        let from = if taken_before { text.len() - text.trim_start().len() } else { 0 };
        let to = if taken_after { text.trim_end().len() } else { text.len() };
        for (at, character) in text.char_indices() {
            if !piece.is_tag && at == from {
                marked += &mark(line);
            }
            marked.push(character);
            if character != '\n' {
                continue;
            }
            line += 1;
            // A last line break is no line, and rendering drops it.
            let is_end = at + 1 == text.len() && after.is_none();
            if !piece.is_tag && !is_end && at + 1 > from && at < to {
                marked += &mark(line);
            }
        }
    }
    marked
}

fn takes(tag: &Piece<'_>, at: usize) -> bool {
    tag.text.len() >= 4 && tag.text.as_bytes().get(at) == Some(&b'-')
}

fn mark(line: usize) -> String {
    format!("{MARK}{line}{MARK}")
}

/// Reads the marks, if the text without them is the one that was rendered without. The last one
/// before anything else in a line is the line's.
fn moved(text: &str, marked: &str) -> Option<Vec<usize>> {
    let (mut unmarked, mut lines, mut line) = (String::new(), Vec::new(), 1);
    for (index, one) in marked.split('\n').enumerate() {
        if index > 0 {
            unmarked.push('\n');
        }
        let mut parts = one.split(MARK);
        let mut is_start = true;
        let mut start = line;
        loop {
            let written = parts.next()?;
            is_start &= written.is_empty();
            unmarked += written;
            let Some(number) = parts.next() else { break };
            line = number.parse().ok()?;
            if is_start {
                start = line;
            }
        }
        lines.push(start);
    }
    (unmarked == text).then_some(lines)
}

fn templated(pieces: &[Piece<'_>]) -> Vec<bool> {
    let mut templated = vec![false];
    for piece in pieces {
        let last = templated.len() - 1;
        templated[last] |= piece.is_tag;
        templated.extend(piece.text.matches('\n').map(|_| piece.is_tag));
    }
    templated
}
