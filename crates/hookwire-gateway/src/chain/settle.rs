//! How an answer takes effect: on the request, the report, and whether the plugin is asked
//! again.

use std::sync::Arc;

use hookwire::config::PluginMode;
use hookwire::model::{DenialMetadata, Object};
use hookwire::{Hook, PluginError, PluginFault, PluginResult, PluginViolation};
use tokio::time::Instant;

use super::cargo::Cargo;
use super::judge::{self, Consequence, Failure, Of, Weighed};
use super::member::Member;
use super::outcome::{Denial, HaltReason};
use super::plan::Step;
use super::record::{Decision, Record, Status};
use super::run::{Answer, Modified, Run};
use super::switch::Pass;
use super::trace;

impl<C: Cargo> Run<'_, C> {
    /// Whether an answer of the concurrent phase ends the chain: as [`settle`](Self::settle)
    /// finds once more.
    pub(super) fn ends_the_chain(&self, step: &Step, answer: &Answer<Modified<C>>) -> bool {
        match &answer.called {
            Ok((result, _)) => !result.is_allowed(),
            Err(error) => {
                !matches!(self.consequence(step, error), Consequence::GoOn | Consequence::Disable)
            }
        }
    }

    fn consequence(&self, step: &Step, error: &PluginError) -> Consequence {
        let out_of_time =
            error.is_timeout() && self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let of = Of::error(error);
        let failure = Failure { denied: error.is_denial(), out_of_time, of };
        judge::on_failure(step.mode, step.on_error, failure)
    }

    /// Lets an answer take effect.
    pub(super) fn settle(
        &mut self,
        step: Step,
        Answer { called, duration, pass, .. }: Answer<Modified<C>>,
        seen: Option<&Object>,
    ) -> Result<(), HaltReason> {
        let member = &*self.chain.members[step.index];
        let blank = Record::without_answer(&member.name, step.mode, Status::Completed);
        let mut record = Record { duration, ..blank };
        let outcome = match called {
            Ok((result, reply)) => {
                pass.answered();
                if let Some(reply) = reply {
                    let may_change_shared = step.mode != PluginMode::Audit;
                    self.request.absorb(&member.name, reply, seen, may_change_shared);
                }
                self.heed(step, member, result, &mut record)
            }
            Err(error) => self.fail(&step, member, error, pass, &mut record),
        };
        if outcome.is_err() {
            (record.effective, record.applied) = (Decision::Deny, true);
        }
        self.report.records.push(record);
        outcome
    }

    /// Lets a verdict take effect.
    fn heed(
        &mut self,
        step: Step,
        member: &Member,
        result: PluginResult<Modified<C>>,
        record: &mut Record,
    ) -> Result<(), HaltReason> {
        self.report.gather(&result);
        let allowed = result.is_allowed();
        record.requested = Some(if allowed { Decision::Allow } else { Decision::Deny });
        record.code = result.violation().map(|violation| violation.code.clone());
        let extensions = result.modified_extensions().cloned();
        let metrics = result.denial_metadata().cloned();
        match judge::weigh::<C::Hook>(step.mode, result) {
            Weighed::Deny(violation) => Err(denied(member, violation, metrics)),
            Weighed::GoOn { modified, overruled } => {
                if overruled {
                    let (plugin, mode, hook) = (&*member.name, step.mode.as_str(), C::Hook::NAME);
                    tracing::warn!(plugin, mode, hook, "a denial of a plugin that may not deny");
                }
                if let Some(modified) = modified {
                    record.modified =
                        self.cargo.take(&member.name, modified).map_err(|message| {
                            HaltReason::Unfilterable { plugin: Arc::clone(&member.name), message }
                        })?;
                    if record.modified {
                        self.encoded = None;
                        self.decided_by = Some(Arc::clone(&member.name));
                    }
                }
                let may_modify =
                    matches!(step.mode, PluginMode::Sequential | PluginMode::Transform);
                let extensions = extensions.filter(|_| may_modify);
                record.applied = record.modified || extensions.is_some();
                self.report.extensions = extensions.or(self.report.extensions.take());
                Ok(())
            }
        }
    }

    /// Lets a failed call take effect.
    fn fail(
        &self,
        step: &Step,
        member: &Member,
        error: PluginError,
        pass: Pass,
        record: &mut Record,
    ) -> Result<(), HaltReason> {
        record.status = if error.is_timeout() { Status::Timeout } else { Status::Error };
        record.code = Some(error.reason().to_owned());
        match self.consequence(step, &error) {
            Consequence::Deny => {
                record.requested = Some(Decision::Deny);
                let violation = error.plugin_fault().and_then(PluginFault::violation);
                Err(denied(member, violation.cloned().map(Box::new), None))
            }
            Consequence::OutOfTime => Err(self.out_of_time()),
            Consequence::Fail => Err(HaltReason::Failed(error)),
            Consequence::GoOn => {
                trace::call_failed::<C::Hook>(&error, "ignored, as configured");
                Ok(())
            }
            Consequence::Disable => {
                self.chain.times.turn_off(&member.switch, pass);
                trace::call_failed::<C::Hook>(&error, "the plugin is disabled from now on");
                Ok(())
            }
        }
    }
}

fn denied(
    member: &Member,
    violation: Option<Box<PluginViolation>>,
    metrics: Option<DenialMetadata>,
) -> HaltReason {
    let violation = violation.map(|mut violation| {
        violation.plugin_name = Some(member.name.to_string());
        violation
    });
    HaltReason::Denied(Denial { plugin: Arc::clone(&member.name), violation, metrics })
}
