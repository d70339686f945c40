//! All plugins of a hook, run as their entries tell.

mod background;
mod builder;
mod cargo;
mod current;
mod deadline;
mod judge;
mod lifetime;
mod limit;
mod member;
mod outcome;
mod plan;
mod public;
mod record;
mod report;
mod run;
mod settle;
mod switch;
mod trace;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hookwire::hooks::{Applies, HttpAuthCheckPermission};
use hookwire::{Hook, PluginHandle};
use serde::de::DeserializeOwned;

pub use builder::{ChainBuilder, ChainError};
pub use outcome::{Denial, HaltReason, Halted, Passed};
pub use record::{Decision, Record, Status};
pub use report::Report;

pub(crate) use current::CurrentChain;
pub(crate) use lifetime::Lifetime;

use member::{Member, Times};
use plan::Plan;

use crate::context::RequestContext;
use crate::policy::FieldPolicy;

const PERMISSION_HOOK: &str = HttpAuthCheckPermission::NAME;

/// A hook that a [`Chain`] can run: every built-in one is, and every other one whose payload
/// can be cloned. See [`Chain`] for an example.
pub trait ChainHook: Hook<Payload: Clone + 'static, Modified: 'static> + 'static {}

impl<H: Hook<Payload: Clone + 'static, Modified: 'static> + 'static> ChainHook for H {}

/// All plugins of a gateway, asked in one call. Cheap to clone; make one for each
/// configuration, and put a new one in its place when that changes.
///
/// [`run`](Self::run) is for hooks whose answer changes the payload, [`decide`](Self::decide)
/// for those whose answer is a decision.
///
/// ## Behavior
/// - The plugins that serve the hook are asked in five phases, each by priority, lower first,
///   equal ones in their order:
///
///   | mode | how | may deny | may modify |
///   |---|---|---|---|
///   | `sequential` | one after the other | yes | yes |
///   | `transform` | one after the other | no | yes |
///   | `audit` | one after the other | no | no |
///   | `concurrent` | side by side, up to [`concurrency`](ChainBuilder::concurrency) | yes | no |
///   | `fire_and_forget` | in the background | no | no |
///
/// - **Nothing but a verdict allows.** A plugin whose hooks are not known yet is asked, and so
///   is one that [cannot be used](PluginHandle::refusal) as it is configured
///   ([`may_serve`](hookwire::EffectiveConfig::may_serve)): its call fails. A plugin that fails
///   ends the chain (`on_error: fail`), unless its entry tells to go on without it (`ignore`,
///   `disable`). When the time of the whole chain is over, it ends, whatever the entries tell.
/// - A request that cannot be sent to a plugin
///   ([`InvalidRequest`](hookwire::ErrorKind::InvalidRequest): too large, or with a value that
///   cannot be encoded) ends the chain whatever `on_error` is, in `sequential`, `transform` and
///   `concurrent`: who sends it must not choose whether it is checked. Plugins in `audit` and in
///   the background guard nothing; there `on_error` judges.
/// - The first denial ends the chain; of the concurrent phase, the other calls are dropped.
///   An answer that refuses by itself, such as a permission that is not granted, is a denial,
///   in `transform` too.
/// - `on_error: disable` leaves the plugin out after an error: until it is
///   [reset](Self::reset), until [`disable_for`](ChainBuilder::disable_for) has passed and a
///   trial has succeeded, or until its entry changes: chains of one [`Gateway`](crate::Gateway)
///   share what they know of a plugin that is kept, a chain made anew asks all. Errors
///   that tell nothing of the plugin let the request go on as `ignore` does, and leave nothing
///   out: the client's own queue is full (`Overloaded`), a call's time was over before it had
///   its turn ([`Stage::Admission`](hookwire::Stage::Admission)), the handle is closed
///   (`Closed`), or no call is made, for the plugin cannot be used as it is configured
///   (`Config`): it is asked as soon as its server is in order; in `audit` and in the background `InvalidRequest` too.
/// - Left out are also plugins with `mode: disabled`, by their entry, or by their server's
///   where the entry names no mode; and those whose [conditions](crate::Conditions) are not met
///   by the payload as it came in.
/// - Plugins in the background are started last, with the payload as it came in, also after a
///   denial. There is room for [`background`](ChainBuilder::background) of them; what is beyond
///   is dropped and [counted](Self::background_dropped).
/// - Each plugin has its own part of the [`RequestContext`].
///
/// ```no_run
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire::{PluginConfig, Plugins};
/// use hookwire_gateway::{Chain, RequestContext};
///
/// # async fn gateway(entries: Vec<PluginConfig>) -> Result<(), Box<dyn std::error::Error>> {
/// let (plugins, _reports) = Plugins::builder().plugins(entries).connect().await?;
/// let chain = Chain::builder().plugins(plugins.handles()).build()?;
///
/// // For each request:
/// let mut request = RequestContext::new("request-1");
/// let payload = ToolPreInvokePayload::new("search").with_arg("query", "rust");
/// // A denial and a failure both end here; what comes back is what may go on.
/// let passed = chain.run::<ToolPreInvoke>(payload, &mut request).await?;
/// let payload = passed.into_value();
/// println!("call {} with {:?}", payload.name, payload.args);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Chain {
    inner: Arc<Inner>,
}

struct Inner {
    /// No two of one name.
    members: Vec<Arc<Member>>,
    timeout: Option<Duration>,
    concurrency: usize,
    max_payload: usize,
    lifetime: Arc<Lifetime>,
    times: Times,
    policies: BTreeMap<String, FieldPolicy>,
    default_policy: FieldPolicy,
    protected_headers: Vec<String>,
}

impl Chain {
    /// Starts with no plugin.
    pub fn builder() -> ChainBuilder {
        ChainBuilder::default()
    }

    /// Runs a hook whose answer changes the payload: what comes back is the payload to go on
    /// with. `request` holds what plugins keep from hook to hook of the same request.
    ///
    /// # Errors
    /// A plugin denied; one with `on_error: fail` could not be asked; the payload is larger than
    /// [allowed](ChainBuilder::max_payload), or cannot be sent to a plugin; the time of the chain
    /// was over; a change could not be filtered; or the gateway is shut down. See
    /// [`HaltReason`].
    ///
    /// # Cancel safety
    /// Dropped, it asks no further plugin and starts nothing in the background. `request` has
    /// what the plugins changed that had answered; a hook that was sent runs on.
    pub async fn run<H>(
        &self,
        payload: H::Payload,
        request: &mut RequestContext,
    ) -> Result<Passed<H::Payload>, Box<Halted>>
    where
        H: ChainHook + Applies,
        H::Payload: DeserializeOwned,
    {
        // Pinned, for it is large, and would be moved.
        pin!(self.run_by::<H>(payload, request, self.deadline())).await
    }

    /// Runs a hook whose answer is a decision, such as
    /// [`HttpAuthCheckPermission`]: what comes back is the last one, or `None` if no plugin
    /// has decided, which grants and resolves nothing. Each plugin sees the payload as it came
    /// in.
    ///
    /// ```no_run
    /// use hookwire::hooks::{HttpAuthCheckPermission, HttpAuthCheckPermissionPayload};
    /// use hookwire_gateway::{Chain, Halted, RequestContext};
    ///
    /// # async fn may(chain: Chain) -> Result<bool, Box<Halted>> {
    /// let mut request = RequestContext::new("request-1");
    /// let asked = HttpAuthCheckPermissionPayload::new("ada@example.org", "tools.execute");
    /// // A permission that is not granted ends here, as a denial.
    /// let decided = chain.decide::<HttpAuthCheckPermission>(asked, &mut request).await?;
    /// Ok(decided.into_value().is_some())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn decide<H: ChainHook>(
        &self,
        payload: H::Payload,
        request: &mut RequestContext,
    ) -> Result<Passed<Option<H::Modified>>, Box<Halted>> {
        pin!(self.decide_by::<H>(payload, request, self.deadline())).await
    }

    /// A shutdown waits for what comes back.
    fn begin(&self) -> Result<impl Drop + Send + use<>, Box<Halted>> {
        let shut_down = || Halted { reason: HaltReason::ShutDown, report: Report::default() };
        self.inner.lifetime.begin().ok_or_else(|| Box::new(shut_down()))
    }

    pub(crate) fn lifetime(&self) -> &Arc<Lifetime> {
        &self.inner.lifetime
    }

    /// The handles of all plugins, in their order.
    pub fn handles(&self) -> impl Iterator<Item = &PluginHandle> {
        self.inner.members.iter().map(|member| &member.handle)
    }

    /// Whether a plugin may be asked for this hook: true also if one has not told its hooks yet,
    /// or cannot be used as it is configured.
    #[must_use]
    pub fn serves(&self, hook: &str) -> bool {
        self.handles().any(|handle| handle.config().may_serve(hook))
    }

    /// The names of all plugins, in their order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.inner.members.iter().map(|member| &*member.name).collect()
    }

    /// The names of the plugins that are left out because of an error. One whose `on_error` is
    /// no longer `disable`, for its server has told so since, is none of them.
    #[must_use]
    pub fn disabled(&self) -> Vec<&str> {
        let members = self.inner.members.iter();
        members.filter(|member| member.is_left_out()).map(|member| &*member.name).collect()
    }

    /// Takes a plugin in again that is left out because of an error; false if there is none of
    /// this name.
    pub fn reset(&self, plugin: &str) -> bool {
        let mut members = self.inner.members.iter();
        let member = members.find(|member| &*member.name == plugin);
        member.inspect(|member| member.switch.reset()).is_some()
    }

    /// How many calls run in the background.
    #[must_use]
    pub fn background_running(&self) -> usize {
        self.inner.lifetime.background.running()
    }

    /// How many calls in the background were dropped, because there was no room for them or
    /// no runtime. All chains of a [`Gateway`](crate::Gateway) count together: it goes on over
    /// reloads.
    #[must_use]
    pub fn background_dropped(&self) -> u64 {
        self.inner.lifetime.background.dropped()
    }

    /// Waits until no call runs in the background, `limit` at most; true if none does. For a
    /// gateway that shuts down: when it takes no more requests, and before it shuts down its
    /// plugins.
    ///
    /// # Panics
    /// Outside a runtime with time enabled.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn background_idle(&self, limit: Duration) -> bool {
        self.inner.lifetime.background.idle(limit).await
    }
}

impl Inner {
    fn plan<H: ChainHook>(&self, payload: &H::Payload, request: &RequestContext) -> Plan {
        Plan::of(self.members.iter().enumerate().filter_map(|(index, member)| {
            member.candidate(index, H::NAME, payload, request, self.times)
        }))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("plugins", &self.names())
            .field("disabled", &self.disabled())
            .field("background", &self.inner.lifetime.background)
            .finish_non_exhaustive()
    }
}
