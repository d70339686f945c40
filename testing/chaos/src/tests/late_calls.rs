//! Which calls are late, and whom the machine excuses.

use super::*;
use crate::lateness::ALLOWED;
use crate::starved::{grown, waited};
use crate::waits::Waits;

#[tokio::test(start_paused = true)]
async fn a_call_that_is_late_on_an_idle_machine_is_hung() {
    let late = |late| lied_to(Lie::LateBy(late), marker_with(0, ALLOW));
    let (_, bench) = late(ALLOWED + Duration::from_millis(20)).await;
    let settled = bench.lateness.settle();
    assert_eq!((settled.hung, settled.explained), (1, 0), "{settled:?}");
    let (_, bench) = late(ALLOWED / 2).await;
    assert_eq!(bench.lateness.settle().hung, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_excused_by_who_was_as_late_at_the_same_time_and_by_nobody_else() {
    let lateness = Lateness::new();
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    lateness.call(at(1_000), at(1_200));
    lateness.woken(at(1_050), at(1_150));
    // As late, but before; and at the same time, but not as late.
    lateness.call(at(3_000), at(3_200));
    lateness.woken(at(2_000), at(2_200));
    lateness.woken(at(3_050), at(3_110));
    sleep(Duration::from_secs(6)).await;
    let late = lateness.settle();
    assert_eq!((late.explained, late.hung), (1, 1), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_call_is_excused_when_a_callers_thread_waited_for_a_processor_that_long() {
    let lateness = Lateness::new();
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    lateness.call(at(1_000), at(1_200));
    lateness.starved(Duration::from_millis(155), at(1_180));
    // Many short waits are as good as one.
    lateness.call(at(3_000), at(3_200));
    (0..20).for_each(|turn| lateness.starved(Duration::from_millis(8), at(3_010 + turn * 10)));
    sleep(Duration::from_secs(6)).await;
    let late = lateness.settle();
    assert_eq!((late.explained, late.hung), (2, 0), "{late:?}");
    assert_eq!(late.worst_starved, Duration::from_millis(160), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_call_is_hung_when_no_thread_waited_for_a_processor_or_not_as_long() {
    let lateness = Lateness::new();
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    lateness.call(at(1_000), at(1_200));
    lateness.starved(Duration::ZERO, at(1_100));
    lateness.call(at(3_000), at(3_200));
    lateness.starved(Duration::from_millis(140), at(3_190));
    sleep(Duration::from_secs(6)).await;
    let late = lateness.settle();
    assert_eq!((late.explained, late.hung), (0, 2), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_thread_waited_outside_of_a_calls_time_does_not_excuse_it() {
    let lateness = Lateness::new();
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    lateness.call(at(1_000), at(1_200));
    // Before it, partly before it, partly after it, and after it.
    lateness.starved(Duration::from_millis(300), at(900));
    lateness.starved(Duration::from_millis(90), at(1_050));
    lateness.starved(Duration::from_millis(190), at(1_350));
    lateness.starved(Duration::from_millis(300), at(1_900));
    sleep(Duration::from_secs(4)).await;
    let late = lateness.settle();
    assert_eq!((late.explained, late.hung), (0, 1), "{late:?}");
    assert_eq!(late.worst_starved, Duration::from_millis(90), "{late:?}");
}

#[test]
fn time_in_which_several_threads_waited_counts_once() {
    let (mut waits, began) = (Waits::default(), Instant::now());
    let at = |ms| began + Duration::from_millis(ms);
    for (waited, until) in [(10, 1_010), (30, 1_030), (25, 1_035)] {
        waits.note(Duration::from_millis(waited), at(until));
    }
    assert_eq!(waits.within(at(0), at(2_000)), Duration::from_millis(35));
}

#[test]
fn a_threads_wait_is_read_from_its_schedstat() {
    assert_eq!(waited("24704480 1977183 53\n"), Some(Duration::from_nanos(1_977_183)));
    for nonsense in ["", "24704480", "1 -2 3", "1 x 3"] {
        assert_eq!(waited(nonsense), None, "{nonsense:?}");
    }
}

#[test]
fn a_wait_grows_only_from_one_sight_of_the_same_thread_to_the_next() {
    let ms = Duration::from_millis;
    assert_eq!(grown(Some(ms(20)), ms(25)), ms(5));
    // Seen for the first time; and its number used again.
    assert_eq!(grown(None, ms(25)), Duration::ZERO);
    assert_eq!(grown(Some(ms(25)), ms(1)), Duration::ZERO);
}
