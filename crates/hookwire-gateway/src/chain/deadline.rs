//! Runs whose time has begun before they do.

use hookwire::hooks::Applies;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::cargo::{Cargo, Changing, Deciding};
use super::outcome::{Halted, Passed};
use super::report::Report;
use super::run::Run;
use super::{Chain, ChainHook, Inner};
use crate::context::RequestContext;

impl Chain {
    /// When the time of a run is over that begins now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.inner.timeout.map(|timeout| Instant::now() + timeout)
    }

    /// A run that has not begun when its time was over.
    #[cfg(feature = "tower")]
    pub(crate) fn out_of_time(&self) -> Box<Halted> {
        let reason = super::HaltReason::OutOfTime(self.inner.timeout.unwrap_or_default());
        Box::new(Halted { reason, report: Report::default() })
    }

    /// [`run`](Self::run) with a [`deadline`](Self::deadline) that was set earlier.
    pub(crate) async fn run_by<H>(
        &self,
        payload: H::Payload,
        request: &mut RequestContext,
        deadline: Option<Instant>,
    ) -> Result<Passed<H::Payload>, Box<Halted>>
    where
        H: ChainHook + Applies,
        H::Payload: DeserializeOwned,
    {
        let _run = self.begin()?;
        let policy = self.inner.policies.get(H::NAME).unwrap_or(&self.inner.default_policy);
        let protected = &self.inner.protected_headers;
        let cargo = Changing::<H>::new(payload, policy, protected);
        let mut run = Run::new(&self.inner, request, cargo, deadline);
        let halted = run.run().await;
        run.end(halted)
    }

    /// [`decide`](Self::decide) with a [`deadline`](Self::deadline) that was set earlier.
    pub(crate) async fn decide_by<H: ChainHook>(
        &self,
        payload: H::Payload,
        request: &mut RequestContext,
        deadline: Option<Instant>,
    ) -> Result<Passed<Option<H::Modified>>, Box<Halted>> {
        let _run = self.begin()?;
        let cargo = Deciding::<H>::new(payload);
        let mut run = Run::new(&self.inner, request, cargo, deadline);
        let halted = run.run().await;
        run.end(halted)
    }
}

impl<'a, C: Cargo> Run<'a, C> {
    fn new(
        chain: &'a Inner,
        request: &'a mut RequestContext,
        cargo: C,
        deadline: Option<Instant>,
    ) -> Self {
        let report = Report::default();
        Self { chain, request, cargo, report, deadline, encoded: None, decided_by: None }
    }
}
