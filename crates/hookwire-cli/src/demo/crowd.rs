//! The second part: many tasks, one handle, every reply checked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
use hookwire::{PluginContext, PluginError, PluginHandle, PluginResult, Verdict};
use tokio::task::JoinSet;

use super::heading;
use super::scene::Scene;
use super::table::Part;
use crate::failure::{Failure, print};
use crate::plugins::ECHO;
use crate::tally::{Shared, Tally};
use crate::text;

const TASKS: usize = 1_000;
/// Calls without company, to compare with.
const ALONE: usize = 200;
const LASTS: Duration = Duration::from_secs(2);

pub(super) async fn show(scene: &Scene) -> Result<Part, Failure> {
    heading("2. 1,000 tasks sharing one handle")?;
    print("Each task has a clone of one handle to Echo and calls without a pause for 2 s.")?;
    print("Each call carries a marker of its own, which its reply must bring back.")?;
    let handle = scene.connect(ECHO, |socket| socket).await?;
    let alone = alone(&handle).await?;
    let results = Arc::new(Shared::new()?);
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (handle, results) = (handle.clone(), Arc::clone(&results));
        tasks.spawn(async move {
            let mut number = 0;
            while started.elapsed() < LASTS {
                let marker = format!("crowd-{task}-{number}");
                marked_call(&handle, &marker, 0).await.count(task, &results);
                number += 1;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let elapsed = started.elapsed();

    let (tally, stats) = (results.sum()?, handle.stats());
    let sockets = stats.connections.iter().filter(|connection| connection.connects > 0).count();
    let [calls, checked] = [tally.calls(), tally.ok()].map(text::count);
    print(format_args!("\n  {calls} calls over {sockets} sockets, {} failed", tally.failed()))?;
    print(format_args!("  {checked} replies checked, {} were another call's", tally.mismatched))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let crowd = tally.latencies.value_at_quantile(0.5);
    let [alone, crowd] = [alone, crowd].map(|median| text::time(median as f64));
    print(format_args!(
        "  A call took {crowd} (median), and {alone} with nobody else calling: most of it
  is the wait behind the other {} tasks for {}, shared with the server.",
        TASKS - 1,
        text::counted(cores, "core"),
    ))?;
    Ok(Part { tally, elapsed: Some(elapsed), reconnects: stats.reconnects })
}

/// How long a call takes that waits for no other: the median, in nanoseconds.
async fn alone(handle: &PluginHandle) -> Result<u64, Failure> {
    let mut tally = Tally::new()?;
    for number in 0..ALONE {
        let ended = marked_call(handle, &format!("alone-{number}"), 0).await;
        tally.record(ended.took, &ended.outcome);
    }
    Ok(tally.latencies.value_at_quantile(0.5))
}

/// A call that ended.
pub(super) struct Ended {
    pub(super) outcome: Result<PluginResult<ToolPreInvokePayload>, PluginError>,
    took: Duration,
    foreign: bool,
}

impl Ended {
    pub(super) fn count(&self, task: usize, results: &Shared) {
        results.record(task, self.took, &self.outcome, self.foreign);
    }
}

/// Calls Echo with a marker, and looks whether it comes back.
pub(super) async fn marked_call(handle: &PluginHandle, marker: &str, delay_ms: u64) -> Ended {
    let mut payload = ToolPreInvokePayload::new("search").with_arg("marker", marker);
    if delay_ms > 0 {
        payload = payload.with_arg("delay_ms", delay_ms);
    }
    let mut context = PluginContext::new(marker);
    let started = Instant::now();
    let outcome = handle.invoke_hook::<ToolPreInvoke>(&payload, &mut context).await;
    let took = started.elapsed();
    let foreign = outcome.as_ref().is_ok_and(|result| {
        let Verdict::Allowed(payload) = result.verdict() else { return true };
        let args = payload.and_then(|payload| payload.args.as_ref());
        args.and_then(|args| args.get("marker")?.as_str()) != Some(marker)
    });
    Ended { outcome, took, foreign }
}
