//! Tokens and other credentials.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A string that must not be logged.
///
/// It serialises as the plain string, because the plugin that asks for it needs
/// it; `Debug` prints `Secret(..)` and there is no `Display`.
///
/// ```
/// use hookwire::model::Secret;
///
/// let token = Secret::from("eyJhbGciOi");
/// assert_eq!(token.expose(), "eyJhbGciOi");
/// assert_eq!(format!("{token:?}"), "Secret(..)");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself. Keep it out of logs, traces and errors.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_a_plain_string_on_the_wire() {
        let secret = Secret::from("hunter2");
        let json = serde_json::to_value(&secret).unwrap();
        assert_eq!(json, json!("hunter2"));
        assert_eq!(serde_json::from_value::<Secret>(json).unwrap(), secret);
    }

    #[test]
    fn debug_output_never_shows_a_secret() {
        assert_eq!(format!("{:?}", Some(Secret::from("hunter2"))), "Some(Secret(..))");
    }
}
