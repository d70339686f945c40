//! What the server is asked when a plugin is connected to.

use std::sync::Arc;

use super::PluginHandle;
use crate::config::{PluginMode, Verify};
use crate::error::{Cause, Errand, PluginError, Sent};
use crate::unix::listening::Heard;
use crate::unix::message::Origin;
use crate::wire::reply::Reported;

impl PluginHandle {
    /// Asks the server about the plugin now, whether `verify` is on or off, and merges what
    /// it tells into the configuration, as [`connect`](Self::connect) does. From then on the
    /// server is asked again after each reconnect. For a handle that was made by
    /// [`connect_lazy`](Self::connect_lazy), and for looking whether a plugin answers.
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
    /// differently; neither side names a hook; or the server is weaker than a strict entry
    /// allows.
    ///
    /// # Cancel safety
    /// A dropped call affects no other.
    pub async fn verify(&self) -> Result<(), PluginError> {
        let (reported, origin) = self.ask().await?;
        self.learn(reported, origin)
    }

    /// Connects and asks the server about the plugin, unless `verify` is off. A plugin that
    /// is disabled is left alone.
    pub(crate) async fn check(&self) -> Result<(), PluginError> {
        let checked = &self.inner.checked;
        let local = &checked.local;
        if local.mode() == PluginMode::Disabled {
            return Ok(());
        }
        self.inner.client.connect(self.options).await?;
        if local.policy().verify() == Verify::Off {
            return self.concluded(checked.settle());
        }
        match self.ask().await {
            Ok((reported, origin)) => self.learn(reported, origin),
            // Nothing is concluded from an answer that did not come: hooks may work all the
            // same, if there are any to call and the server need not be known.
            Err(error) if !checked.may_do_without() => Err(error),
            Err(error) => {
                let (plugin, socket) = (local.name(), local.endpoint());
                tracing::warn!(plugin, %socket, reason = error.reason(), "the plugin's configuration could not be read from the server; it is asked again");
                checked.warn_of_current();
                self.listen(Heard::NoAnswer, None);
                Ok(())
            }
        }
    }

    async fn ask(&self) -> Result<(Option<Reported>, Origin), PluginError> {
        self.inner.client.plugin_config(self.name(), self.options).await
    }

    fn learn(&self, reported: Option<Reported>, origin: Origin) -> Result<(), PluginError> {
        let outcome = self.concluded(self.inner.checked.learn(reported));
        let barred = self.inner.checked.refusal().is_some();
        let heard = if barred { Heard::Barred } else { Heard::Understood };
        self.listen(heard, Some(origin));
        outcome
    }

    /// From now on the plugin's own task asks.
    fn listen(&self, heard: Heard, origin: Option<Origin>) {
        self.inner.client.plugin.listen(Arc::clone(&self.inner.checked) as _, heard, origin);
    }

    fn concluded(&self, outcome: Result<(), Cause>) -> Result<(), PluginError> {
        outcome.map_err(|cause| self.inner.client.error(Errand::Question, (Sent::No, cause)))
    }
}
