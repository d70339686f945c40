//! What can be watched of a plugin: streams that end with it and do not keep it open.

use std::pin::pin;

use futures::Stream;
use futures::future::{Either, select};
use tokio::sync::watch;

use super::{EffectiveConfig, PluginHandle};
use crate::breaker::BreakerState;
use crate::unix::reconnect::ConnectionState;

impl PluginHandle {
    /// The state now, and each later one; intermediate states may be skipped. It ends after
    /// [`ConnectionState::Shutdown`], and does not keep the plugin open.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// # async fn watch(handle: hookwire::PluginHandle) {
    /// let mut states = handle.watch_state();
    /// while let Some(state) = states.next().await {
    ///     println!("the plugin is {}", state.as_str());
    /// }
    /// # }
    /// ```
    pub fn watch_state(&self) -> impl Stream<Item = ConnectionState> + Send + Unpin + 'static {
        let states = Some((self.inner.client.plugin.watch_state(), true));
        Box::pin(futures::stream::unfold(states, |states| async {
            let (mut states, first) = states?;
            if !first && states.changed().await.is_err() {
                return None;
            }
            let state = *states.borrow_and_update();
            let go_on = state != ConnectionState::Shutdown;
            Some((state, go_on.then_some((states, false))))
        }))
    }

    /// The breaker's state now, and each later one; intermediate states may be skipped. It ends
    /// with a shutdown, or once the last handle is gone, and does not keep the plugin open;
    /// a shutdown is no change of the breaker.
    pub fn watch_breaker(&self) -> impl Stream<Item = BreakerState> + Send + Unpin + 'static {
        self.until_the_end(self.inner.client.gate.watch_state())
    }

    /// The configuration now, and after each change of it or of the entry on the server: after
    /// the first answer, and whenever a server that was restarted answers differently.
    /// Intermediate ones may be skipped. It ends as [`watch_breaker`](Self::watch_breaker) does.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// # async fn watch(handle: hookwire::PluginHandle) {
    /// let mut configs = handle.watch_config();
    /// while let Some(config) = configs.next().await {
    ///     println!("{} is called for {:?}", config.name(), config.hooks());
    /// }
    /// # }
    /// ```
    pub fn watch_config(&self) -> impl Stream<Item = EffectiveConfig> + Send + Unpin + 'static {
        self.until_the_end(self.inner.checked.watch())
    }

    fn until_the_end<T: Clone + Send + Sync + 'static>(
        &self,
        mut values: watch::Receiver<T>,
    ) -> impl Stream<Item = T> + Send + Unpin + use<T> {
        let ends = self.inner.client.plugin.watch_state();
        values.mark_changed();
        Box::pin(futures::stream::unfold((values, ends), |(mut values, mut ends)| async {
            {
                let end = ends.wait_for(|state| *state == ConnectionState::Shutdown);
                // A change goes before the end.
                match select(pin!(values.changed()), pin!(end)).await {
                    Either::Left((changed, _)) => changed.ok()?,
                    Either::Right(_) => return None,
                }
            }
            let value = values.borrow_and_update().clone();
            Some((value, (values, ends)))
        }))
    }
}
