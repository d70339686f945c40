//! The end of a plugin's tasks while callers hand over their calls, on real threads.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::oneshot::{Receiver, error::TryRecvError};
use tokio::time::Instant;

use crate::call::Caller;
use crate::config::{PluginConfig, UnixSocketConfig};
use crate::unix::connect::{Connect, Connecting, Transport};
use crate::unix::message::{Answer, Method, Request, Responder};
use crate::unix::plugin::UnixPlugin;
use crate::unix::reconnect::ConnectionState;

/// Connects to nothing, or to a pipe whose other end nobody reads.
struct Nowhere {
    opens: bool,
}

impl Connect for Nowhere {
    fn connect(&self) -> Connecting {
        let opens = self.opens;
        Box::pin(async move {
            if opens {
                let (near, far) = tokio::io::duplex(64);
                std::mem::forget(far);
                let transport: Box<dyn Transport> = Box::new(near);
                return Ok(transport);
            }
            pending().await
        })
    }
}

fn caller(opens: bool) -> Caller {
    let socket = UnixSocketConfig::builder("/nowhere").max_connections(2);
    let config = PluginConfig::builder("P").unix_socket(socket).build().unwrap();
    Caller::new(&config, Some(std::sync::Arc::new(Nowhere { opens })), None, None)
}

/// Hands calls over until one of them finds that the tasks are gone: their answers, which
/// nobody awaits.
fn call_until_gone(plugin: &UnixPlugin, begun: &AtomicBool) -> Vec<Receiver<Answer>> {
    let mut answers: Vec<Receiver<Answer>> = Vec::new();
    loop {
        let (responder, answer) = Responder::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let request =
            Request { method: Method::InvokeHook, frame: vec![0; 4], deadline, responder };
        if plugin.hand_over(request, true).is_ok() {
            answers.push(answer);
        }
        begun.store(true, SeqCst);
        if plugin.state() == ConnectionState::Shutdown {
            return answers;
        }
        std::thread::yield_now();
    }
}

/// Its socket's task, the supervisor and the callers meet in any order.
// Promise: M5, T3
#[test]
fn no_call_that_was_queued_is_left_unanswered_when_the_runtime_goes_away_under_it() {
    for round in 0..300 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let caller = {
            let _entered = runtime.enter();
            caller(round % 2 == 0)
        };
        let (first, mut first_answer) = Responder::new();
        runtime.block_on(async {
            let deadline = Instant::now() + Duration::from_secs(60);
            let request = Request {
                method: Method::InvokeHook,
                frame: vec![0; 4],
                deadline,
                responder: first,
            };
            caller.plugin.unix().hand_over(request, true).unwrap();
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
        let begun = AtomicBool::new(false);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| call_until_gone(caller.plugin.unix(), &begun)))
                .collect();
            while !begun.load(SeqCst) {
                std::thread::yield_now();
            }
            drop(runtime);
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        assert!(first_answer.try_recv().is_ok());
        for mut answer in answers {
            assert!(!matches!(answer.try_recv(), Err(TryRecvError::Empty)), "never answered");
        }
    }
}
