//! The third part: the server is killed and restarted while calls run.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hookwire::PluginHandle;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, sleep_until};

use super::crowd::marked_call;
use super::heading;
use super::scene::Scene;
use super::table::Part;
use crate::failure::{Failure, print};
use crate::plugins::ECHO;
use crate::tally::{Shared, Tally};
use crate::text;

const TASKS: usize = 200;
/// A moment after a line of the picture, so that the next one shows what came of it.
const KILL_AT: Duration = Duration::from_millis(1_010);
const RESTART_AT: Duration = Duration::from_millis(2_010);
const LASTS: Duration = Duration::from_millis(4_000);
/// A line of the picture for each.
const STEP: Duration = Duration::from_millis(250);
/// The plugin works this long on a call, so that some are under way at any time.
const WORK_MS: u64 = 5;
/// What a task does between two calls, and after one that failed.
const PAUSE: Duration = Duration::from_millis(20);

const SCRIPT: &str = "\
200 tasks call Echo, which works 5 ms on each call. After 1 s the server is
killed as by `kill -9`; after 2 s a new one starts on the same path. Nobody
tells hookwire.
";

/// What the tasks and the picture share.
#[derive(Debug)]
struct Load {
    handle: PluginHandle,
    results: Shared,
    started: Instant,
    restarted: OnceLock<Instant>,
    /// The first result after the restart, in microseconds from then.
    recovered_us: AtomicU64,
}

pub(super) async fn show(scene: &mut Scene) -> Result<(Part, bool), Failure> {
    heading("3. The server is killed and restarted under load")?;
    print(SCRIPT)?;
    let tune = |socket: hookwire::config::UnixSocketBuilder| {
        socket.max_connections(32).max_backoff(Duration::from_millis(250))
    };
    let load = Arc::new(Load {
        handle: scene.connect(ECHO, tune).await?,
        results: Shared::new()?,
        started: Instant::now(),
        restarted: OnceLock::new(),
        recovered_us: AtomicU64::new(u64::MAX),
    });
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(run_task(Arc::clone(&load), task));
    }
    tokio::try_join!(direct(scene, &load), draw(&load))?;
    while tasks.join_next().await.is_some() {}

    let (elapsed, tally) = (load.started.elapsed(), load.results.sum()?);
    let recovered = load.recovered_us.load(Relaxed);
    explain(&tally, recovered)?;
    let reconnects = load.handle.stats().reconnects;
    Ok((Part { tally, elapsed: Some(elapsed), reconnects }, recovered != u64::MAX))
}

async fn run_task(load: Arc<Load>, task: usize) {
    // The tasks do not march in step.
    sleep(PAUSE.mul_f64(fastrand::f64())).await;
    let mut number = 0;
    while load.started.elapsed() < LASTS {
        let ended = marked_call(&load.handle, &format!("outage-{task}-{number}"), WORK_MS).await;
        ended.count(task, &load.results);
        if let (Ok(_), Some(restarted)) = (&ended.outcome, load.restarted.get()) {
            let after = u64::try_from(restarted.elapsed().as_micros()).unwrap_or(u64::MAX);
            load.recovered_us.fetch_min(after, Relaxed);
        }
        number += 1;
        sleep(PAUSE).await;
    }
}

/// Kills and restarts.
async fn direct(scene: &mut Scene, load: &Load) -> Result<(), Failure> {
    sleep_until((load.started + KILL_AT).into()).await;
    print("          ---- the server is killed ----")?;
    scene.kill().await;
    sleep_until((load.started + RESTART_AT).into()).await;
    print("          ---- a new server starts ----")?;
    scene.start().await?;
    // Set once, here.
    let _ = load.restarted.set(Instant::now());
    Ok(())
}

/// A line for each step: what ended in it.
async fn draw(load: &Load) -> Result<(), Failure> {
    print("    time    results  failed")?;
    let mut steps = interval(STEP);
    steps.tick().await;
    let (mut done_before, mut failed_before) = (0, 0);
    let mut at = Duration::ZERO;
    while at < LASTS {
        steps.tick().await;
        at += STEP;
        let (done, failed) = load.results.progress();
        let failures = failed - failed_before;
        let results = (done - done_before).saturating_sub(failures);
        (done_before, failed_before) = (done, failed);
        let at = at.as_secs_f64();
        print(format_args!("  {at:>5.2} s  {results:>8}  {failures:>6}"))?;
    }
    Ok(())
}

fn explain(tally: &Tally, recovered_us: u64) -> Result<(), Failure> {
    let recovery = match recovered_us {
        u64::MAX => "Not back: no call succeeded after the restart.".to_owned(),
        us => format!("First result {} after the restart.", text::time(us as f64 * 1000.0)),
    };
    let [sent, unsent] = [tally.sent, tally.unsent].map(text::count);
    print(format_args!(
        "
  failed, sent:   {sent:>6}  The server had them when it died. Their hooks may have
                          run, so hookwire does not send them again by itself.
  failed, unsent: {unsent:>6}  The server was down, and known to be after 3 attempts.
                          Their hooks did not run: calling again is safe.
  All other calls got their own reply. {recovery}"
    ))
}
