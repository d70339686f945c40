//! A plugin that does as it is told, behind handles that are real.

use std::fmt;
use std::sync::Arc;

use super::DoubleBuilder;
use super::answer::Answer;
use super::received::ReceivedCall;
use super::state::State;
use crate::config::PluginConfigBuilder;
use crate::handle::{PluginHandle, PluginHandleBuilder};
use crate::server::PluginInfo;

/// A plugin for tests: it answers as it is told, remembers who called, and can go down. No
/// socket, no file and no process is behind it. Clones are the same double.
///
/// ## Behavior
/// - Its [handles](Self::handle) are what a gateway has in production, with their encoding,
///   deadlines, breaker and counters; only the connections are pipes in memory. All of it works
///   in paused time, where a test of a timeout of 35 s takes none.
/// - A call is answered by the first answer that is left of the [script](Self::then), whatever
///   connection it came on; then by what is said [always](Self::always), or is
///   [chosen](Self::choose) by the call. Without either, the handlers answer that it was
///   [built](DoubleBuilder::on) with, and without any it allows.
/// - A call counts as received before it is answered.
/// - The calls of a connection are answered in their order, one at a time, as by any server.
///   Where several are under way, which of them gets which answer of the script is open.
///   What is chosen by the call is not.
/// - It lives for as long as it or a handle does.
///
/// ```
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire::testing::{Answer, Double};
/// use hookwire::{PluginContext, PluginViolation, Stopped};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let guard = Double::named("Guard").build();
/// guard.then(Answer::deny(PluginViolation::new("NO_SHELL")));
/// let handle = guard.handle();
///
/// let ask = async |tool: &str| {
///     let payload = ToolPreInvokePayload::new(tool);
///     handle.enforce::<ToolPreInvoke>(payload, &mut PluginContext::new("request-1")).await
/// };
/// assert!(matches!(ask("shell").await, Err(Stopped::Denied(_))));
/// assert!(ask("search").await.is_ok());
/// guard.down();
/// assert!(matches!(ask("search").await, Err(Stopped::Failed(_))));
///
/// let tools: Vec<_> = guard.calls().iter().map(|call| call.payload["name"].clone()).collect();
/// assert_eq!(tools, ["shell", "search"]);
/// # }
/// ```
#[derive(Clone)]
pub struct Double {
    state: Arc<State>,
}

impl Double {
    /// Starts the description of a double with an entry of its own: it has this name and the
    /// hooks that the double answers, and defaults for the rest.
    pub fn named(name: impl Into<String>) -> DoubleBuilder {
        DoubleBuilder::named(name.into())
    }

    /// Starts the description of a double for this entry of a gateway's configuration, a
    /// [`PluginConfig`](crate::PluginConfig) or the builder of one: its mode, `on_error`,
    /// priority, conditions, timeouts, limits. The socket's path names it in errors and logs;
    /// nothing is looked for there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use hookwire::PluginConfig;
    /// use hookwire::config::{OnError, PluginMode};
    /// use hookwire::testing::Double;
    ///
    /// let entry = PluginConfig::builder("Audit")
    ///     .socket("/run/plugins/audit.sock")
    ///     .mode(PluginMode::Audit)
    ///     .on_error(OnError::Ignore)
    ///     .timeout(Duration::from_secs(1));
    /// let handle = Double::of(entry).build().handle();
    /// assert_eq!(handle.config().mode(), PluginMode::Audit);
    /// ```
    pub fn of(entry: impl Into<PluginConfigBuilder>) -> DoubleBuilder {
        DoubleBuilder::of(entry.into())
    }

    pub(super) fn new(state: State) -> Self {
        Self { state: Arc::new(state) }
    }

    /// A handle to the double, as [`PluginHandle::connect_lazy`] makes it: nothing is asked
    /// before the first call, nor is the entry compared with the server's before
    /// [`verify`](PluginHandle::verify). Each is one of its own, with its own breaker and
    /// counters: clone one to share it.
    ///
    /// Where many plugins live in a [`Plugins`](crate::Plugins), it goes in with
    /// [`insert`](crate::Plugins::insert).
    #[must_use]
    pub fn handle(&self) -> PluginHandle {
        self.handle_builder().connect_lazy()
    }

    /// The same, before it is made: with a registry of the gateway's, or to
    /// [`connect`](PluginHandleBuilder::connect) with its checks.
    ///
    /// ```
    /// use hookwire::ErrorKind;
    /// use hookwire::testing::Double;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let guard = Double::named("Guard").build();
    /// assert!(guard.handle_builder().connect().await.is_ok());
    /// guard.down();
    /// let error = guard.handle_builder().connect().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Unavailable);
    /// # }
    /// ```
    pub fn handle_builder(&self) -> PluginHandleBuilder {
        let state = Arc::clone(&self.state);
        PluginHandle::builder(self.state.config.clone()).connector(move || {
            let state = Arc::clone(&state);
            async move {
                let (near, far) = state.switch.line()?;
                let cut = near.cut();
                tokio::spawn(async move {
                    tokio::select! {
                        // The caller is told by the end of the line.
                        _ = state.serve(far) => {}
                        () = cut.comes() => {}
                    }
                });
                Ok(near)
            }
        })
    }

    /// Says this to the next call that nothing is said to yet.
    pub fn then(&self, answer: Answer) -> &Self {
        self.state.script().next.push_back(answer);
        self
    }

    /// Says this to every call that the script leaves over, instead of what was said until now.
    pub fn always(&self, answer: Answer) -> &Self {
        self.choose(move |_| answer.clone())
    }

    /// Says what this function chooses to every call that the script leaves over, instead of
    /// what was said until now.
    ///
    /// ```
    /// use hookwire::testing::{Answer, Double};
    ///
    /// let guard = Double::named("Guard").build();
    /// guard.choose(|call| match call.hook.as_str() {
    ///     "tool_post_invoke" => Answer::silence(),
    ///     _ => Answer::allow(),
    /// });
    /// ```
    pub fn choose(
        &self,
        answer: impl Fn(&ReceivedCall) -> Answer + Send + Sync + 'static,
    ) -> &Self {
        self.state.script().choose = Arc::new(answer);
        self
    }

    /// How many answers of the script nobody has called for yet.
    #[must_use]
    pub fn answers_left(&self) -> usize {
        self.state.script().next.len()
    }

    /// All calls of hooks that came, in their order. Questions about the plugin are none.
    #[must_use]
    pub fn calls(&self) -> Vec<ReceivedCall> {
        self.state.calls.calls()
    }

    /// Waits until `count` calls came since the double was made, and gives all that did.
    ///
    /// ```
    /// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
    /// use hookwire::testing::{Answer, Double};
    /// use hookwire::{ErrorKind, PluginContext};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let guard = Double::named("Guard").always(Answer::silence()).build();
    /// let handle = guard.handle();
    /// let call = tokio::spawn(async move {
    ///     let payload = ToolPreInvokePayload::new("search");
    ///     handle.invoke_hook::<ToolPreInvoke>(&payload, &mut PluginContext::new("r")).await
    /// });
    /// guard.wait_for_calls(1).await;
    /// // It is under way now.
    /// guard.restart();
    /// assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
    /// # }
    /// ```
    ///
    /// # Panics
    /// If they have not come within a minute of the runtime's time.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_for_calls(&self, count: usize) -> Vec<ReceivedCall> {
        let name = self.state.config.name();
        self.state.calls.wait_for(count).await.unwrap_or_else(|come| {
            panic!("only {come} of {count} calls have come to the double `{name}`")
        })
    }

    /// Goes down, as a server that is killed: connections end at once, calls on their way with
    /// them, and no new one is made. Calls fail as those of any plugin that is down, after
    /// `reconnect_attempts`.
    pub fn down(&self) {
        self.state.switch.set(false);
        self.state.switch.cut();
    }

    /// Can be reached again. The handles find out by themselves, as their backoff has it.
    pub fn up(&self) {
        self.state.switch.set(true);
    }

    /// Ends all connections, and takes new ones at once: a server that was replaced quickly.
    pub fn restart(&self) {
        self.state.switch.cut();
    }

    /// The same, and the server that comes up tells this about the plugin: another version of
    /// it, or a weaker entry. The handles ask it once a call has connected them again.
    ///
    /// # Panics
    /// If it has no name, or cannot be encoded.
    pub fn restart_as(&self, server_entry: PluginInfo) {
        self.state.tell(server_entry);
        self.state.switch.cut();
    }
}

impl fmt::Debug for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Double")
            .field("plugin", &self.state.config.name())
            .field("calls", &self.state.calls.len())
            .field("answers_left", &self.answers_left())
            .finish_non_exhaustive()
    }
}
