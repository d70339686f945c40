//! The gateway's own configuration file, as it is: see [`GatewayConfig`].
//!
//! `read` goes through it: `template` renders the text, `yaml` makes a `tree` of it, `structure`
//! sees whether templates had a part in what it is made of, `entries` reads the plugins in it
//! (`ours`, and `others`, which are left out), and `origin` and `places` tell where in the file
//! all that was.

mod entries;
mod left_out;
mod origin;
mod others;
mod ours;
mod places;
mod problem;
mod reached;
mod read;
mod section;
mod structure;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use hookwire::PluginConfig;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use left_out::{LeftOut, ReachedBy};
pub use problem::{ConfigProblem, GatewayConfigError};
use read::{broken, read};
use section::Section;

/// The plugins of a gateway's configuration file, in the reference's format.
///
/// ## Behavior
/// - **Templates** are rendered over the whole text first, as in the reference: Jinja, with the
///   environment as `env` (`{{ env.X }}`, `{{ env['X'] }}`, `{{ env.get('X', 'd') }}`,
///   `{{ env.X | default('d') }}`, `{% if env.X %}`). A variable that is not set is an error
///   wherever it is part of an entry that is read; the reference reads it as empty. Elsewhere, as
///   in the settings of other plugins, it does not matter. Nothing is escaped; the reference
///   turns `&`, `<`, `>` and quotes into HTML.
/// - **A value is put in as text**, and quotes around the template do not protect: the value may
///   have one. `{{ env.X | tojson }}`, without quotes around it, is one value whatever it holds
///   (`{{ (env.DIR ~ '/p') | tojson }}`). A value that would change what the file says (a quote
///   that ends its text, a line break, a `: `, a ` #`) is refused; `| safe` allows it, where a
///   variable holds YAML. Whether it becomes a number or a null is not looked at.
/// - **Less than Jinja**: comparing a variable that is not set (`{% if env.X == 'a' %}`) is an
///   error of the file; write `env.get('X', '') == 'a'`. Of the methods of texts there are
///   `lower`, `upper`, `strip`, `startswith`, `endswith` and `split` with a separator.
/// - **YAML 1.2**, one document. Merge keys (`<<`) are resolved, the entry's own values win. Where
///   a map has a key twice, `<<` included, the file is refused; the reference takes the last one.
///   A `<<` in quotes is refused; to the reference it is a key like any other. `yes`, `no`,
///   `on` and `off` are texts, which the reference reads as booleans.
/// - **`plugins`** must be there, with a list behind it, and be it an empty one: a file that was
///   cut off would run no plugin, as in the reference. An entry with a `unix_socket` is a
///   [`PluginConfig`], held to its rules and with conditions that [`Chain`](crate::Chain) can
///   read. One of the kind `external` without any transport is refused, and so is what looks like
///   an entry of ours and is misspelt: a `kind` that is almost `external`, or a key that is almost
///   `unix_socket`. All others are [`left_out`](Self::left_out), with name, kind and mode: the
///   gateway runs them in another way, or nobody does. Everything beside `plugins` is the
///   gateway's own: see [`section`](Self::section).
/// - **A name** stands for one plugin, also among those that are left out.
/// - **All problems** of all entries are reported together, with file, line, plugin and key. What
///   a template has brought in appears in no message, and neither does the file's other content
///   but the values that are refused.
///
/// ```
/// use hookwire_gateway::GatewayConfig;
///
/// let text = "
/// defaults: &guard {mode: sequential, on_error: fail}
/// plugins:
///   - <<: *guard
///     name: Guard
///     kind: external
///     unix_socket:
///       path: '{{ env.PLUGIN_DIR | default(\"/run/plugins\") }}/guard.sock'
///   - name: Filter
///     kind: my_gateway.plugins.Filter
/// plugin_settings: {plugin_timeout: 30}
/// ";
/// let config = GatewayConfig::from_str(text)?;
/// assert_eq!(config.plugins()[0].endpoint().to_string(), "/run/plugins/guard.sock");
/// assert_eq!(config.left_out()[0].kind(), "my_gateway.plugins.Filter");
/// assert_eq!(config.line_of("Guard"), Some(4));
/// # Ok::<(), hookwire_gateway::GatewayConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    plugins: Vec<PluginConfig>,
    lines: Vec<Option<usize>>,
    left_out: Vec<LeftOut>,
    warnings: Vec<ConfigProblem>,
    sections: BTreeMap<String, Section>,
}

impl GatewayConfig {
    /// Reads a file, with the environment of this process. Blocks until it is read.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it. A file that is not there is
    /// an error; the reference goes on without plugins.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, GatewayConfigError> {
        Self::from_path_with(path, environment)
    }

    /// As [`from_path`](Self::from_path), with an environment of your own: the value of a
    /// variable by its name, `None` if it is not set.
    ///
    /// # Errors
    /// As of [`from_path`](Self::from_path).
    pub fn from_path_with(
        path: impl AsRef<Path>,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, GatewayConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|error| broken(Some(path), None, format!("cannot be read: {error}")))?;
        read(Some(path), &text, Box::new(environment))
    }

    /// Reads a text, with the environment of this process.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    // The same as `FromStr`, without an import.
    #[allow(clippy::should_implement_trait)]
    pub fn from_str(text: &str) -> Result<Self, GatewayConfigError> {
        Self::from_str_with(text, environment)
    }

    /// As [`from_str`](Self::from_str), with an environment of your own: the value of a variable
    /// by its name, `None` if it is not set.
    ///
    /// ```
    /// use hookwire_gateway::GatewayConfig;
    ///
    /// let text = "plugins: [{name: P, unix_socket: {path: '{{ env.SOCKET }}'}}]";
    /// let environment = |name: &str| (name == "SOCKET").then(|| "/run/p.sock".to_owned());
    /// assert!(GatewayConfig::from_str_with(text, environment).is_ok());
    ///
    /// let error = GatewayConfig::from_str_with(text, |_| None).unwrap_err();
    /// assert!(error.to_string().contains("the environment variable `SOCKET` is not set"));
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_str_with(
        text: &str,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, GatewayConfigError> {
        read(None, text, Box::new(environment))
    }

    /// The plugins behind Unix sockets, in the file's order, disabled ones too.
    #[must_use]
    pub fn plugins(&self) -> &[PluginConfig] {
        &self.plugins
    }

    /// As [`plugins`](Self::plugins).
    #[must_use]
    pub fn into_plugins(self) -> Vec<PluginConfig> {
        self.plugins
    }

    /// The other entries, in the file's order: they are not reached over a Unix socket.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What is read, and may be misspelt all the same, in the order of the entries.
    ///
    /// - Keys that nobody knows: they are ignored, since newer gateways may add keys. The client
    ///   logs a warning of them, without the line.
    /// - `hooks` that are not built in: a gateway may have its own, but a plugin with a misspelt
    ///   one is not asked, and while its server is down nothing else tells.
    ///
    /// ```
    /// use hookwire_gateway::GatewayConfig;
    ///
    /// let text = "plugins: [{name: P, hooks: [tool_pre_invok], unix_socket: {path: /p}}]";
    /// let config = GatewayConfig::from_str(text)?;
    /// assert_eq!(
    ///     config.warnings()[0].to_string(),
    ///     "line 1: plugin `P`: hooks = \"tool_pre_invok\": no built-in hook has this name, did you mean `tool_pre_invoke`?"
    /// );
    /// # Ok::<(), hookwire_gateway::GatewayConfigError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> &[ConfigProblem] {
        &self.warnings
    }

    /// Something of the gateway's own that the file has beside `plugins`, by its key, its templates
    /// rendered and its merge keys resolved. `None` if the file does not have the key, or has
    /// nothing behind it.
    ///
    /// ```
    /// use hookwire_gateway::GatewayConfig;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Settings {
    ///     plugin_timeout: u64,
    /// }
    ///
    /// let text = "
    /// plugins: []
    /// plugin_settings: {plugin_timeout: 30}
    /// ";
    /// let config = GatewayConfig::from_str(text)?;
    /// let settings: Option<Settings> = config.section("plugin_settings")?;
    /// assert_eq!(settings.map(|settings| settings.plugin_timeout), Some(30));
    /// assert!(config.section::<Settings>("server")?.is_none());
    ///
    /// let error = config.section::<Vec<String>>("plugin_settings").unwrap_err().to_string();
    /// assert!(error.ends_with("line 3: plugin_settings: a value cannot be read, expected a sequence"));
    /// # Ok::<(), hookwire_gateway::GatewayConfigError>(())
    /// ```
    ///
    /// # Errors
    /// A template in it cannot be rendered, it has what JSON cannot say, or it is no `T`: with the
    /// line of the key, and without any value.
    pub fn section<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, GatewayConfigError> {
        let section = self.sections.get(key).filter(|section| section.value != Ok(Value::Null));
        section.map(Section::read).transpose()
    }

    /// The line in which a plugin's entry begins, from 1. `None` if there is no such plugin here,
    /// or as of [`ConfigProblem::line`].
    #[must_use]
    pub fn line_of(&self, plugin: &str) -> Option<usize> {
        let index = self.plugins.iter().position(|config| config.name() == plugin)?;
        self.lines[index]
    }
}

// What stands beside the plugins may hold secrets.
impl fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayConfig")
            .field("plugins", &self.plugins)
            .field("left_out", &self.left_out)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl FromStr for GatewayConfig {
    type Err = GatewayConfigError;

    fn from_str(text: &str) -> Result<Self, GatewayConfigError> {
        Self::from_str(text)
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
