use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// How many of the next resends are allowed.
fn allowed(window: &mut Window, second: u64, calls: u64) -> u64 {
    (0..).take_while(|_| window.take(second, calls)).count() as u64
}

#[test]
fn without_calls_the_reserve_of_ten_per_second_is_left() {
    let mut window = Window::new(20);
    assert_eq!(allowed(&mut window, 0, 0), 100);
    assert_eq!(allowed(&mut window, 10, 0), 0, "they may be less than ten seconds old");
    assert_eq!(allowed(&mut window, 11, 0), 100);
}

#[test]
fn a_fifth_of_the_calls_of_the_last_ten_seconds_may_be_sent_again() {
    let mut window = Window::new(20);
    for second in 1..=100 {
        window.observe(second, second * 1000);
    }
    assert_eq!(allowed(&mut window, 100, 100_000), 100 + 9_000 / 5);
    assert_eq!(allowed(&mut window, 100, 100_000), 0);
    // Most of the calls are long ago now.
    assert_eq!(allowed(&mut window, 112, 100_000), 100);
}

#[test]
fn with_0_percent_only_the_reserve_is_left() {
    let mut window = Window::new(0);
    window.observe(0, 1_000_000);
    assert_eq!(allowed(&mut window, 0, 2_000_000), 100);
}

/// Nobody may have looked for a while. Then it is not known when the calls were made,
/// and they must not count for longer than they might.
#[test]
fn calls_that_nobody_observed_count_from_the_earliest_moment_they_can_be_of() {
    let mut window = Window::new(20);
    window.observe(5, 0);
    assert_eq!(allowed(&mut window, 14, 1_000), 300);
    let mut window = Window::new(20);
    window.observe(5, 0);
    assert_eq!(allowed(&mut window, 15, 1_000), 100);
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_of_the_plugins_own_time() {
    let budget = RetryBudget::new(20);
    let take = || (0..).take_while(|_| budget.take(Instant::now(), 0)).count();
    assert_eq!((take(), take()), (100, 0));
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(take(), 100);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Calls(u64),
    /// As a call that may be sent again does when it begins.
    Observe,
    Resends(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..2_000).prop_map(Step::Calls),
        Just(Step::Observe),
        (0_u64..400).prop_map(Step::Resends),
    ]
}

proptest! {
    /// The model knows when every call was made and every resend allowed, to the
    /// millisecond: in no ten seconds are there more resends than promised.
    // Promise: B7
    #[test]
    fn in_no_ten_seconds_are_more_calls_sent_again_than_promised(
        percent in 0_u32..=100,
        steps in proptest::collection::vec((any_step(), 0_u64..3_000), 0..80),
    ) {
        let mut window = Window::new(percent);
        let (mut now, mut total) = (0_u64, 0_u64);
        let (mut calls, mut resends) = (Vec::new(), Vec::new());
        for (step, wait) in steps {
            now += wait;
            match step {
                Step::Calls(count) => {
                    total += count;
                    calls.push((now, count));
                }
                Step::Observe => window.observe(now / 1000, total),
                Step::Resends(count) => {
                    for _ in 0..count {
                        if window.take(now / 1000, total) {
                            resends.push((now, 1));
                        }
                    }
                }
            }
            let recent = |of: &[(u64, u64)]| -> u64 {
                of.iter().filter(|(at, _)| at + 10_000 > now).map(|(_, count)| count).sum()
            };
            let promised = recent(&calls) * u64::from(percent) / 100 + 100;
            if matches!(step, Step::Resends(_)) && resends.last().is_some_and(|last| last.0 == now) {
                prop_assert!(recent(&resends) <= promised);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_observed_tells_when_calls_were_made() {
    let budget = RetryBudget::new(20);
    tokio::time::advance(Duration::from_secs(5)).await;
    budget.observe(Instant::now(), 0);
    tokio::time::advance(Duration::from_secs(9)).await;
    let taken = (0..).take_while(|_| budget.take(Instant::now(), 1_000)).count();
    assert_eq!(taken, 100 + 1_000 / 5);
}
