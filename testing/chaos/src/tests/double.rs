//! A client that lies in one way, and the calls to try it on.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwire::{
    CallOptions, PluginConfig, PluginContext, PluginHandle, PluginResult, PluginViolation,
    UnixSocketConfig,
};
use tokio::time::{Instant, sleep};

use crate::judge::{Asked, Told, Wrong};
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::site::Contexts;
use crate::target::Target;
use crate::work::{Answer, Marker, Question, Verdict, Work, signed, work};

/// What a client does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Lie {
    Nothing,
    AnotherAnswer,
    AnotherPayload,
    AllowsAll,
    LosesTheState,
    ChangesTheState,
    DoesNotRun,
    /// Takes an answer for one that its server took back.
    TakesWhatIsVoid,
    RunsTwice,
    LateBy(Duration),
    /// Says that its time is over, and gives the call half of it.
    TimesOutEarly,
    /// Nobody is there.
    IsAway,
    NeverEnds,
    /// Another server was there so many milliseconds ago.
    Stale(u64),
}

/// Only claims to call a plugin.
pub(super) struct Double {
    pub(super) lie: Lie,
    pub(super) ledger: Arc<Ledger>,
    /// Of the calls that were made.
    pub(super) plans: Mutex<Vec<Plan>>,
}

impl Double {
    pub(super) fn new(lie: Lie, ledger: &Arc<Ledger>) -> Self {
        Self { lie, ledger: Arc::clone(ledger), plans: Mutex::default() }
    }
}

/// What a handle says whose plugin cannot be reached.
async fn nobody(attempts: u32, timeout: Duration, context: &mut PluginContext) -> Told {
    let socket = UnixSocketConfig::builder("/nowhere/plugin.sock").reconnect_attempts(attempts);
    let config = PluginConfig::builder("Nobody").unix_socket(socket).build().unwrap();
    let question = Question::new(marker_with(0, Verdict::Deny), "");
    let options = CallOptions::new().timeout(timeout);
    let nobody = PluginHandle::connect_lazy(config).with(options);
    nobody.invoke_hook::<Work>(&question, context).await
}

fn answer(marker: Marker, filler: &str) -> (PluginResult<Answer>, String) {
    let (verdict, number) = work(marker, filler);
    let signature = signed(&number, 0);
    let text = marker.to_string();
    let result = match verdict {
        Verdict::Allow { echo } => {
            let filler = echo.then(|| filler.to_owned());
            PluginResult::modify(Answer { marker: text, number: signature, filler })
        }
        _ => PluginResult::deny(PluginViolation::new(signature).with_reason(text)),
    };
    (result, number)
}

impl Target for Double {
    fn name(&self) -> &str {
        "Double"
    }

    fn contexts(&self) -> Contexts {
        Contexts::Returned
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(2)
    }

    fn resends(&self) -> bool {
        false
    }

    fn proves_unstarted(&self) -> bool {
        true
    }

    async fn call(&self, asked: &Asked, plan: &Plan, context: &mut PluginContext) -> Told {
        self.plans.lock().unwrap().push(plan.clone());
        let timeout = plan.timeout.unwrap_or(self.timeout());
        match self.lie {
            Lie::TimesOutEarly => return nobody(u32::MAX, timeout / 2, context).await,
            Lie::IsAway => return nobody(1, timeout, context).await,
            _ => {}
        }
        let mut marker = asked.marker;
        match self.lie {
            Lie::DoesNotRun => {}
            Lie::TakesWhatIsVoid => {
                self.ledger.ran(marker);
                self.ledger.void(marker);
            }
            Lie::RunsTwice => (0..2).for_each(|_| self.ledger.ran(marker)),
            _ => self.ledger.ran(marker),
        }
        match self.lie {
            Lie::AnotherAnswer => marker = marker_with(marker.number + 1, verdict_of(marker)),
            Lie::LateBy(late) => sleep(timeout + late).await,
            Lie::NeverEnds => pending().await,
            _ => {}
        }
        let filler = if self.lie == Lie::AnotherPayload { "x" } else { asked.filler };
        let (mut result, number) = answer(marker, filler);
        if self.lie == Lie::AllowsAll && !result.is_allowed() {
            result = PluginResult::allow();
        }
        context.state = match self.lie {
            Lie::LosesTheState => serde_json::Map::new(),
            Lie::ChangesTheState => [("number".to_owned(), "1".into())].into_iter().collect(),
            _ => [("number".to_owned(), number.into())].into_iter().collect(),
        };
        Ok(result)
    }

    async fn ask_for_config(&self) -> (&'static str, Option<Wrong>) {
        if self.lie == Lie::NeverEnds {
            pending::<()>().await;
        }
        ("config", None)
    }

    fn replaced_at(&self, _: usize) -> Option<Instant> {
        let Lie::Stale(since) = self.lie else { return None };
        Instant::now().checked_sub(Duration::from_millis(since))
    }

    fn short_lived(&self) -> Option<Self> {
        None
    }

    async fn part(self, _: Option<Duration>) {}
}

fn verdict_of(marker: Marker) -> Verdict {
    work(marker, "").0
}

/// The first call from `number` on with this verdict.
pub(super) fn marker_with(number: u32, verdict: Verdict) -> Marker {
    let marker = |number| Marker { caller: 0, number, may_repeat: false };
    (number..).map(marker).find(|marker| verdict_of(*marker) == verdict).unwrap()
}
