//! The hooks of one HTTP request, for whoever runs more of them on the way.

use std::fmt;
use std::sync::Arc;

use hookwire::hooks::Applies;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use crate::chain::{Chain, ChainHook, Halted, Passed};
use crate::context::RequestContext;

/// The chain and the contexts of one HTTP request. A [`HookLayer`](crate::HookLayer) puts it
/// into the request's extensions, so that tool hooks later in the same request see the
/// configuration that its HTTP hooks saw, and what plugins keep over the request. A clone is the
/// same.
///
/// ```
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire_gateway::{Halted, RequestHooks};
///
/// async fn call_tool<B>(request: http::Request<B>) -> Result<(), Box<Halted>> {
///     if let Some(hooks) = request.extensions().get::<RequestHooks>() {
///         let payload = ToolPreInvokePayload::new("search");
///         let passed = hooks.run::<ToolPreInvoke>(payload).await?;
///         println!("call {}", passed.value().name);
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct RequestHooks {
    chain: Chain,
    context: Arc<Mutex<RequestContext>>,
}

impl RequestHooks {
    pub(super) fn new(chain: Chain, context: RequestContext) -> Self {
        Self { chain, context: Arc::new(Mutex::new(context)) }
    }

    /// Whether this chain is of the same gateway, of whatever configuration.
    pub(super) fn is_of(&self, chain: &Chain) -> bool {
        Arc::ptr_eq(self.chain.lifetime(), chain.lifetime())
    }

    /// [`Chain::run`] with the contexts of this request. Runs of one request are made one after
    /// the other, for each sees what the one before has kept. Waiting for the other is part of
    /// the [time](crate::ChainBuilder::timeout) of the chain; without one, it has no limit.
    ///
    /// # Errors
    /// As [`Chain::run`].
    ///
    /// # Cancel safety
    /// As [`Chain::run`].
    pub async fn run<H>(&self, payload: H::Payload) -> Result<Passed<H::Payload>, Box<Halted>>
    where
        H: ChainHook + Applies,
        H::Payload: DeserializeOwned,
    {
        let deadline = self.chain.deadline();
        let mut context = self.context_by(deadline).await?;
        self.chain.run_by::<H>(payload, &mut context, deadline).await
    }

    /// [`Chain::decide`] with the contexts of this request.
    ///
    /// # Errors
    /// As [`Chain::run`].
    ///
    /// # Cancel safety
    /// As [`Chain::run`].
    pub async fn decide<H: ChainHook>(
        &self,
        payload: H::Payload,
    ) -> Result<Passed<Option<H::Modified>>, Box<Halted>> {
        let deadline = self.chain.deadline();
        let mut context = self.context_by(deadline).await?;
        self.chain.decide_by::<H>(payload, &mut context, deadline).await
    }

    /// The chain that this request takes.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    async fn context_by(
        &self,
        deadline: Option<Instant>,
    ) -> Result<MutexGuard<'_, RequestContext>, Box<Halted>> {
        let Some(deadline) = deadline else { return Ok(self.context.lock().await) };
        let in_time = timeout_at(deadline, self.context.lock()).await;
        in_time.map_err(|_| self.chain.out_of_time())
    }

    /// The contexts, to look at them or to change them between two hooks. A run waits for what
    /// comes back to be dropped, and halts when the time of the chain is over.
    ///
    /// # Cancel safety
    /// A dropped call takes nothing.
    pub async fn context(&self) -> MutexGuard<'_, RequestContext> {
        self.context.lock().await
    }
}

impl fmt::Debug for RequestHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHooks").field("chain", &self.chain).finish_non_exhaustive()
    }
}
