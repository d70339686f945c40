//! The check of a plugin that may not be there yet: for a while at the start, then in the
//! background.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, Either, select};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::PluginReport;
use crate::error::{PluginError, Stage};
use crate::handle::PluginHandle;
use crate::unix::reconnect::ConnectionState;

type Outcome = Result<(), PluginError>;

/// A check that keeps the plugin open until it is done.
type Check = BoxFuture<'static, Outcome>;

/// How often a plugin that was not there at the start is looked for, at least.
const RECHECK: Duration = Duration::from_secs(1);

/// What came of a check within the plugin's `connect_timeout`.
pub(super) struct Checked {
    handle: PluginHandle,
    outcome: Outcome,
    unfinished: Option<Check>,
}

fn check(handle: &PluginHandle) -> Check {
    let handle = handle.clone();
    Box::pin(async move { handle.check().await })
}

/// Checks a plugin, as long as that takes. One that fails is given up.
pub(super) async fn to_the_end(handle: &PluginHandle) -> PluginReport {
    report(handle, handle.check().await.map_err(PluginError::given_up), false)
}

/// Checks a plugin, and keeps what is not done after its `connect_timeout`: asking anew
/// would leave a question behind, and a question without an answer closes its connection.
pub(super) async fn for_a_while(handle: PluginHandle, runtime: &Handle) -> Checked {
    let config = handle.config();
    let while_long = config.transport().connect_timeout();
    let enough = {
        let _entered = runtime.enter();
        sleep(while_long)
    };
    match select(check(&handle), pin!(enough)).await {
        Either::Left((outcome, _)) => Checked { handle, outcome, unfinished: None },
        Either::Right(((), unfinished)) => {
            let connected = handle.state() == ConnectionState::Ready;
            let stage = if connected { Stage::InFlight } else { Stage::Queued };
            let outcome = Err(handle.unchecked(while_long, stage));
            Checked { handle, outcome, unfinished: Some(unfinished) }
        }
    }
}

impl Checked {
    /// Why the plugin can never be used as it is configured.
    pub(super) fn refused(&self) -> Option<PluginReport> {
        self.handle.is_refused().then(|| report(&self.handle, self.outcome.clone(), false))
    }

    /// Reports, and goes on in the background if the plugin may still come.
    pub(super) fn settle(self, runtime: &Handle) -> PluginReport {
        let Self { handle, outcome, unfinished } = self;
        let pending = outcome.is_err() && !handle.is_refused();
        let report = report(&handle, outcome, pending);
        if pending {
            runtime.spawn(until_ready(handle, unfinished));
        }
        report
    }
}

fn report(handle: &PluginHandle, outcome: Outcome, pending: bool) -> PluginReport {
    PluginReport { plugin: handle.name().to_owned(), outcome, pending }
}

/// Makes up for the check of a plugin that was not there at the start, as soon as it is.
/// Ends with the plugin; holds the handle only while it checks.
async fn until_ready(handle: PluginHandle, unfinished: Option<Check>) {
    let mut states = handle.watch_state();
    let weak = handle.downgrade();
    drop(handle);
    let mut next = unfinished;
    loop {
        if let Some(check) = next.take() {
            let outcome = check.await;
            let Some(handle) = weak.upgrade() else { return };
            match outcome {
                Ok(()) => return,
                Err(error) if handle.is_refused() => {
                    tracing::error!(plugin = handle.name(), %error, "the plugin is there, but cannot be used");
                    return;
                }
                Err(_) => {}
            }
        }
        // A change of state tells when to look again, and so does time: a plugin whose
        // answer was late has no change to show.
        if matches!(timeout(RECHECK, states.next()).await, Ok(None)) {
            return;
        }
        let Some(handle) = weak.upgrade() else { return };
        next = Some(check(&handle));
    }
}
