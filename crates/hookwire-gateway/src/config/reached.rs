//! How the plugin of an entry is reached, by what the entry has.

use super::left_out::ReachedBy;
use super::places::SECTION;
use super::tree::{Field, Node, value};

/// The kind of every plugin that is reached over a transport, and of an entry without one.
pub(super) const EXTERNAL: &str = "external";

/// `None` of an entry that is ours: it has the section, or claims to be reached over something
/// and does not tell what, which may be a misspelt section.
pub(super) fn reached_by(fields: &[Field<'_>]) -> Option<ReachedBy> {
    let kind = value(fields, "kind").filter(|kind| !kind.is_null());
    match kind.map_or(Some(EXTERNAL), Node::text) {
        _ if has(fields, SECTION) => None,
        _ if cfg!(feature = "grpc") && has(fields, "grpc") => None,
        _ if has(fields, "mcp") => Some(ReachedBy::Mcp),
        _ if has(fields, "grpc") => Some(ReachedBy::Grpc),
        None => None,
        Some(EXTERNAL) => None,
        Some(kind) if is_like_external(kind) => None,
        Some(_) => Some(ReachedBy::InProcess),
    }
}

pub(super) fn has(fields: &[Field<'_>], key: &str) -> bool {
    value(fields, key).is_some_and(|value| !value.is_null())
}

/// Whether a kind is `external` but for its case, blanks, a typing error, or an end that is cut
/// off. A class has a dot.
pub(super) fn is_like_external(kind: &str) -> bool {
    let word = kind.trim().to_lowercase();
    let is_like = EXTERNAL.starts_with(&word)
        || word.starts_with('e') && strsim::damerau_levenshtein(&word, EXTERNAL) <= 2;
    kind != EXTERNAL && !word.is_empty() && is_like
}
