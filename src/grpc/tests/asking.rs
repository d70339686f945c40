//! Whether a server that may be another one is asked about the plugin.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::mpsc;

use super::fake::{Do, Mode};
use super::*;
use crate::unix::listening::{Heard, Listener};
use crate::unix::reconnect::ConnectionState;

const GET: &str = "/cpex.PluginService/GetPluginConfig";

/// Hears that what it knows is stale, and what was answered.
struct Ear {
    stale: AtomicBool,
    answers: mpsc::UnboundedSender<Vec<u8>>,
    hears: Mutex<Heard>,
}

impl Listener for Ear {
    fn answer(&self, message: &[u8]) -> Heard {
        self.stale.store(false, SeqCst);
        self.answers.send(message.to_vec()).unwrap();
        *self.hears.lock().unwrap()
    }

    fn stale(&self) {
        self.stale.store(true, SeqCst);
    }
}

/// Somebody who has asked, and been answered, over the connection that is there.
async fn listening(bench: &mut Bench) -> (Arc<Ear>, mpsc::UnboundedReceiver<Vec<u8>>) {
    let reply = bench.plugin.exchange(outbound(Method::GetConfig, b"P", TIMEOUT)).await.unwrap();
    let (sender, answers) = mpsc::unbounded_channel();
    let ear = Arc::new(Ear {
        stale: AtomicBool::new(false),
        answers: sender,
        hears: Mutex::new(Heard::Understood),
    });
    let listener = Arc::clone(&ear);
    bench.plugin.listen(listener, Heard::Understood, Some(reply.origin));
    settle().await;
    bench.one().calls();
    (ear, answers)
}

async fn replaced(bench: &mut Bench) {
    bench.one().is(Mode::Down);
    let mut state = bench.plugin.watch_state();
    state.wait_for(|state| *state != ConnectionState::Ready).await.unwrap();
    bench.one().is(Mode::Up);
}

// Promise: H30
#[tokio::test(start_paused = true)]
async fn a_server_is_asked_again_after_a_reconnect_and_only_then() {
    let mut bench = Bench::new(1);
    let (ear, mut answers) = listening(&mut bench).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bench.one().calls(), 0);
    replaced(&mut bench).await;
    assert_eq!(bench.one().called().await, GET);
    assert!(!answers.recv().await.unwrap().is_empty());
    assert!(!ear.stale.load(SeqCst));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bench.one().calls(), 0);
}

// Promise: H30
#[tokio::test(start_paused = true)]
async fn what_is_known_is_stale_until_the_new_server_has_answered() {
    let mut bench = Bench::new(1);
    let (ear, mut answers) = listening(&mut bench).await;
    bench.one().next(Do::Status(14, "not yet"));
    replaced(&mut bench).await;
    assert_eq!(bench.one().called().await, GET);
    settle().await;
    assert!(ear.stale.load(SeqCst));
    // It is asked until it answers.
    answers.recv().await.unwrap();
    assert!(!ear.stale.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_server_that_is_gone_is_asked_for_again() {
    let mut bench = Bench::new(1);
    let reply = bench.plugin.exchange(outbound(Method::GetConfig, b"P", TIMEOUT)).await.unwrap();
    replaced(&mut bench).await;
    bench.call("a").await.unwrap();
    bench.one().calls();
    let (sender, mut answers) = mpsc::unbounded_channel();
    let hears = Mutex::new(Heard::Understood);
    let ear = Ear { stale: AtomicBool::new(false), answers: sender, hears };
    bench.plugin.listen(Arc::new(ear), Heard::Understood, Some(reply.origin));
    answers.recv().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_server_that_is_gone_is_asked_for_where_one_is_left() {
    let mut bench = Bench::new(2);
    let reply = bench.plugin.exchange(outbound(Method::GetConfig, b"P", TIMEOUT)).await.unwrap();
    let (gone, left) = (reply.origin.slot, 1 - reply.origin.slot);
    for server in [gone, left] {
        while bench.plugin.shared().server(server).state() != ConnectionState::Ready {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    bench.servers[gone].is(Mode::Down);
    settle().await;
    let (sender, mut answers) = mpsc::unbounded_channel();
    let hears = Mutex::new(Heard::Understood);
    let ear = Arc::new(Ear { stale: AtomicBool::new(false), answers: sender, hears });
    bench.plugin.listen(Arc::clone(&ear) as _, Heard::Understood, Some(reply.origin));
    bench.servers[left].calls();
    answers.recv().await.unwrap();
    settle().await;
    assert_eq!(bench.servers[left].calls(), 1);
    assert!(!ear.stale.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_may_not_be_called_is_looked_at_again() {
    let mut bench = Bench::new(1);
    let (ear, mut answers) = listening(&mut bench).await;
    *ear.hears.lock().unwrap() = Heard::Barred;
    replaced(&mut bench).await;
    answers.recv().await.unwrap();
    let started = Instant::now();
    answers.recv().await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(30));
}

// Promise: H30
#[tokio::test(start_paused = true)]
async fn each_server_that_comes_back_is_asked() {
    let mut bench = Bench::new(2);
    let (_ear, mut answers) = listening(&mut bench).await;
    bench.servers.iter_mut().for_each(|server| {
        server.calls();
        server.is(Mode::Down);
    });
    let mut state = bench.plugin.watch_state();
    state.wait_for(|state| *state != ConnectionState::Ready).await.unwrap();
    bench.servers.iter().for_each(|server| server.is(Mode::Up));
    for _ in 0..2 {
        answers.recv().await.unwrap();
    }
    assert!(bench.servers.iter_mut().all(|server| server.calls() == 1));
}

/// It is asked when it is back; until then no call goes there.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_before_it_was_asked_makes_nothing_stale() {
    let mut bench = Bench::new(2);
    let (ear, mut answers) = listening(&mut bench).await;
    let mut state = bench.plugin.watch_state();
    bench.servers.iter().for_each(|server| server.is(Mode::Down));
    state.wait_for(|state| *state != ConnectionState::Ready).await.unwrap();
    bench.servers[0].next(Do::Stall);
    bench.servers[0].is(Mode::Up);
    state.wait_for(|state| *state == ConnectionState::Ready).await.unwrap();
    settle().await;
    bench.servers[1].is(Mode::Up);
    while bench.plugin.shared().server(1).state() != ConnectionState::Ready {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bench.servers[1].is(Mode::Down);
    settle().await;
    answers.recv().await.unwrap();
    settle().await;
    assert!(!ear.stale.load(SeqCst));
    bench.servers[1].calls();
    bench.servers[1].is(Mode::Up);
    answers.recv().await.unwrap();
    assert_eq!(bench.servers[1].calls(), 1);
}

// Promise: H21, H30
#[tokio::test(start_paused = true)]
async fn questions_say_nothing_of_the_plugins_health() {
    let mut bench = Bench::new(1);
    bench.one().does(Do::Status(14, "no"));
    for _ in 0..20 {
        let question = outbound(Method::GetConfig, b"P", TIMEOUT);
        bench.plugin.exchange(question).await.unwrap_err();
    }
    assert_eq!(bench.plugin.shared().lock().admission.standing(0).failures, 0);
}
