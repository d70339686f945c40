//! What a file has beside its plugins.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{ConfigProblem, GatewayConfigError};

/// A key of the file with its value, or why that cannot be read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// A problem of it, but for the reason.
    pub(super) place: ConfigProblem,
    pub(super) value: Result<Value, Vec<ConfigProblem>>,
}

impl Section {
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, GatewayConfigError> {
        let value = self.value.clone().map_err(GatewayConfigError::new)?;
        serde_json::from_value(value).map_err(|error| {
            let reason = without_values(&error.to_string());
            GatewayConfigError::new(vec![ConfigProblem { reason, ..self.place.clone() }])
        })
    }
}

/// Errors of values tell what they were. What was expected is known beforehand.
fn without_values(error: &str) -> String {
    match error.rsplit_once(", expected ") {
        Some((_, expected)) => format!("a value cannot be read, expected {expected}"),
        None if error.starts_with("missing field ") => error.to_owned(),
        None => "a value cannot be read".to_owned(),
    }
}
