//! Reloads while requests run: none is lost, no hook runs twice, and counters go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hookwire::{PluginConfig, PluginStats};
use hookwire_gateway::{ChangeKind, Gateway};
use serde_json::json;

use crate::world::{Served, apply, in_time, run, start, status, until};

const CALLERS: usize = 64;
const RELOADS: u64 = 100;

/// One is kept, one changes with each second reload, one comes and goes, and one is down.
fn plugins(up: &Served, down: &Served, number: u64) -> Vec<PluginConfig> {
    let half = number / 2;
    let mut plugins = vec![
        up.entry("Kept", json!({})),
        up.entry("Changed", json!({"priority": 100 + half % 2})),
        down.entry("Down", json!({"on_error": "ignore", "priority": 100 + half % 3})),
    ];
    if half % 2 == 1 {
        plugins.push(up.entry("Guest", json!({})));
    }
    plugins
}

fn counters(stats: &PluginStats) -> [u64; 12] {
    [
        stats.calls,
        stats.ok,
        stats.refused,
        stats.timeouts,
        stats.other_failures,
        stats.config_answers,
        stats.breaker_opened,
        stats.reconnects,
        stats.bytes_sent,
        stats.bytes_received,
        stats.hooks.values().map(|hook| hook.allowed.count()).sum(),
        stats.hooks.values().map(|hook| hook.failed.count()).sum(),
    ]
}

/// Looks at the counters over and over; how often, and which one went back.
async fn sample(gateway: Gateway, over: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let mut before: BTreeMap<String, [u64; 12]> = BTreeMap::new();
    let (mut samples, mut went_back) = (0, Vec::new());
    while !over.load(Relaxed) {
        let now = gateway.stats();
        for (name, counted) in &before {
            let now = now.get(name).map_or([0; 12], counters);
            if counted.iter().zip(now).any(|(before, now)| now < *before) {
                went_back.push(format!("{name}: {counted:?} then {now:?}"));
            }
        }
        before.extend(now.iter().map(|(name, stats)| (name.clone(), counters(stats))));
        samples += 1;
        tokio::task::yield_now().await;
    }
    (samples, went_back)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_under_64_callers_lose_no_call_and_make_none_twice() {
    let up = Served::start(&["Kept", "Changed", "Guest"]).await;
    let down = Served::down();
    let gateway = start(plugins(&up, &down, 0)).await;
    let over = Arc::new(AtomicBool::new(false));
    let requests = Arc::new(AtomicU64::new(0));

    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (gateway, over) = (gateway.clone(), Arc::clone(&over));
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                let (mut guests, mut lost) = (0, Vec::new());
                for number in 0.. {
                    if over.load(Relaxed) {
                        break;
                    }
                    let ran = run(&gateway.chain(), &format!("{caller}-{number}"), "search").await;
                    let guest = status(&ran, "Guest");
                    let all = [status(&ran, "Kept"), status(&ran, "Changed"), status(&ran, "Down")];
                    if ran.is_err()
                        || all != ["completed", "completed", "error"]
                        || !["completed", "absent"].contains(&guest)
                    {
                        lost.push(format!("{all:?} {guest} {:?}", ran.err()));
                    }
                    guests += u64::from(guest == "completed");
                    requests.fetch_add(1, Relaxed);
                }
                (guests, lost)
            })
        })
        .collect();
    let sampler = tokio::spawn(sample(gateway.clone(), Arc::clone(&over)));

    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut done = BTreeMap::new();
    for number in 1..=RELOADS {
        // Each configuration has its requests.
        let enough = requests.load(Relaxed) + CALLERS as u64;
        until("requests", || requests.load(Relaxed) >= enough).await;
        let reload = Instant::now();
        let applied = apply(&gateway, plugins(&up, &down, number)).await;
        slowest = slowest.max(reload.elapsed());
        for change in applied.changes() {
            *done.entry((change.plugin.clone(), change.kind.as_str())).or_insert(0) += 1;
        }
        let equal = applied.count(ChangeKind::Kept) == applied.changes().len();
        assert_eq!(equal, number % 2 == 1, "each second one changes something: {applied:?}");
    }
    let took = began.elapsed();
    over.store(true, Relaxed);

    let (mut guests, mut lost) = (0, Vec::new());
    for caller in callers {
        let (seen, failed) = in_time("a caller", caller).await.unwrap();
        guests += seen;
        lost.extend(failed);
    }
    let (samples, went_back) = in_time("the sampler", sampler).await.unwrap();
    let requests = requests.load(Relaxed);
    let calls = up.calls.lock().unwrap().clone();
    let twice = calls.values().filter(|times| **times != 1).count();
    println!(
        "{RELOADS} reloads in {took:.1?} (slowest {slowest:.1?}) under {CALLERS} callers: \
         {requests} requests, {} lost, {} hooks run, {twice} twice, {samples} samples, \
         {} went back; {done:?}",
        lost.len(),
        calls.len(),
        went_back.len(),
    );
    assert_eq!(lost, [""; 0]);
    assert_eq!(twice, 0);
    assert_eq!(went_back, [""; 0]);
    assert_eq!((done[&("Kept".into(), "kept")], done[&("Changed".into(), "replaced")]), (100, 50));

    // All that ran was counted, over all handles; and all that was counted ran.
    let stats = gateway.stats();
    let ran = |plugin| calls.keys().filter(|(name, _)| *name == plugin).count() as u64;
    for plugin in ["Kept", "Changed"] {
        assert_eq!(
            (ran(plugin), stats[plugin].calls, stats[plugin].ok),
            (requests, requests, requests)
        );
    }
    assert_eq!((ran("Guest"), stats["Guest"].ok), (guests, guests));
    assert_eq!((stats["Down"].calls, stats["Down"].ok), (requests, 0));
}
