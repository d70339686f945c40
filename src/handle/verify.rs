//! What the server is asked when a plugin is connected to.

use serde_json::Value;

use super::PluginHandle;
use crate::config::PluginConfig;
use crate::error::{Cause, PluginError, Sent};

impl PluginHandle {
    /// Connects and asks the server about the plugin, unless `verify` is off.
    pub(crate) async fn check(&self) -> Result<(), PluginError> {
        let client = &self.inner.client;
        client.connect().await?;
        let outcome = self.verify().await;
        let refused = outcome.as_ref().err().cloned();
        // The first answer stays; a second check can only say the same.
        let _ = self.inner.checked.set(outcome);
        match refused {
            Some(cause) => Err(client.error(Sent::No, cause)),
            None => Ok(()),
        }
    }

    async fn verify(&self) -> Result<PluginConfig, Cause> {
        let local = &self.inner.local;
        let plugin = local.name();
        let socket = local.unix_socket().path().display();
        let mut config = local.clone();
        if local.unix_socket().verify() {
            match self.plugin_config().await {
                Ok(Some(remote)) => {
                    let found = remote.get("name").and_then(Value::as_str).unwrap_or(plugin);
                    if found != plugin {
                        let (configured, found) = (plugin.to_owned(), found.to_owned());
                        return Err(Cause::NameMismatch { configured, found });
                    }
                    let (merged, notes) = local.merged_with_remote(&remote);
                    for note in notes {
                        tracing::warn!(plugin, %socket, note, "a part of the server's configuration was left out");
                    }
                    config = merged;
                }
                Ok(None) => {
                    tracing::warn!(plugin, %socket, "the server does not know the plugin; its hooks are likely to fail");
                }
                Err(error) => {
                    tracing::warn!(plugin, %socket, kind = error.kind().as_str(), "the plugin's configuration could not be read from the server");
                }
            }
        }
        if config.hooks().is_empty() && !self.inner.allow_no_hooks {
            return Err(Cause::NoHooks);
        }
        Ok(config)
    }
}
