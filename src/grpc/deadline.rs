//! When a call's time is over, for callers inside a runtime and outside of any.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::alarm::Alarm;

/// How often the connection is given a turn before a call is judged late: what has come by
/// then is in time, though a process that was stopped finds its timers over first.
const LAST_LOOKS: usize = 3;

/// A point in time.
pub(crate) enum Deadline {
    Timer(Pin<Box<Sleep>>),
    /// Where no runtime keeps the time.
    Alarm(Alarm),
}

/// It came first.
#[derive(Debug, PartialEq)]
pub(crate) struct Over;

impl Deadline {
    pub(crate) fn new(at: Instant) -> Self {
        match Handle::try_current() {
            Ok(_) => Self::Timer(Box::pin(sleep_until(at))),
            Err(_) => Self::Alarm(Alarm::new(at.into_std())),
        }
    }

    /// What `work` gives, if it is done before.
    pub(crate) async fn limit<F: Future>(&mut self, work: F) -> Result<F::Output, Over> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            output = &mut work => return Ok(output),
            () = self => {}
        }
        for _ in 0..LAST_LOOKS {
            yield_now().await;
            if let Some(output) = work.as_mut().now_or_never() {
                return Ok(output);
            }
        }
        Err(Over)
    }
}

impl Future for &mut Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut **self {
            Deadline::Timer(sleep) => sleep.as_mut().poll(cx),
            Deadline::Alarm(alarm) => Pin::new(alarm).poll(cx),
        }
    }
}
