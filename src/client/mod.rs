//! One call over the pool: deadline, retry rule, and the checks on the reply.
//!
//! Encoding and decoding happen here, in the caller's task, so they use every
//! core and never hold up a connection.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::{BigIntegers, RetryPolicy, UnixSocketConfig};
use crate::connection::ConnectionState;
use crate::connection::circuit::Trial;
use crate::connection::gauge::Suspicion;
use crate::connection::message::{
    Failure, Freedom, Loss, Place, Reply, Request, Responder, answered,
};
use crate::connection::shared::Shared;
use crate::connection::transport::{Connector, UnixConnector};
use crate::error::{Cause, Errand, PluginError, Sent};
use crate::model::{Object, PluginContext, PluginResult, PluginViolation};
use crate::options::{CallOptions, Overload};
use crate::pool::{Pool, Refusal};
use crate::stats::Counters;
use crate::wire::reply::{
    Expected, HookReply, ReplyFault, config_reply, configs_reply, hook_reply,
};
use crate::wire::request::{self, Frame};
use crate::wire::stamp::{Stamp, Stamps};
use crate::wire::{DecodeError, FRAME_HEADER};

use budget::RetryBudget;

mod budget;
#[cfg(test)]
mod tests;

/// A plugin as its callers reach it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Counters,
    pool: Pool,
    timeout: Duration,
    retry: RetryPolicy,
    reconnect_attempts: u32,
    budget: RetryBudget,
    big_integers: BigIntegers,
    stamps: Option<Stamps>,
    max_frame_len: usize,
    /// The size of the last request: a good first guess for the next one's buffer.
    last_size: AtomicUsize,
}

/// A small request after a large one must not carry the large one's buffer.
const LARGEST_GUESS: usize = 16 * 1024;

/// A reply, and the connection that it came over.
struct Received {
    reply: Reply,
    connection: usize,
}

impl Client {
    /// A client that connects to the plugin's Unix socket.
    pub(crate) fn over_unix(plugin: Arc<str>, config: &UnixSocketConfig) -> Self {
        let path: Arc<Path> = config.path().into();
        let connector = UnixConnector::new(Arc::clone(&path), config.into());
        Self::new(plugin, path, config, move || connector.clone())
    }

    pub(crate) fn new<C: Connector + Unpin>(
        plugin: Arc<str>,
        socket: Arc<Path>,
        config: &UnixSocketConfig,
        connector: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::new(plugin, socket, config));
        let runtime = Handle::try_current().ok();
        let pool = Pool::new(Arc::clone(&shared), config.queue_capacity(), runtime, connector);
        Self {
            shared,
            counters: Counters::default(),
            pool,
            timeout: config.timeout(),
            retry: config.retry(),
            reconnect_attempts: config.reconnect_attempts(),
            budget: RetryBudget::new(config.retry_budget()),
            big_integers: config.big_integers(),
            stamps: config.stamp().then(Stamps::default),
            max_frame_len: config.max_frame_len(),
            last_size: AtomicUsize::new(0),
        }
    }

    /// Runs a hook and updates `context` from a reply that brings one.
    pub(crate) async fn invoke<P, R>(
        &self,
        hook_type: &str,
        payload: &P,
        context: &mut PluginContext,
        options: CallOptions,
        refusal: fn(&R) -> Option<PluginViolation>,
    ) -> Result<PluginResult<R>, PluginError>
    where
        P: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        Counters::add(&self.counters.calls);
        let stamp = self.stamps.as_ref().map(Stamps::next);
        let stamp = stamp.as_ref();
        let outcome = match self.encode(hook_type, payload, context, stamp) {
            Ok(frame) => {
                self.exchange(frame, options, |message| {
                    let request_id = &context.global_context.request_id;
                    let plugin = &self.shared.plugin;
                    hook_reply(message, Expected { plugin, request_id, stamp })
                })
                .await
            }
            Err(cause) => Err((Sent::No, cause)),
        };
        let outcome = match outcome {
            Ok(HookReply::Result(mut result, reply_context)) => {
                result.heed(refusal, &self.shared.plugin);
                if let Some(reply_context) = reply_context {
                    context.apply_reply(reply_context);
                }
                Ok(result)
            }
            Ok(HookReply::Fault(fault)) => Err((Sent::Maybe, Cause::Plugin(Box::new(fault)))),
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(result) => {
                let allowed = result.is_allowed();
                Counters::add(if allowed { &self.counters.ok } else { &self.counters.violations });
                Ok(result)
            }
            Err(failure) => {
                let error = self.error(Errand::Hook, failure);
                self.counters.count_failure(&error);
                Err(error)
            }
        }
    }

    /// The plugin's configuration on the server; `None` if it knows no such plugin.
    pub(crate) async fn plugin_config(&self, name: &str) -> Result<Option<Object>, PluginError> {
        let frame = request::get_plugin_config(name);
        self.ask(frame.map_err(Cause::InvalidRequest), config_reply).await
    }

    /// The configurations of all plugins on the server.
    pub(crate) async fn plugin_configs(&self) -> Result<Vec<Object>, PluginError> {
        let frame = request::get_plugin_configs();
        self.ask(frame.map_err(Cause::InvalidRequest), configs_reply).await
    }

    async fn ask<T>(
        &self,
        frame: Result<Frame, Cause>,
        read: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, PluginError> {
        let read = |message: &[u8]| read(message).map_err(ReplyFault::from);
        // Asking twice does no harm, so a question may always be sent again.
        let options = CallOptions::new().retry(RetryPolicy::Resend);
        let answer = match frame {
            Ok(frame) => self.exchange(frame, options, read).await,
            Err(cause) => Err((Sent::No, cause)),
        };
        answer.map_err(|failure| self.error(Errand::Question, failure))
    }

    /// Waits until there is a connection.
    pub(crate) async fn connect(&self) -> Result<(), PluginError> {
        let outcome = self.call(Frame::new(), CallOptions::new()).await;
        outcome.map(|_| ()).map_err(|failure| self.error(Errand::Question, failure))
    }

    /// Asks the connections to end at `deadline`, or as soon as nothing is under way.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.pool.stop(deadline);
    }

    /// Waits until the connections have ended.
    pub(crate) async fn stopped(&self) {
        let mut state = self.shared.watch_state();
        // The sender lives in `shared`, which we hold.
        let _ = state.wait_for(|state| *state == ConnectionState::Shutdown).await;
    }

    /// Counts and refuses a call that is not even tried.
    pub(crate) fn refuse(&self, cause: Cause) -> PluginError {
        Counters::add(&self.counters.calls);
        let error = self.error(Errand::Hook, (Sent::No, cause));
        self.counters.count_failure(&error);
        error
    }

    pub(crate) fn error(&self, errand: Errand, failure: (Sent, Cause)) -> PluginError {
        let Shared { plugin, socket, .. } = &*self.shared;
        PluginError::new(Arc::clone(plugin), Arc::clone(socket), errand, failure)
    }

    fn encode<P: Serialize + ?Sized>(
        &self,
        hook_type: &str,
        payload: &P,
        context: &PluginContext,
        stamp: Option<&Stamp>,
    ) -> Result<Frame, Cause> {
        let capacity = self.last_size.load(Relaxed).next_multiple_of(64).max(256);
        let plugin = &self.shared.plugin;
        let big_integers = self.big_integers;
        let frame = request::invoke_hook(
            hook_type,
            plugin,
            payload,
            context,
            stamp,
            big_integers,
            capacity,
        )
        .map_err(Cause::InvalidRequest)?;
        let size = frame.len() - FRAME_HEADER;
        if size > self.max_frame_len {
            return Err(Cause::RequestTooLarge { size, limit: self.max_frame_len });
        }
        self.last_size.store(frame.len().min(LARGEST_GUESS), Relaxed);
        Ok(frame)
    }

    /// Sends a request and reads its reply; a reply that is not the answer makes
    /// its socket suspect, which ends the socket.
    async fn exchange<T>(
        &self,
        frame: Frame,
        options: CallOptions,
        read: impl FnOnce(&[u8]) -> Result<T, ReplyFault>,
    ) -> Result<T, (Sent, Cause)> {
        let Received { reply, connection } = self.call(frame, options).await?;
        let gauge = &self.shared.gauges[connection];
        match read(&reply.message) {
            Ok(value) => {
                gauge.confirm(reply.socket);
                Ok(value)
            }
            Err(fault) => {
                let (suspicion, cause) = match fault {
                    ReplyFault::Mismatch { field } => {
                        (Suspicion::Mismatch, Cause::Mismatch { field })
                    }
                    ReplyFault::Unproven => (Suspicion::Unproven, Cause::Unproven),
                    ReplyFault::Empty => (Suspicion::Empty, Cause::EmptyReply),
                    ReplyFault::Undecodable(DecodeError::Custom(message)) => {
                        (Suspicion::Undecodable, Cause::RefusedByType(message))
                    }
                    ReplyFault::Undecodable(error) => {
                        (Suspicion::Undecodable, Cause::Undecodable(error.to_string()))
                    }
                };
                gauge.suspect(reply.socket, suspicion);
                Err((Sent::Maybe, cause))
            }
        }
    }

    /// One request over the pool, within one deadline.
    ///
    /// A request of which nothing was sent waits for the next connection by
    /// itself. One that may have been sent is sent again only if the caller, or
    /// the configuration, allows that the hook runs twice.
    async fn call(
        &self,
        mut frame: Frame,
        options: CallOptions,
    ) -> Result<Received, (Sent, Cause)> {
        let _trial = self.admit().map_err(|loss| (Sent::No, loss.into_cause(self.timeout)))?;
        let timeout = options.timeout.unwrap_or(self.timeout);
        let now = Instant::now();
        let terms = Terms { deadline: now + timeout, may_wait: options.overload == Overload::Wait };
        let may_resend = options.retry.unwrap_or(self.retry) == RetryPolicy::Resend;
        if may_resend {
            self.budget.observe(now, self.counters.calls.load(Relaxed));
        }
        let mut resends = if may_resend { self.reconnect_attempts } else { 0 };
        let mut freedom = self.shared.limits.freedom;
        let mut sent_before = Sent::No;
        let mut attempt = 1_u64;
        let mut place = None;
        loop {
            let copy = (resends > 0).then(|| frame.clone());
            let failure = match self.hand_over(frame, terms, freedom, place).await {
                Ok(received) => return Ok(received),
                Err(failure) => failure,
            };
            let (loss, sent, moved) = match failure {
                Attempt::Refused(Refusal::Overloaded { waiting, queue_capacity }) => {
                    let places = self.shared.capacity();
                    let cause = Cause::Overloaded { places, waiting, queue_capacity };
                    return Err((sent_before, cause));
                }
                Attempt::Refused(Refusal::Lost(loss)) => (loss, Sent::No, None),
                Attempt::Failed(failure) => {
                    let Failure { loss, sent, moved } = *failure;
                    (loss, sent, moved)
                }
            };
            if sent == Sent::Maybe {
                sent_before = Sent::Maybe;
            }
            (frame, place) = match (moved, copy) {
                (Some(moved), _) => {
                    freedom = moved.freedom;
                    (moved.frame, Some(moved.place))
                }
                (None, Some(copy)) if loss.is_disconnect() && self.shared.circuit.is_closed() => {
                    if !self.budget.take(Instant::now(), self.counters.calls.load(Relaxed)) {
                        Counters::add(&self.counters.retries_refused);
                        let cause = Box::new(loss.into_cause(timeout));
                        return Err((sent_before, Cause::RetryBudgetSpent(cause)));
                    }
                    resends -= 1;
                    attempt += 1;
                    Counters::add(&self.counters.retries);
                    tracing::Span::current().record("attempt", attempt);
                    tracing::debug!(attempt, "the connection was lost, sending again");
                    (copy, None)
                }
                _ => return Err((sent_before, loss.into_cause(timeout))),
            };
        }
    }

    /// Asks the breaker; what it gives is held until the call ends.
    fn admit(&self) -> Result<Option<Trial<'_>>, Loss> {
        self.shared.circuit.admit().map_err(|loss| match self.shared.stop_at() {
            Some(_) => Loss::Shutdown,
            None => loss,
        })
    }

    async fn hand_over(
        &self,
        frame: Frame,
        Terms { deadline, may_wait }: Terms,
        freedom: Freedom,
        mut place: Option<Place>,
    ) -> Result<Received, Attempt> {
        match &mut place {
            Some(place) => place.pass_on(),
            None => self.pool.enter(deadline, may_wait).await.map_err(Attempt::Refused)?,
        }
        let (responder, answer) = Responder::new();
        let request = Request { frame, deadline, freedom, responder };
        let connection = self.pool.hand_over(request).map_err(Attempt::lost)?;
        drop(place);
        let reply = answered(answer).await.map_err(Attempt::Failed)?;
        Ok(Received { reply, connection })
    }
}

/// What holds for every attempt of a call.
#[derive(Clone, Copy)]
struct Terms {
    deadline: Instant,
    may_wait: bool,
}

/// How one attempt ended without a reply.
enum Attempt {
    Refused(Refusal),
    Failed(Box<Failure>),
}

impl Attempt {
    fn lost(loss: Loss) -> Self {
        Self::Refused(Refusal::Lost(loss))
    }
}
