//! Which connection takes a call, beside the module's rules in plain words.

use proptest::prelude::*;

use super::*;
use ConnectionState::{Connecting, Idle, Ready, Shutdown, TransientFailure};

/// What a connection shows.
#[derive(Debug, Clone, Copy)]
struct Shown {
    state: ConnectionState,
    stalled: bool,
    failing: bool,
    load: usize,
}

impl Shown {
    fn gauge(self) -> Gauge {
        let gauge = Gauge::default();
        gauge.set_state(self.state);
        gauge.set_stalled(self.stalled);
        gauge.set_failing(self.failing);
        (0..self.load).for_each(|_| gauge.add_load());
        gauge
    }

    fn is_open(self) -> bool {
        self.state == Ready && !self.stalled
    }

    /// Calls can wait there: it opens by itself.
    fn is_opening(self) -> bool {
        matches!(self.state, Idle | Connecting) && !self.failing
    }
}

/// The rules, one line each; `Shown` in the order of the connections.
fn rules(shown: &[Shown], may_open: bool) -> usize {
    let first = |is: &dyn Fn(&Shown) -> bool| shown.iter().position(is);
    let least = |is: &dyn Fn(&Shown) -> bool| {
        let some = shown.iter().enumerate().filter(|(_, shown)| is(shown));
        some.min_by_key(|(_, shown)| shown.load).map(|(index, _)| index)
    };
    if !shown.iter().any(|shown| shown.state == Ready) {
        return 0;
    }
    first(&|shown| shown.is_open() && shown.load == 0)
        .or_else(|| first(&|shown| may_open && shown.state == Idle && shown.load == 0))
        .or_else(|| least(&|shown| shown.is_open() || (may_open && shown.is_opening())))
        .or_else(|| least(&|shown| shown.state == Ready))
        .unwrap_or(0)
}

fn any_shown() -> impl Strategy<Value = Shown> {
    let state = prop_oneof![
        3 => Just(Ready),
        2 => Just(Idle),
        1 => Just(Connecting),
        1 => Just(TransientFailure),
        1 => Just(Shutdown),
    ];
    // Few different loads, so that some are equal.
    (state, any::<bool>(), any::<bool>(), 0_usize..4)
        .prop_map(|(state, stalled, failing, load)| Shown { state, stalled, failing, load })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn the_connection_that_the_rules_name_is_taken_and_counted_once(
        shown in proptest::collection::vec(any_shown(), 1..6), may_open: bool,
    ) {
        let gauges: Vec<Gauge> = shown.iter().map(|shown| shown.gauge()).collect();
        let chosen = Pool::choose_among(&gauges, may_open);
        prop_assert_eq!(chosen, rules(&shown, may_open));
        let loads: Vec<usize> = gauges.iter().map(Gauge::load).collect();
        let counted: Vec<usize> = shown
            .iter()
            .enumerate()
            .map(|(index, shown)| shown.load + usize::from(index == chosen))
            .collect();
        prop_assert_eq!(loads, counted);
    }

    #[test]
    fn no_call_goes_behind_an_overdue_reply_or_to_a_plugin_that_is_down_if_it_can_go_elsewhere(
        shown in proptest::collection::vec(any_shown(), 1..6), may_open: bool,
    ) {
        let gauges: Vec<Gauge> = shown.iter().map(|shown| shown.gauge()).collect();
        let chosen = shown[Pool::choose_among(&gauges, may_open)];
        if shown.iter().any(|shown| shown.is_open()) {
            let opening = may_open && matches!(chosen.state, Idle | Connecting);
            prop_assert!(chosen.is_open() || opening, "{:?}", chosen);
        }
    }

    /// Whoever calls while a connection is free is alone on it.
    #[test]
    fn calls_spread_over_what_is_free_before_any_two_share(
        shown in proptest::collection::vec(any_shown(), 1..6),
    ) {
        let gauges: Vec<Gauge> = shown.iter().map(|shown| shown.gauge()).collect();
        let free = shown.iter().filter(|shown| shown.is_open() && shown.load == 0).count();
        let chosen: std::collections::BTreeSet<usize> =
            (0..free).map(|_| Pool::choose_among(&gauges, true)).collect();
        prop_assert_eq!(chosen.len(), free);
    }
}
