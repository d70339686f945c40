//! The description of a double, before it can be called.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::IN_MEMORY;
use super::answer::{Answer, Choose};
use super::double::Double;
use super::received::ReceivedCall;
use super::state::{Script, State};
use crate::config::{PluginConfig, PluginConfigBuilder};
use crate::hooks::Hook;
use crate::model::PluginResult;
use crate::server::{Handler, Handlers, Plugin as _, PluginInfo};

/// Describes a [`Double`]: its handlers, its script, and what its server tells about it.
///
/// ```
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire::testing::{Answer, Double};
/// use hookwire::{PluginContext, PluginResult, PluginViolation};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hookwire::Stopped> {
/// let guard = Double::named("Guard")
///     .on::<ToolPreInvoke>(|payload, _context| async move {
///         Ok(match payload.name.as_str() {
///             "shell" => PluginResult::deny(PluginViolation::new("NO_SHELL")),
///             _ => PluginResult::modify(payload.with_arg("checked", true)),
///         })
///     })
///     .build();
/// let payload = ToolPreInvokePayload::new("search");
/// let mut context = PluginContext::new("request-1");
/// let payload = guard.handle().enforce::<ToolPreInvoke>(payload, &mut context).await?;
/// assert_eq!(payload.args.unwrap()["checked"], true);
/// # Ok(())
/// # }
/// ```
#[must_use = "`build` makes the double"]
pub struct DoubleBuilder {
    entry: PluginConfigBuilder,
    names_hooks: bool,
    handlers: Option<Handlers>,
    next: VecDeque<Answer>,
    choose: Choose,
    info: Option<PluginInfo>,
}

impl DoubleBuilder {
    pub(super) fn named(name: String) -> Self {
        Self::new(PluginConfig::builder(name).socket(IN_MEMORY), false)
    }

    pub(super) fn of(entry: PluginConfigBuilder) -> Self {
        Self::new(entry, true)
    }

    fn new(entry: PluginConfigBuilder, names_hooks: bool) -> Self {
        let choose: Choose = Arc::new(|_| Answer::handled());
        Self { entry, names_hooks, handlers: None, next: VecDeque::new(), choose, info: None }
    }

    /// Answers the hook `H` by this function, as [`Handlers::on`] has it: it may look at the
    /// payload, change the context, fail, and wait for whatever the test waits for.
    pub fn on<H>(self, handler: impl Handler<H::Payload, H::Modified>) -> Self
    where
        H: Hook,
        H::Payload: DeserializeOwned + 'static,
        H::Modified: Serialize + 'static,
    {
        self.with(|handlers| handlers.on::<H>(handler))
    }

    /// Answers the hook of this name by this function, in JSON.
    pub fn on_json(self, hook: impl Into<String>, handler: impl Handler<Value, Value>) -> Self {
        self.with(|handlers| handlers.on_json(hook.into(), handler))
    }

    fn with(mut self, add: impl FnOnce(Handlers) -> Handlers) -> Self {
        self.handlers = Some(add(self.handlers.unwrap_or_default()));
        self
    }

    /// As [`Double::then`].
    pub fn then(mut self, answer: Answer) -> Self {
        self.next.push_back(answer);
        self
    }

    /// As [`Double::always`].
    pub fn always(self, answer: Answer) -> Self {
        self.choose(move |_| answer.clone())
    }

    /// As [`Double::choose`].
    pub fn choose(
        mut self,
        answer: impl Fn(&ReceivedCall) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.choose = Arc::new(answer);
        self
    }

    /// What the plugin's server tells about it, which the handles compare with their entry.
    /// Default: what the entry says, so that nothing differs.
    ///
    /// ```
    /// use hookwire::config::PluginMode;
    /// use hookwire::server::PluginInfo;
    /// use hookwire::testing::Double;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hookwire::PluginError> {
    /// let disabled = PluginInfo::new("Guard").with_mode(PluginMode::Disabled);
    /// let handle = Double::named("Guard").server_entry(disabled).build().handle();
    /// handle.verify().await?;
    /// assert_eq!(handle.config().mode(), PluginMode::Disabled);
    /// # Ok(())
    /// # }
    /// ```
    pub fn server_entry(mut self, info: PluginInfo) -> Self {
        self.info = Some(info);
        self
    }

    /// The double.
    ///
    /// # Panics
    /// If the entry is not valid, as one without a name; all its problems are told. Or if what
    /// the server tells cannot be encoded.
    #[must_use]
    pub fn build(self) -> Double {
        let Self { mut entry, names_hooks, handlers, next, choose, info } = self;
        let handlers = handlers.unwrap_or_else(allow_all);
        if !names_hooks {
            entry = entry.hooks(handlers.hooks());
        }
        let config = entry.build().unwrap_or_else(|error| panic!("{error}"));
        let info = info.unwrap_or_else(|| same(&config));
        Double::new(State::new(config, handlers, info, Script { next, choose }))
    }
}

impl fmt::Debug for DoubleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoubleBuilder")
            .field("entry", &self.entry)
            .field("handlers", &self.handlers)
            .field("script", &self.next)
            .field("server_entry", &self.info)
            .finish_non_exhaustive()
    }
}

fn allow_all() -> Handlers {
    Handlers::new().any(|_hook, _payload, _context| async { Ok(PluginResult::<Value>::allow()) })
}

/// The entry on the server that agrees with this one.
fn same(config: &PluginConfig) -> PluginInfo {
    let info = PluginInfo::new(config.name())
        .with_mode(config.mode())
        .with_on_error(config.on_error())
        .with_priority(config.priority());
    match config.hooks() {
        [] => info,
        hooks => info.with_hooks(hooks.to_vec()),
    }
}
