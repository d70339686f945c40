//! What the server is asked when a plugin is connected to.

use serde_json::Value;

use super::PluginHandle;
use crate::config::{PluginConfig, PluginMode};
use crate::error::{Cause, Errand, PluginError, Sent};
use crate::model::Object;

impl PluginHandle {
    /// Asks the server about the plugin now, whether `verify` is on or off, and merges what
    /// it tells into the configuration, as [`connect`](Self::connect) does. For a handle
    /// that was made by [`connect_lazy`](Self::connect_lazy), and for looking whether a plugin
    /// answers.
    ///
    /// What was concluded first stays: a configuration that was merged is not merged again,
    /// and a plugin that cannot be used as it is configured needs a new handle.
    ///
    /// ```no_run
    /// use hookwire::{CallOptions, PluginError, PluginHandle};
    /// use std::time::Duration;
    ///
    /// # async fn look(guard: PluginHandle) -> Result<(), PluginError> {
    /// guard.with(CallOptions::new().timeout(Duration::from_secs(1))).verify().await?;
    /// println!("{} serves {:?}", guard.name(), guard.hooks());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The server cannot be asked or does not answer; it spells the plugin's name
    /// differently; or neither side names a hook.
    ///
    /// # Cancel safety
    /// A dropped call affects no other.
    pub async fn verify(&self) -> Result<(), PluginError> {
        let remote = self.plugin_config().await?;
        self.conclude(self.merge(remote))
    }

    /// Whether the configuration is complete: the server was asked, or need not be. Until
    /// then [`hooks`](Self::hooks), mode, priority and `on_error` are those of the local
    /// entry alone, so a plugin without hooks may well have some.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self.inner.checked.get(), Some(Ok(_)))
    }

    /// Connects and asks the server about the plugin, unless `verify` is off. A plugin that
    /// is disabled is left alone.
    pub(crate) async fn check(&self) -> Result<(), PluginError> {
        if self.config().mode() == PluginMode::Disabled {
            return Ok(());
        }
        self.inner.client.connect(self.options).await?;
        let local = &self.inner.local;
        if !local.policy().verify() {
            return self.conclude(self.usable(local.clone()));
        }
        match self.plugin_config().await {
            Ok(remote) => self.conclude(self.merge(remote)),
            // Nothing is concluded from an answer that did not come: hooks may
            // work all the same, if there are any to call.
            Err(error) if local.hooks().is_empty() && !self.inner.allow_no_hooks => Err(error),
            Err(error) => {
                let (plugin, socket) = (local.name(), local.endpoint());
                tracing::warn!(plugin, %socket, reason = error.reason(), "the plugin's configuration could not be read from the server");
                Ok(())
            }
        }
    }

    /// Keeps what was found out; the first conclusion stays.
    fn conclude(&self, outcome: Result<PluginConfig, Cause>) -> Result<(), PluginError> {
        let refused = outcome.as_ref().err().cloned();
        let _ = self.inner.checked.set(outcome);
        match refused {
            Some(cause) => Err(self.inner.client.error(Errand::Question, (Sent::No, cause))),
            None => Ok(()),
        }
    }

    fn merge(&self, remote: Option<Object>) -> Result<PluginConfig, Cause> {
        let local = &self.inner.local;
        let (plugin, socket) = (local.name(), local.endpoint());
        let Some(remote) = remote else {
            tracing::warn!(plugin, %socket, "the server does not know the plugin; its hooks are likely to fail");
            return self.usable(local.clone());
        };
        let found = remote.get("name").and_then(Value::as_str).unwrap_or(plugin);
        if found != plugin {
            let (configured, found) = (plugin.to_owned(), found.to_owned());
            return Err(Cause::NameMismatch { configured, found });
        }
        let (merged, notes) = local.merged_with_remote(&remote);
        for note in notes {
            tracing::warn!(plugin, %socket, note, "a part of the server's configuration was left out");
        }
        self.usable(merged)
    }

    fn usable(&self, config: PluginConfig) -> Result<PluginConfig, Cause> {
        if config.hooks().is_empty() && !self.inner.allow_no_hooks {
            return Err(Cause::NoHooks);
        }
        Ok(config)
    }
}
