//! When a call's time is over, for callers on the plugin's runtime, on others, and on none.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::Either;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::alarm::Alarm;

/// How often the connection is given a turn before a call is judged late: what has come by
/// then is in time, though a process that was stopped finds its timers over first.
const LAST_LOOKS: usize = 8;

/// One that comes later than this was held up, with its process or its thread.
const HELD_UP: Duration = Duration::from_millis(10);

/// The most that is given for that.
const MOST_GIVEN: Duration = Duration::from_secs(1);

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

/// The same for a call that is under way, whose deadline is `at`. A process that was stopped finds
/// its timers over before it has read what lies in its sockets: of the time that it did not have,
/// the call is given as much again.
pub(crate) async fn limit_under_way<F: Future>(
    mut deadline: Pin<&mut Deadline>,
    at: Instant,
    work: F,
) -> Result<F::Output, Over> {
    let mut work = pin!(work);
    if let Ok(output) = limit(deadline.as_mut(), work.as_mut()).await {
        return Ok(output);
    }
    let missed = at.elapsed();
    if missed < HELD_UP {
        return Err(Over);
    }
    let keeps_time = matches!(*deadline, Either::Left(_));
    let given = Instant::now() + missed.min(MOST_GIVEN);
    limit(pin!(self::deadline(given, keeps_time)), work).await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{advance, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn outcome<F: Future>(held_up: Duration, work: F) -> (Result<F::Output, Over>, Duration) {
        let at = Instant::now() + SECOND;
        let time = pin!(deadline(at, true));
        if !held_up.is_zero() {
            advance(SECOND + held_up).await;
        }
        let begun = Instant::now();
        (limit_under_way(time, at, work).await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_over_at_its_deadline() {
        assert_eq!(outcome(Duration::ZERO, pending::<()>()).await, (Err(Over), SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_process_was_stopped_has_as_much_time_again_for_its_reply() {
        // From when it is first looked for.
        let reply = async { sleep(SECOND / 5).await };
        assert_eq!(outcome(SECOND / 4, reply).await, (Ok(()), SECOND / 5));
        assert_eq!(outcome(SECOND / 4, pending::<()>()).await, (Err(Over), SECOND / 4));
    }

    #[tokio::test(start_paused = true)]
    async fn however_long_a_process_was_stopped_its_calls_end_soon() {
        assert_eq!(outcome(3600 * SECOND, pending::<()>()).await, (Err(Over), MOST_GIVEN));
    }
}
