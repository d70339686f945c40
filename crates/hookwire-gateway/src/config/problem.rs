//! What is wrong with a gateway's file, told to the person who wrote it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong with a gateway's file: where, of which plugin, and what.
///
/// `Display` is one line that begins as a compiler's, `gateway.yaml:12: plugin `Guard`: …`.
/// It has no value that a template brought in. See [`GatewayConfigError`] for an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    pub(super) file: Option<PathBuf>,
    pub(super) line: Option<usize>,
    pub(super) entry: Option<usize>,
    pub(super) plugin: Option<String>,
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    pub(super) reason: String,
}

impl ConfigProblem {
    /// The file; `None` of a text that came from none.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The line of the file, from 1. `None` if it is not known: the file cannot be read, or its
    /// templates move lines in a way that cannot be followed.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The plugin's name; `None` if it is not about one, or if a template makes the name.
    #[must_use]
    pub fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// The key, with its section: `unix_socket.timeout`.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The refused value as JSON, of a list or an object only the word; `None` where the key
    /// itself is the problem, or where a template brought the value in.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// What is wrong, and what to do.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: ", shown(file))?,
            (Some(file), None) => write!(f, "{}: ", shown(file))?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        match (&self.plugin, self.entry) {
            (Some(plugin), _) => write!(f, "plugin `{}`: ", escaped(plugin))?,
            (None, Some(entry)) => write!(f, "entry {entry} of `plugins`: ")?,
            (None, None) => {}
        }
        if let Some(key) = &self.key {
            f.write_str(&escaped(key))?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)
    }
}

/// A gateway's file that cannot be used, with everything that is wrong with it.
///
/// ```
/// use hookwire_gateway::GatewayConfig;
///
/// let error = GatewayConfig::from_str("
/// plugins:
///   - name: Guard
///     unix_socket:
///       path: run/guard.sock
///   - name: Guard
///     unix_socket: {path: /run/guard.sock, timeuot: 5}
/// ").unwrap_err();
/// let problems: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
/// assert_eq!(problems, [
///     "line 5: plugin `Guard`: unix_socket.path = \"run/guard.sock\": must be absolute",
///     "line 6: plugin `Guard`: name: an entry before has it, in line 3; a name stands for one plugin",
///     "line 7: plugin `Guard`: unix_socket.timeuot: unknown key, did you mean `timeout`?",
/// ]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfigError {
    problems: Vec<ConfigProblem>,
}

impl GatewayConfigError {
    pub(super) fn new(problems: Vec<ConfigProblem>) -> Self {
        Self { problems }
    }

    /// Everything that is wrong, in the order of the lines; never empty.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }
}

/// One line for each problem, below one that counts them; a single problem is alone.
impl fmt::Display for GatewayConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problems[..] {
            [problem] => write!(f, "the gateway's configuration cannot be used: {problem}"),
            problems => {
                write!(f, "the gateway's configuration has {} problems:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for GatewayConfigError {}

fn shown(file: &Path) -> String {
    escaped(&file.to_string_lossy())
}

/// A control character would end the line, or do worse to a terminal.
pub(super) fn escaped(text: &str) -> String {
    let escape = |character: char| match character {
        control if control.is_control() => control.escape_default().collect(),
        other => String::from(other),
    };
    text.chars().map(escape).collect()
}
