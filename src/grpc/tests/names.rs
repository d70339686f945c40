//! Servers that are found by name, and found elsewhere later.

use std::io;
use std::sync::Mutex;

use super::fake::{Do, Mode};
use super::*;
use crate::breaker::BreakerState;
use crate::grpc::settings::{Finding, Names, Servers};
use crate::unix::reconnect::ConnectionState;

const SECOND: Duration = Duration::from_secs(1);

/// What a name leads to: these of the servers, or none.
#[derive(Default)]
struct Directory {
    entries: Mutex<Option<Vec<Remote>>>,
    found: std::sync::atomic::AtomicUsize,
}

impl Names for Directory {
    fn find(&self) -> Finding {
        self.found.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let entries = self.entries.lock().unwrap().clone();
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "the name is unknown");
        Box::pin(async move { entries.ok_or_else(unknown) })
    }
}

impl Directory {
    fn leads_to(&self, bench: &Bench, servers: &[usize]) {
        let remotes = servers.iter().map(|&index| remote(index, &bench.servers[index]));
        *self.entries.lock().unwrap() = Some(remotes.collect());
    }

    fn lookups(&self) -> usize {
        self.found.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// Three servers that are there, under a name that leads nowhere yet.
fn named() -> (Bench, Arc<Directory>) {
    let directory = Arc::new(Directory::default());
    let names = Servers::Named(Arc::clone(&directory) as _);
    let servers = (0..3).map(|_| Fake::new()).collect();
    (Bench::over(servers, |_| names, Settings::default()), directory)
}

async fn spread(bench: &mut Bench) -> Vec<bool> {
    bench.servers.iter_mut().for_each(|server| {
        server.calls();
    });
    for _ in 0..100 {
        bench.call("a").await.unwrap();
    }
    bench.servers.iter_mut().map(|server| server.calls() > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn every_address_of_a_name_is_a_server() {
    let (mut bench, directory) = named();
    directory.leads_to(&bench, &[0, 2]);
    bench.call("a").await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(spread(&mut bench).await, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_nowhere_is_a_plugin_that_is_down_until_it_does() {
    let (mut bench, directory) = named();
    let (cause, sent) = bench.failure("a").await;
    let words = "cannot connect (3 attempts in a row failed): the name is unknown";
    assert_eq!((cause.to_string().as_str(), sent), (words, Sent::No));
    assert_eq!(bench.plugin.state(), ConnectionState::TransientFailure);
    directory.leads_to(&bench, &[1]);
    let mut state = bench.plugin.watch_state();
    state.wait_for(|state| *state == ConnectionState::Ready).await.unwrap();
    assert_eq!(spread(&mut bench).await, [false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_again_and_leads_elsewhere() {
    let (mut bench, directory) = named();
    directory.leads_to(&bench, &[0, 1]);
    bench.call("a").await.unwrap();
    tokio::time::sleep(SECOND).await;
    // What is under way on a server that is found no more goes on.
    bench.servers[0].does(Do::Stall);
    bench.servers[1].does(Do::Stall);
    let stalls: Vec<_> = (0..2).map(|_| bench.begin(hook("a", SECOND * 60))).collect();
    settle().await;
    directory.leads_to(&bench, &[1, 2]);
    tokio::time::sleep(SECOND * 40).await;
    bench.servers.iter().for_each(|server| server.does(Do::Echo));
    assert!(stalls.iter().all(|call| !call.is_finished()));
    stalls.iter().for_each(JoinHandle::abort);
    settle().await;
    assert_eq!(spread(&mut bench).await, [false, true, true]);
    directory.leads_to(&bench, &[0]);
    tokio::time::sleep(SECOND * 40).await;
    assert_eq!(spread(&mut bench).await, [true, false, false]);
    // Places are used again.
    assert!(bench.plugin.shared().lock().members.len() <= 3);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_left_on_a_server_say_nothing_of_the_one_in_its_place() {
    let (mut bench, directory) = named();
    directory.leads_to(&bench, &[0]);
    bench.call("a").await.unwrap();
    bench.servers[0].does(Do::Stall);
    let left: Vec<_> = (0..8).map(|_| bench.begin(hook("a", SECOND * 100))).collect();
    settle().await;
    for next in [1, 2] {
        directory.leads_to(&bench, &[next]);
        tokio::time::sleep(SECOND * 40).await;
    }
    assert_eq!(&*bench.plugin.shared().server(0).remote.name, "server 2");
    for call in left {
        let (cause, _) = failed(call.await.unwrap());
        assert!(matches!(cause, Cause::Timeout { .. }), "{cause}");
    }
    assert_eq!(bench.gate.state(), BreakerState::Closed);
    assert_eq!(bench.plugin.shared().lock().admission.standing(0).failures, 0);
    assert_eq!(spread(&mut bench).await, [false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn what_was_found_stays_true_while_a_name_cannot_be_looked_up() {
    let (mut bench, directory) = named();
    directory.leads_to(&bench, &[0, 1]);
    bench.call("a").await.unwrap();
    *directory.entries.lock().unwrap() = None;
    tokio::time::sleep(SECOND * 100).await;
    assert!(directory.lookups() > 2);
    assert_eq!(spread(&mut bench).await, [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_reached_is_an_occasion_to_look_its_name_up() {
    let (mut bench, directory) = named();
    directory.leads_to(&bench, &[0]);
    bench.call("a").await.unwrap();
    tokio::time::sleep(SECOND * 5).await;
    directory.leads_to(&bench, &[1]);
    bench.servers[0].is(Mode::Down);
    let started = Instant::now();
    settle().await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(spread(&mut bench).await, [false, true, false]);
    assert!(started.elapsed() < SECOND * 2);
    // And not without end.
    let before = directory.lookups();
    tokio::time::sleep(SECOND * 60).await;
    assert!(directory.lookups() <= before + 3);
}
