//! What is wrong with a configuration, told to the person who wrote it.
//!
//! Problems are collected, not thrown: an operator who starts a gateway three
//! times to find three typing errors was told two thirds too little.

use std::fmt;

use serde_json::Value;

use crate::endpoint::Escaped;

/// Strings are shown up to here, so that a pasted document stays out of the log.
const SHOWN_CHARS: usize = 200;

/// One thing that is wrong with a configuration.
///
/// See [`ConfigError`] for an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    field: String,
    value: Option<String>,
    reason: String,
}

impl Problem {
    /// The key, with its section: `unix_socket.timeout`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The refused value as JSON, of a list or an object only the word; `None`
    /// where the key itself is the problem.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// What the key must be, or why it is refused.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.field).fmt(f)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// A configuration that cannot be used, with every problem it has.
///
/// ```
/// use hookwire::PluginConfig;
/// use serde_json::json;
///
/// let entry = json!({
///     "name": "MyPlugin",
///     "unix_socket": {"path": "/run/my.sock", "timeout": -1, "retires": 3},
/// });
/// let error = PluginConfig::from_value(entry).unwrap_err();
/// assert_eq!(error.plugin(), Some("MyPlugin"));
/// assert_eq!(error.problems().len(), 2);
/// assert_eq!(error.problems()[0].field(), "unix_socket.timeout");
/// assert!(error.to_string().contains("unknown key, did you mean `retry`?"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    plugin: Option<String>,
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The plugin's name; `None` where the configuration does not say it.
    #[must_use]
    pub fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// Every problem of the configuration; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = Vec::from_iter(self.problems.iter().map(Problem::to_string));
        let plural = if problems.len() == 1 { "" } else { "s" };
        f.write_str("configuration")?;
        if let Some(plugin) = &self.plugin {
            write!(f, " of plugin `{}`", Escaped(plugin))?;
        }
        write!(f, " has {} problem{plural}: {}", problems.len(), problems.join("; "))
    }
}

impl std::error::Error for ConfigError {}

/// The problems found so far, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Without a value, the key itself is the problem: it is missing, or should not be there.
    pub(super) fn add(
        &mut self,
        field: impl Into<String>,
        value: Option<&Value>,
        reason: impl Into<String>,
    ) {
        let problem =
            Problem { field: field.into(), value: value.map(shown), reason: reason.into() };
        self.0.push(problem);
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// The parsed value, unless anything at all was wrong.
    pub(super) fn unless_any<T>(
        self,
        plugin: Option<String>,
        parsed: Option<T>,
    ) -> Result<T, ConfigError> {
        match parsed {
            Some(parsed) if self.0.is_empty() => Ok(parsed),
            _ => Err(ConfigError { plugin, problems: self.0 }),
        }
    }
}

/// Lists and objects are named, not shown: they may hold secrets.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::String(text) => match text.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("{}…", quoted(&text[..end])),
            None => quoted(text),
        },
        scalar => scalar.to_string(),
    }
}

/// As JSON, with the control characters beyond ASCII escaped too.
fn quoted(text: &str) -> String {
    Escaped(&Value::from(text).to_string()).to_string()
}
