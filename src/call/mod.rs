//! One call: deadline, retry rule, and the checks on the reply.
//!
//! Encoding and decoding happen here, in the caller's task, so they use every
//! core and never hold up a connection. What is below carries encoded messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::task::coop;
use tokio::time::Instant;

use crate::breaker::{Breaker, Gate, HalfOpenPermit};
use crate::config::{PluginConfig, RetryPolicy};
use crate::error::{Cause, Errand, PluginError, Sent};
use crate::identity::Identity;
use crate::last_seen::LastSeen;
use crate::model::{PluginContext, PluginResult, PluginViolation, ReplyContext};
use crate::options::{CallOptions, Overload};
use crate::shared_connections::SharedConnections;
use crate::stats::Counters;
use crate::unix::connect::Connect;
use crate::unix::message::{Failure, Method, Reply};
use crate::unix::plugin::Outbound;
use crate::unix::reconnect::ConnectionState;
use crate::unix::slot::Suspicion;
use crate::wire::reply::{Expected, HookReply, hook_reply};
use crate::wire::reply_fault::ReplyFault;
use crate::wire::request::{self, Encoded, EncodedFrame, Fidelity, Payload};
use crate::wire::stamp::{Stamp, Stamps};
use crate::wire::{DecodeError, FRAME_HEADER};

use budget::RetryBudget;
pub(crate) use plugin::Observer;
use plugin::{Bounds, Plugin};

mod budget;
mod plugin;
mod questions;
#[cfg(test)]
mod tests;

/// A plugin as its callers reach it. Dropping it ends the plugin's tasks.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Arc<Identity>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) last_seen: LastSeen,
    pub(crate) gate: Arc<Gate>,
    pub(crate) plugin: Plugin,
    timeout: Duration,
    retry: RetryPolicy,
    bounds: Bounds,
    budget: RetryBudget,
    fidelity: Fidelity,
    stamps: Option<Stamps>,
    /// The size of the last request: a good first guess for the next one's buffer.
    last_size: AtomicUsize,
}

/// A small request after a large one must not carry the large one's buffer.
const LARGEST_GUESS: usize = 16 * 1024;

const INEXACT_REQUEST: &str =
    "sent inexactly: integers were rounded, or values that nest too deep became text";
const INEXACT_REPLY: &str =
    "the reply holds NaN or an infinity, which JSON does not have: it is null";

impl Caller {
    /// As [`Plugin::new`].
    pub(crate) fn new(
        config: &PluginConfig,
        connector: Option<Arc<dyn Connect>>,
        runtime: Option<Handle>,
        shared: Option<SharedConnections>,
    ) -> Self {
        let policy = config.policy();
        let identity = Arc::new(Identity::new(config.name().into(), config.endpoint()));
        let bounds = Bounds::from(config.transport());
        // By then a call with the plugin's own time is over, and its connection given up.
        let trial = policy.timeout() + bounds.stall_limit;
        let (threshold, longest_rest) = (policy.breaker_threshold(), policy.breaker_max_open());
        let breaker = Breaker::new(threshold, longest_rest, trial);
        let gate = Arc::new(Gate::new(Arc::clone(&identity), breaker));
        let (name, health) = (Arc::clone(&identity), Arc::clone(&gate));
        let plugin = Plugin::new(name, config, health, connector, runtime, shared);
        Self {
            identity,
            counters: Arc::default(),
            last_seen: LastSeen::new(),
            gate,
            plugin,
            timeout: policy.timeout(),
            retry: policy.retry(),
            bounds,
            budget: RetryBudget::new(policy.retry_budget()),
            fidelity: Fidelity {
                big_integers: policy.big_integers(),
                deep_nesting: policy.deep_nesting(),
            },
            stamps: policy.stamp().then(Stamps::default),
            last_size: AtomicUsize::new(0),
        }
    }

    /// Runs a hook: its result, and the context that the reply brought, if it did.
    pub(crate) async fn invoke<P, R>(
        &self,
        hook_type: &str,
        payload: &P,
        context: &PluginContext,
        options: CallOptions,
        refusal: fn(&R) -> Option<PluginViolation>,
    ) -> Result<(PluginResult<R>, Option<ReplyContext>), PluginError>
    where
        P: Payload + ?Sized,
        R: DeserializeOwned,
    {
        let started = Instant::now();
        Counters::add(&self.counters.calls);
        let stamp = self.stamps.as_ref().map(Stamps::next);
        let stamp = stamp.as_ref();
        let mut sent_exactly = true;
        let outcome = match self.encode(hook_type, payload, context, stamp) {
            Ok(Encoded { frame, inexact }) => {
                if inexact {
                    sent_exactly = false;
                    self.note_inexact(&self.counters.inexact_requests, INEXACT_REQUEST);
                }
                self.exchange(Method::InvokeHook, started, frame, options, |reply| {
                    let request_id = &context.global_context.request_id;
                    let plugin = &self.identity.plugin;
                    let expected = Expected { plugin, request_id, stamp };
                    Ok((hook_reply(&reply.message, expected)?, reply.arrived - started))
                })
                .await
            }
            Err(cause) => Err((Sent::No, cause)),
        };
        let failure = match outcome {
            Ok((HookReply::Result(mut result, reply_context), took)) => {
                if result.inexact {
                    self.note_inexact(&self.counters.inexact_replies, INEXACT_REPLY);
                }
                result.inexact |= !sent_exactly;
                result.heed(refusal, &self.identity.plugin);
                let allowed = result.is_allowed();
                self.counters.count_result(hook_type, allowed, took);
                self.last_seen.note_success(started + took);
                return Ok((result, reply_context));
            }
            Ok((HookReply::Fault(fault), _)) => (Sent::Maybe, Cause::Plugin(Box::new(fault))),
            Err(failure) => failure,
        };
        let error = self.error(Errand::Hook, failure);
        self.counters.count_failure(hook_type, &error, started.elapsed());
        self.last_seen.note_failure(&error);
        let_others_run().await;
        Err(error)
    }

    /// Asks the connections to end at `deadline`, or as soon as nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.plugin.stop(deadline);
    }

    /// Waits until the connections have ended.
    pub(crate) async fn stopped(&self) {
        let mut state = self.plugin.watch_state();
        // The sender lives in `plugin`, which we hold.
        let _ = state.wait_for(|state| *state == ConnectionState::Shutdown).await;
    }

    /// Something of the current call came over as something else.
    #[cold]
    fn note_inexact(&self, counter: &AtomicU64, how: &'static str) {
        Counters::add(counter);
        tracing::Span::current().record("inexact", true);
        self.identity.log(|_| tracing::debug!("{how}"));
    }

    /// Counts and refuses a call that is not even tried.
    pub(crate) async fn refuse(&self, cause: Cause) -> PluginError {
        Counters::add(&self.counters.calls);
        let error = self.error(Errand::Hook, (Sent::No, cause));
        self.counters.count_error(&error);
        self.last_seen.note_failure(&error);
        let_others_run().await;
        error
    }

    pub(crate) fn error(&self, errand: Errand, failure: (Sent, Cause)) -> PluginError {
        let Identity { plugin, endpoint, .. } = &*self.identity;
        PluginError::new(Arc::clone(plugin), endpoint.clone(), errand, failure)
    }

    fn encode<P: Payload + ?Sized>(
        &self,
        hook_type: &str,
        payload: &P,
        context: &PluginContext,
        stamp: Option<&Stamp>,
    ) -> Result<Encoded, Cause> {
        let capacity = self.last_size.load(Relaxed).next_multiple_of(64).max(256);
        let (plugin, fidelity) = (&self.identity.plugin, self.fidelity);
        let encoded =
            request::invoke_hook(hook_type, plugin, payload, context, stamp, fidelity, capacity)
                .map_err(|why| Cause::InvalidRequest(why.into()))?;
        let size = encoded.frame.len() - FRAME_HEADER;
        self.bounds.check(size)?;
        self.last_size.store(encoded.frame.len().min(LARGEST_GUESS), Relaxed);
        Ok(encoded)
    }

    /// Sends a request and reads its reply; a reply that is not the answer makes
    /// its socket suspect, which ends the socket.
    async fn exchange<T>(
        &self,
        method: Method,
        started: Instant,
        frame: EncodedFrame,
        options: CallOptions,
        read: impl FnOnce(&Reply) -> Result<T, ReplyFault>,
    ) -> Result<T, (Sent, Cause)> {
        let reply = self.call(method, started, frame, options).await?;
        let origin = reply.origin;
        let fault = match read(&reply) {
            Ok(value) => {
                self.plugin.confirm(origin);
                return Ok(value);
            }
            Err(fault) => fault,
        };
        let (suspicion, cause) = match fault {
            ReplyFault::Mismatch { field } => {
                (Some(Suspicion::Mismatch), Cause::Mismatch { field })
            }
            ReplyFault::Unproven => (Some(Suspicion::Unproven), Cause::Unproven),
            ReplyFault::Empty => (Some(Suspicion::Empty), Cause::EmptyReply),
            ReplyFault::Undecodable(error) => (Some(Suspicion::Undecodable), undecodable(error)),
            // The socket is in order: nobody else is concerned.
            ReplyFault::Unfit(error) => (None, undecodable(error)),
        };
        match suspicion {
            Some(suspicion) => self.plugin.suspect(origin, suspicion),
            None => self.plugin.confirm(origin),
        }
        Err((Sent::Maybe, cause))
    }

    /// One request, within one deadline.
    ///
    /// A request of which nothing was sent waits for the next connection by itself. What
    /// happens to one that was sent is up to the retry policy of the call.
    async fn call(
        &self,
        method: Method,
        started: Instant,
        mut frame: EncodedFrame,
        options: CallOptions,
    ) -> Result<Reply, (Sent, Cause)> {
        // Held until the call ends.
        let _permit = self.admit(method).map_err(|cause| (Sent::No, cause))?;
        let left = options.deadline.map(|deadline| deadline.saturating_duration_since(started));
        let timeout = options.timeout.unwrap_or(self.timeout);
        let timeout = left.map_or(timeout, |left| timeout.min(left));
        let terms = Terms {
            method,
            timeout,
            deadline: started + timeout,
            may_wait: options.overload == Overload::Wait,
        };
        let policy = options.retry.unwrap_or(self.retry);
        let mut resends = 0;
        if policy == RetryPolicy::Resend {
            self.budget.observe(started, self.counters.sent.load(Relaxed));
            resends = self.bounds.reconnect_attempts;
        }
        let mut sent_before = Sent::No;
        let mut attempt = 1_u64;
        loop {
            let copy = (policy != RetryPolicy::Unsent).then(|| frame.clone());
            let Failure { cause, sent } = match self.attempt(frame, terms).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => *failure,
            };
            sent_before = sent_before.max(sent);
            let Some(copy) = copy.filter(|_| cause.is_disconnect() && self.gate.is_closed()) else {
                return Err((sent_before, cause));
            };
            match policy {
                // The hook cannot have begun, so this is its first run.
                RetryPolicy::Unstarted if sent == Sent::Unstarted => {}
                RetryPolicy::Resend if resends > 0 => {
                    if !self.budget.take(Instant::now(), self.counters.sent.load(Relaxed)) {
                        Counters::add(&self.counters.retries_refused);
                        return Err((sent_before, Cause::RetryBudgetSpent(Box::new(cause))));
                    }
                    resends -= 1;
                }
                _ => return Err((sent_before, cause)),
            }
            attempt += 1;
            Counters::add(&self.counters.retries);
            tracing::Span::current().record("attempt", attempt);
            self.identity.log(|_| {
                tracing::debug!(attempt, "the connection was lost, sending again");
            });
            frame = copy;
        }
    }

    /// Asks the breaker; what it gives is held until the call ends. Questions speak for
    /// nothing but themselves: they are no trial.
    fn admit(&self, method: Method) -> Result<Option<HalfOpenPermit<'_>>, Cause> {
        let admitted = match method {
            Method::InvokeHook => self.gate.admit(),
            Method::GetConfig | Method::Check | Method::Connect => {
                self.gate.admit_question().map(|()| None)
            }
        };
        admitted.map_err(|cause| if self.plugin.is_stopped() { Cause::Shutdown } else { cause })
    }

    async fn attempt(
        &self,
        frame: EncodedFrame,
        Terms { method, timeout, deadline, may_wait }: Terms,
    ) -> Result<Reply, Box<Failure>> {
        let request = Outbound { method, frame, deadline, timeout, may_wait };
        let answer = self.plugin.exchange(request).await;
        if answer.as_ref().map_or_else(|failure| failure.sent != Sent::No, |_| true) {
            Counters::add(&self.counters.sent);
        }
        answer
    }
}

/// A call that failed may have waited for nothing, and callers call again. Without this the
/// ones that wait for a plugin to be back could keep every thread of the runtime from the
/// tasks that find it. A call that is answered has waited for its reply.
async fn let_others_run() {
    coop::consume_budget().await;
}

/// What holds for every attempt of a call.
#[derive(Clone, Copy)]
struct Terms {
    method: Method,
    timeout: Duration,
    deadline: Instant,
    may_wait: bool,
}

/// Why a reply could not be read.
fn undecodable(error: DecodeError) -> Cause {
    match error {
        DecodeError::Custom(message) => Cause::RefusedByType(message),
        error => Cause::Undecodable(error.to_string()),
    }
}
