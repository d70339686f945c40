//! What happens to integers that a double does not carry exactly.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What happens to integers beyond ±2^53, which the wire (a double) cannot carry.
///
/// ```
/// assert_eq!(hookwire::BigIntegers::default(), hookwire::BigIntegers::Refuse);
/// assert_eq!(hookwire::BigIntegers::Round.as_str(), "round");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BigIntegers {
    /// The call is refused before anything is sent. The default.
    #[default]
    Refuse,
    /// They become the nearest double.
    Round,
}

impl BigIntegers {
    /// The words of a configuration.
    pub(crate) const WORDS: &[&str] = &["refuse", "round"];

    /// The word that stands for it in a configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Round => "round",
        }
    }
}

impl fmt::Display for BigIntegers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
