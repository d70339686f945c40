//! One run of a chain: calls the plugins of a plan, and lets their answers take effect.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use hookwire::{
    EncodedPayload, Hook, PluginContext, PluginError, PluginHandle, PluginResult, ReplyContext,
};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::cargo::Cargo;
use super::judge::{self, Consequence, Failure, Of};
use super::limit::exceeds;
use super::member::Member;
use super::outcome::{HaltReason, Halted, Passed};
use super::plan::{Plan, Step};
use super::record::{Record, Status};
use super::report::Report;
use super::switch::Pass;
use super::{ChainHook, Inner, PERMISSION_HOOK, trace};
use crate::context::RequestContext;

/// A byte of an encoded payload is at most so many of JSON text: a control character in a string
/// is escaped as `\u0001`. All other values take fewer.
const TEXT_PER_BYTE: usize = 6;

pub(super) struct Run<'a, C: Cargo> {
    pub(super) chain: &'a Inner,
    pub(super) request: &'a mut RequestContext,
    pub(super) cargo: C,
    pub(super) report: Report,
    pub(super) deadline: Option<Instant>,
    /// The present payload, encoded for all plugins, once that was tried.
    pub(super) encoded: Option<Option<EncodedPayload<C::Hook>>>,
    /// The last plugin that changed the payload, or decided.
    pub(super) decided_by: Option<Arc<str>>,
}

pub(super) type Modified<C> = <<C as Cargo>::Hook as Hook>::Modified;
type Called<M> = Result<(PluginResult<M>, Option<ReplyContext>), PluginError>;

/// A plugin's answer, and how long it took.
pub(super) struct Answer<M> {
    pub(super) called: Called<M>,
    pub(super) duration: Duration,
    pub(super) pass: Pass,
    ended: Instant,
}

/// A payload as plugins are called with it.
enum Body<'a, H: ChainHook> {
    Plain(&'a H::Payload),
    /// Encoded once for all calls with this payload.
    Encoded(&'a EncodedPayload<H>),
}

impl<'a, H: ChainHook> Body<'a, H> {
    /// Plain where encoding would not pay, or where each plugin's settings decide about it.
    fn of(payload: &'a H::Payload, encoded: &'a Option<Option<EncodedPayload<H>>>) -> Self {
        match encoded {
            Some(Some(encoded)) => Self::Encoded(encoded),
            _ => Self::Plain(payload),
        }
    }
}

/// The payload as it came in, for plugins in the background. Where it is encoded, they hold
/// nothing of the payload itself: what is changed, or given back in the end, is copied if they do.
enum Original<H: ChainHook> {
    Plain(Arc<H::Payload>),
    Encoded(EncodedPayload<H>),
}

impl<H: ChainHook> Original<H> {
    fn body(&self) -> Body<'_, H> {
        match self {
            Self::Plain(payload) => Body::<H>::Plain(payload),
            Self::Encoded(encoded) => Body::<H>::Encoded(encoded),
        }
    }
}

impl<H: ChainHook> Clone for Original<H> {
    fn clone(&self) -> Self {
        match self {
            Self::Plain(payload) => Self::Plain(Arc::clone(payload)),
            Self::Encoded(encoded) => Self::Encoded(encoded.clone()),
        }
    }
}

/// Calls one plugin.
async fn ask<H: ChainHook>(
    span: Span,
    (handle, pass): (&PluginHandle, Pass),
    (started, deadline): (Instant, Option<Instant>),
    body: Body<'_, H>,
    context: &PluginContext,
) -> Answer<H::Modified> {
    let limited = deadline.map(|deadline| handle.until(deadline));
    let handle = limited.as_ref().unwrap_or(handle);
    let context = &*trace::carried(&span, context);
    // Pinned first: the futures are large, and `instrument` would move them.
    let called = match body {
        Body::Plain(payload) => {
            let call = pin!(handle.invoke_hook_shared::<H>(payload, context));
            call.instrument(span.clone()).await
        }
        Body::Encoded(payload) => {
            let call = pin!(handle.invoke_hook_encoded(payload, context));
            call.instrument(span.clone()).await
        }
    };
    trace::call_ended(&span, &called);
    let ended = Instant::now();
    Answer { called, duration: ended.saturating_duration_since(started), pass, ended }
}

impl<'a, C: Cargo> Run<'a, C> {
    /// Calls the plugins. What comes back is why the request must stop.
    pub(super) async fn run(&mut self) -> Option<HaltReason> {
        let span = trace::run(C::Hook::NAME, &self.request.global().request_id);
        let halted = pin!(self.go()).instrument(span.clone()).await;
        trace::run_ended(&span, halted.as_ref());
        halted
    }

    /// What the run has come to.
    pub(super) fn end(
        mut self,
        halted: Option<HaltReason>,
    ) -> Result<Passed<C::Product>, Box<Halted>> {
        if let Some(plugin) = self.decided_by.filter(|_| C::Hook::NAME == PERMISSION_HOOK) {
            self.report.note_decision(&plugin);
        }
        match halted {
            Some(reason) => Err(Box::new(Halted { reason, report: self.report })),
            None => Ok(Passed { value: self.cargo.product(), report: self.report }),
        }
    }

    async fn go(&mut self) -> Option<HaltReason> {
        let plan = self.chain.plan::<C::Hook>(self.cargo.payload(), self.request);
        self.report.records.reserve_exact(self.chain.members.len());
        for (index, mode, status) in &plan.left_out {
            let name = &self.chain.members[*index].name;
            self.report.records.push(Record::without_answer(name, *mode, *status));
        }
        // Those in the background see the payload as it came in.
        let calls = plan.steps().len();
        let too_large = if calls > 0 { self.too_large() } else { None };
        let needed = !plan.background().is_empty() && too_large.is_none();
        let original = needed.then(|| self.original(calls));

        let halted = match too_large {
            Some(reason) => Some(reason),
            None => self.wait_for(&plan).await.err(),
        };
        // Without that, each of them has its record.
        for step in plan.waited_for().iter().filter(|_| halted.is_some()) {
            let name = &self.chain.members[step.index].name;
            if !self.report.records.iter().any(|record| record.plugin == *name) {
                self.report.records.push(Record::without_answer(name, step.mode, Status::Skipped));
            }
        }
        let observed = matches!(halted, None | Some(HaltReason::Denied(_)));
        for step in plan.background() {
            let member = &self.chain.members[step.index];
            let original = original.as_ref().filter(|_| observed);
            let status = match original.map(|original| self.start(member, *step, original)) {
                Some(status) => status,
                None => Status::Skipped,
            };
            self.report.records.push(Record::without_answer(&member.name, step.mode, status));
        }
        halted
    }

    /// The phases whose answers count.
    async fn wait_for(&mut self, plan: &Plan) -> Result<(), HaltReason> {
        // A call begins when the one before has ended: the clock is looked at once for both.
        let mut now = Instant::now();
        let calls = plan.waited_for().len();
        for (position, step) in plan.serial().iter().enumerate() {
            self.in_time(now)?;
            let member = &self.chain.members[step.index];
            let Some(pass) = member.pass(step.on_error, self.chain.times) else {
                self.left_out(*step);
                continue;
            };
            self.encode_for(calls - position);
            let body = Body::<C::Hook>::of(self.cargo.payload(), &self.encoded);
            let context = self.request.load(&member.name);
            let span = trace::call(&member.name, C::Hook::NAME, step.mode.as_str());
            let times = (now, self.deadline);
            let answer = ask(span, (&member.handle, pass), times, body, context).await;
            now = answer.ended;
            self.settle(*step, answer, None)?;
        }
        if !plan.concurrent().is_empty() {
            self.in_time(now)?;
            self.side_by_side(plan.concurrent()).await?;
        }
        Ok(())
    }

    /// Asks all at once, as many as the chain allows, until one of them ends the chain; the
    /// others' calls are dropped then. Answers take effect in the order of the plan.
    async fn side_by_side(&mut self, steps: &[Step]) -> Result<(), HaltReason> {
        let seen = self.request.global().state.clone();
        self.encode_for(steps.len());
        let (answers, asked) = {
            let calls: Vec<_> = steps
                .iter()
                .enumerate()
                .map(|(position, step)| {
                    let member = &self.chain.members[step.index];
                    let context = self.request.copy_for(&member.name);
                    let body = Body::<C::Hook>::of(self.cargo.payload(), &self.encoded);
                    let deadline = self.deadline;
                    let (step, times) = (*step, self.chain.times);
                    async move {
                        let Some(pass) = member.pass(step.on_error, times) else {
                            return (position, None);
                        };
                        let mode = step.mode.as_str();
                        let span = trace::call(&member.name, C::Hook::NAME, mode);
                        let times = (Instant::now(), deadline);
                        let asked = (&member.handle, pass);
                        let answer = ask(span, asked, times, body, &context).await;
                        (position, Some(answer))
                    }
                })
                .collect();
            let mut answers: Vec<_> = steps.iter().map(|_| None).collect();
            let mut finished = 0;
            let mut calls = stream::iter(calls).buffer_unordered(self.chain.concurrency);
            while let Some((position, answer)) = calls.next().await {
                finished += 1;
                let ends = answer
                    .as_ref()
                    .is_some_and(|answer| self.ends_the_chain(&steps[position], answer));
                answers[position] = Some(answer);
                if ends {
                    break;
                }
            }
            // They are begun in their order, the next one when one has finished.
            (answers, self.chain.concurrency.saturating_add(finished - 1))
        };
        let mut outcome = Ok(());
        for (position, (step, answer)) in steps.iter().zip(answers).enumerate() {
            match answer {
                Some(Some(answer)) => {
                    outcome = outcome.and(self.settle(*step, answer, Some(&seen)));
                }
                Some(None) => self.left_out(*step),
                None => {
                    let name = &self.chain.members[step.index].name;
                    let begun = position < asked;
                    let status = if begun { Status::Cancelled } else { Status::Skipped };
                    self.report.records.push(Record::without_answer(name, step.mode, status));
                }
            }
        }
        outcome
    }

    /// Notes that an error of another request has disabled the plugin meanwhile, or that one
    /// tries it.
    fn left_out(&mut self, step: Step) {
        let name = &self.chain.members[step.index].name;
        self.report.records.push(Record::without_answer(name, step.mode, Status::Disabled));
    }

    fn in_time(&self, now: Instant) -> Result<(), HaltReason> {
        match self.deadline {
            Some(deadline) if deadline <= now => Err(self.out_of_time()),
            _ => Ok(()),
        }
    }

    /// Encodes the payload, if it pays for the next so many calls.
    fn encode_for(&mut self, calls: usize) {
        if calls > 1 && self.encoded.is_none() {
            self.encoded = Some(EncodedPayload::<C::Hook>::new(self.cargo.payload()));
        }
    }

    fn original(&mut self, calls: usize) -> Original<C::Hook> {
        self.encode_for(calls);
        match &self.encoded {
            Some(Some(encoded)) => Original::Encoded(encoded.clone()),
            _ => Original::Plain(Arc::clone(self.cargo.payload())),
        }
    }

    /// The text is measured only where its encoded form, which the calls need anyway, leaves that
    /// open.
    fn too_large(&mut self) -> Option<HaltReason> {
        let limit = self.chain.max_payload;
        if limit == usize::MAX {
            return None;
        }
        let payload = self.cargo.payload();
        let encoded = self.encoded.get_or_insert_with(|| EncodedPayload::<C::Hook>::new(payload));
        let fits = |encoded: &EncodedPayload<_>| encoded.encoded_len() <= limit / TEXT_PER_BYTE;
        let fits = encoded.as_ref().is_some_and(fits) || !exceeds(&**payload, limit);
        (!fits).then_some(HaltReason::TooLarge(limit))
    }

    pub(super) fn out_of_time(&self) -> HaltReason {
        HaltReason::OutOfTime(self.chain.timeout.unwrap_or_default())
    }

    /// Starts a call that nobody waits for.
    fn start(&self, member: &Arc<Member>, step: Step, original: &Original<C::Hook>) -> Status {
        let (member, times) = (Arc::clone(member), self.chain.times);
        let Some(pass) = member.pass(step.on_error, times) else { return Status::Disabled };
        let (original, context) = (original.clone(), self.request.copy_without_own());
        let span = trace::background_call(&member.name, C::Hook::NAME, step.mode.as_str());
        let started = self.chain.lifetime.start(async move {
            let began = (Instant::now(), None);
            let asked = (&member.handle, pass);
            let Answer { called, pass, .. } =
                ask(span, asked, began, original.body(), &context).await;
            match called {
                Ok(_) => pass.answered(),
                Err(error) => {
                    let failure =
                        Failure { denied: false, out_of_time: false, of: Of::error(&error) };
                    let consequence = judge::on_failure(step.mode, step.on_error, failure);
                    if consequence == Consequence::Disable {
                        times.turn_off(&member.switch, pass);
                    }
                    trace::call_failed::<C::Hook>(&error, "nobody waited for it");
                }
            }
        });
        if started { Status::Started } else { Status::Skipped }
    }
}
