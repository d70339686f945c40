//! When a call's time is over, for callers on the plugin's runtime, on others, and on none.

use std::pin::{Pin, pin};

use futures::FutureExt as _;
use futures::future::Either;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::alarm::Alarm;

/// How often the connection is given a turn before a call is judged late: what has come by
/// then is in time, though a process that was stopped finds its timers over first.
const LAST_LOOKS: usize = 3;

/// A point in time; that of an alarm comes where no runtime is known to keep the time.
pub(crate) type Deadline = Either<Sleep, Alarm>;

/// It came first.
#[derive(Debug, PartialEq)]
pub(crate) struct Over;

/// `keeps_time`: the runtime that the caller is on has timers.
pub(crate) fn deadline(at: Instant, keeps_time: bool) -> Deadline {
    if keeps_time {
        Either::Left(sleep_until(at))
    } else {
        Either::Right(Alarm::new(at.into_std()))
    }
}

/// What `work` gives, if it is done before. After that the deadline is spent.
pub(crate) async fn limit<F: Future>(
    deadline: Pin<&mut Deadline>,
    work: F,
) -> Result<F::Output, Over> {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        output = &mut work => return Ok(output),
        () = deadline => {}
    }
    for _ in 0..LAST_LOOKS {
        yield_now().await;
        if let Some(output) = work.as_mut().now_or_never() {
            return Ok(output);
        }
    }
    Err(Over)
}
