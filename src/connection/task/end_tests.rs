//! The end of a connection while callers queue their calls, on real threads: what
//! is explored step by step in `connection/handover_tests.rs`, with the real queue.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use super::*;
use crate::config::{CallPolicy, UnixSocketConfig};
use crate::connection::message::{Answer, Freedom, Place, Responder};
use crate::connection::shared::Shared;
use crate::connection::transport::Connecting;

/// Never gets anywhere.
struct Nowhere;

impl Connector for Nowhere {
    type Transport = tokio::io::DuplexStream;

    fn connect(&mut self) -> Connecting<Self::Transport> {
        Box::pin(pending())
    }
}

/// Queues calls until the queue is closed: their answers, which nobody awaits.
fn call_until_closed(
    requests: &mpsc::Sender<Request>,
    begun: &AtomicBool,
) -> Vec<Receiver<Answer>> {
    let mut answers = Vec::new();
    loop {
        let (responder, answer) = Responder::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let request = Request { frame: vec![0; 4], deadline, freedom: Freedom::Stay, responder };
        match requests.try_send(request) {
            Ok(()) => answers.push(answer),
            Err(mpsc::error::TrySendError::Full(_)) => std::thread::yield_now(),
            Err(mpsc::error::TrySendError::Closed(_)) => return answers,
        }
        begun.store(true, SeqCst);
    }
}

/// The channel's sender lives on in the pool: what were left in the channel would
/// not even be dropped.
#[test]
fn no_call_that_was_queued_is_left_unanswered_when_the_runtime_goes_away_under_it() {
    let config = UnixSocketConfig::builder("/nowhere").max_connections(1).build().unwrap();
    let policy = CallPolicy::builder().build().unwrap();
    for _ in 0..300 {
        let shared = Arc::new(Shared::new("P".into(), &config, &policy));
        let (requests, received) = mpsc::channel(4096);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(Task::new(Arc::clone(&shared), 0, Nowhere, received));
            tokio::task::yield_now().await;
        });
        let begun = AtomicBool::new(false);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let callers: Vec<_> =
                (0..2).map(|_| scope.spawn(|| call_until_closed(&requests, &begun))).collect();
            while !begun.load(SeqCst) {
                std::thread::yield_now();
            }
            drop(runtime);
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        for mut answer in answers {
            assert!(!matches!(answer.try_recv(), Err(TryRecvError::Empty)), "never answered");
        }
    }
}

/// It is in nobody's queue then, and would find the queues closed.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_calls_that_are_on_the_move_from_one_connection_to_another() {
    let config = UnixSocketConfig::builder("/run/nowhere.sock").build().unwrap();
    let policy = CallPolicy::builder().build().unwrap();
    let shared = Arc::new(Shared::new("P".into(), &config, &policy));
    let (_requests, queue) = mpsc::channel(1);
    let task = tokio::spawn(Task::new(Arc::clone(&shared), 0, Nowhere, queue));
    let place = Place::new(&shared);
    tokio::task::yield_now().await;
    shared.stop(Instant::now() + Duration::from_secs(60));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!task.is_finished());
    drop(place);
    let started = Instant::now();
    task.await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}
