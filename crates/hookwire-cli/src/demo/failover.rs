//! The fourth part: three servers over gRPC, of which one is killed and comes back under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hookwire::PluginHandle;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

use super::crowd::marked_call;
use super::heading;
use super::servers::{Answered, SERVERS, Servers};
use super::table::Part;
use crate::failure::{Failure, print};
use crate::plugins::ECHO;
use crate::tally::{Shared, Tally};
use crate::text;

const TASKS: usize = 64;
const KILL_AT: Duration = Duration::from_millis(800);
const RESTART_AT: Duration = Duration::from_millis(1_600);
const ENDS_AT: Duration = Duration::from_millis(2_400);
/// For a machine that is busy with something else: how long the new server may be without a
/// call before it counts as not back.
const PATIENCE: Duration = Duration::from_secs(10);
/// As in the part before.
const WORK_MS: u64 = 5;
const PAUSE: Duration = Duration::from_millis(20);

const SCRIPT: &str = "\
64 tasks call Echo at three servers over gRPC, as if on three machines.
After 0.8 s the first is killed as by `kill -9`, and after 1.6 s started again.
";

/// What the tasks share.
#[derive(Debug)]
struct Load {
    handle: PluginHandle,
    results: Shared,
    ended: AtomicBool,
}

/// What each server has answered in each stage, and whether the first came back.
struct Stages {
    rows: [(&'static str, Answered); 3],
    recovered: bool,
}

pub(super) async fn show() -> Result<(Part, bool), Failure> {
    heading("4. Three servers over gRPC, and one of them is killed")?;
    print(SCRIPT)?;
    let mut servers = Servers::start().await?;
    let load = Arc::new(Load {
        handle: servers.connect(ECHO).await?,
        results: Shared::new()?,
        ended: AtomicBool::new(false),
    });
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(run_task(Arc::clone(&load), task));
    }
    let stages = direct(&mut servers, started).await;
    load.ended.store(true, Relaxed);
    while tasks.join_next().await.is_some() {}
    let elapsed = started.elapsed();
    let Stages { rows, recovered } = stages?;

    draw(&rows)?;
    let (tally, stats) = (load.results.sum()?, load.handle.stats());
    explain(&tally, recovered)?;
    load.handle.shutdown(Duration::from_secs(1)).await;
    servers.stop().await;
    Ok((Part { tally, elapsed: Some(elapsed), reconnects: stats.reconnects }, recovered))
}

async fn run_task(load: Arc<Load>, task: usize) {
    // The tasks do not march in step.
    sleep(PAUSE.mul_f64(fastrand::f64())).await;
    let mut number = 0;
    while !load.ended.load(Relaxed) {
        let ended = marked_call(&load.handle, &format!("failover-{task}-{number}"), WORK_MS).await;
        ended.count(task, &load.results);
        number += 1;
        sleep(PAUSE).await;
    }
}

/// Kills and restarts.
async fn direct(servers: &mut Servers, started: Instant) -> Result<Stages, Failure> {
    let begun = servers.answered();
    sleep_until((started + KILL_AT).into()).await;
    let mut before = servers.answered();
    before[0] = Some(servers.kill_first().await);
    sleep_until((started + RESTART_AT).into()).await;
    let during = servers.answered();
    servers.restart_first().await?;
    let restarted = servers.answered();
    sleep_until((started + ENDS_AT).into()).await;
    // Connecting is a request too, so that a few more are calls.
    let is_back = async {
        while servers.answered()[0].is_none_or(|answered| answered < 10) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let recovered = timeout(PATIENCE, is_back).await.is_ok();
    let rows = [
        ("all three are there", since(before, begun)),
        ("the first is killed", since(during, before)),
        ("and there again", since(servers.answered(), restarted)),
    ];
    Ok(Stages { rows, recovered })
}

/// What was answered between two looks.
fn since(now: Answered, before: Answered) -> Answered {
    std::array::from_fn(|at| Some(now[at]?.saturating_sub(before[at].unwrap_or(0))))
}

/// A line for each stage.
fn draw(rows: &[(&str, Answered); SERVERS]) -> Result<(), Failure> {
    let line = |name: &str, cells: [String; SERVERS]| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>8}")).collect();
        format!("  {name:<21}{cells}")
    };
    print(line("answered by", ["first", "second", "third"].map(str::to_owned)))?;
    rows.iter().try_for_each(|(name, answered)| {
        print(line(name, answered.map(|count| count.map_or_else(|| "-".to_owned(), text::count))))
    })
}

fn explain(tally: &Tally, recovered: bool) -> Result<(), Failure> {
    let [calls, failed] = [tally.calls(), tally.failed()].map(text::count);
    let [sent, unsent] = [tally.sent, tally.unsent].map(text::count);
    let slowest = text::time(tally.latencies.max() as f64);
    let back = match recovered {
        true => "came back by itself",
        false => "did not get calls again",
    };
    print(format_args!(
        "
  {calls} calls, {failed} failed; the slowest that did not took {slowest}.
  failed, sent:   {sent:>6}  The first server had them when it died.
  failed, unsent: {unsent:>6}  No server was there for them.
  What had not been sent to the first went to the other two, who took over at
  once; the first {back}."
    ))
}
