//! Metrics a plugin attaches to a refusal.
//!
//! They end up as metric labels and values, so the protocol keeps them few,
//! flat and numeric. What breaks the rule is dropped, never an error: a metric
//! must not spoil a verdict.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Redacted, Size};

/// Up to 16 metrics of a refusal, by name.
///
/// ## Behavior
/// The rule is the reference's (`sanitize_denial_metadata`), and a value of
/// this type always obeys it:
/// - more than 16 entries, valid or not: all are dropped;
/// - a name is 1 to 64 of `A-Z a-z 0-9 . _ -`, a value a boolean, a signed
///   64-bit integer or a finite number; any other entry is dropped.
///
/// ```
/// use hookwire::model::{DenialMetadata, DenialMetric};
///
/// let metrics: DenialMetadata =
///     [("rule.hits", DenialMetric::from(3)), ("score", 0.97.into()), ("not a name", true.into())]
///         .into_iter()
///         .collect();
/// assert_eq!(metrics.len(), 2);
/// assert_eq!(metrics.get("rule.hits"), Some(DenialMetric::Integer(3)));
/// ```
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct DenialMetadata(BTreeMap<String, DenialMetric>);

impl DenialMetadata {
    /// How many entries there may be.
    pub const MAX_ENTRIES: usize = 16;

    /// Applies the rule; `None` is an entry whose value is no metric: it counts, then falls out.
    pub(crate) fn sanitize(entries: BTreeMap<String, Option<DenialMetric>>) -> Self {
        if entries.len() > Self::MAX_ENTRIES {
            return Self::default();
        }
        let valid = entries.into_iter().filter_map(|(name, metric)| {
            let metric = metric.filter(|metric| metric.is_finite())?;
            is_label(&name).then_some((name, metric))
        });
        Self(valid.collect())
    }

    /// The metric of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<DenialMetric> {
        self.0.get(name).copied()
    }

    /// All metrics, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, DenialMetric)> {
        self.0.iter().map(|(name, metric)| (name.as_str(), *metric))
    }

    /// How many metrics there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is no metric.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

impl fmt::Debug for DenialMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DenialMetadata").field(&Redacted(self)).finish()
    }
}

impl Size for DenialMetadata {
    fn fmt_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_size(f)
    }
}

impl<N: Into<String>, M: Into<DenialMetric>> FromIterator<(N, M)> for DenialMetadata {
    /// Applies the [rule](Self#behavior).
    fn from_iter<I: IntoIterator<Item = (N, M)>>(entries: I) -> Self {
        let entry = |(name, metric): (N, M)| (name.into(), Some(metric.into()));
        Self::sanitize(entries.into_iter().map(entry).collect())
    }
}

impl IntoIterator for DenialMetadata {
    type Item = (String, DenialMetric);
    type IntoIter = btree_map::IntoIter<String, DenialMetric>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for DenialMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Object(map) => Self::sanitize(
                map.into_iter().map(|(name, value)| (name, DenialMetric::of(&value))).collect(),
            ),
            _ => Self::default(),
        })
    }
}

/// One metric of a refusal.
///
/// ```
/// use hookwire::model::DenialMetric;
///
/// assert_eq!(DenialMetric::from(true), DenialMetric::Boolean(true));
/// assert_eq!(DenialMetric::from(0.5), DenialMetric::Floating(0.5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum DenialMetric {
    /// Yes or no.
    Boolean(bool),
    /// A count, exact over all 64 bits.
    Integer(i64),
    /// A finite number.
    Floating(f64),
}

impl DenialMetric {
    /// `None` for what is no metric, an integer beyond 64 signed bits among them.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(boolean) => Some(Self::Boolean(*boolean)),
            Value::Number(number) if number.is_f64() => number.as_f64().map(Self::Floating),
            Value::Number(number) => number.as_i64().map(Self::Integer),
            _ => None,
        }
    }

    fn is_finite(self) -> bool {
        match self {
            Self::Boolean(_) | Self::Integer(_) => true,
            Self::Floating(number) => number.is_finite(),
        }
    }
}

impl From<bool> for DenialMetric {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<i64> for DenialMetric {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<f64> for DenialMetric {
    fn from(number: f64) -> Self {
        Self::Floating(number)
    }
}

#[cfg(test)]
mod tests;
