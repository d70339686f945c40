use proptest::prelude::*;

use super::*;

const IDLE: Standing = Standing { limit: 10, load: 0, failures: 0, ejected: false, crowded: false };

fn first(_: usize) -> usize {
    0
}

#[test]
fn the_server_with_the_least_load_takes_the_call() {
    let servers = [Standing { load: 3, ..IDLE }, Standing { load: 1, ..IDLE }, IDLE];
    assert_eq!(choose(&servers, first), Some(2));
}

#[test]
fn a_failure_counts_as_a_call_under_way() {
    let servers = [Standing { failures: 2, ..IDLE }, Standing { load: 1, ..IDLE }];
    assert_eq!(choose(&servers, first), Some(1));
}

#[test]
fn an_ejected_server_takes_no_call_while_another_is_there_though_that_one_is_full() {
    let full = Standing { load: 10, ..IDLE };
    let ejected = Standing { ejected: true, ..IDLE };
    assert_eq!(choose(&[ejected, full], first), None);
}

#[test]
fn where_all_are_ejected_none_is() {
    let ejected = Standing { ejected: true, ..IDLE };
    let gone = Standing { limit: 0, ..IDLE };
    assert!(choose(&[ejected, gone, ejected], first).is_some());
}

#[test]
fn of_equals_each_has_its_turn() {
    let mut seen = [0; 3];
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..300 {
        seen[choose(&[IDLE; 3], |below| random.usize(..below)).unwrap()] += 1;
    }
    assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
}

#[test]
fn of_many_servers_the_better_of_two_takes_the_call() {
    let mut servers = [IDLE; 20];
    servers[4].load = 5;
    let two = |one: usize, other: usize| {
        let mut drawn = [one, other].into_iter();
        choose(&servers, |_| drawn.next().unwrap())
    };
    assert_eq!(two(4, 7), Some(7));
    assert_eq!(two(7, 4), Some(7));
    assert_eq!(two(4, 4), Some(4));
}

fn standing() -> impl Strategy<Value = Standing> {
    let limit = prop_oneof![Just(0), 1..20_usize];
    let rest = (0..20_usize, 0..9_usize, any::<bool>(), any::<bool>());
    (limit, rest).prop_map(|(limit, (load, failures, ejected, crowded))| Standing {
        limit,
        load,
        failures,
        ejected,
        crowded,
    })
}

proptest! {
    /// The rule in other words, and without a draw.
    #[test]
    fn whoever_is_chosen_may_take_it_and_somebody_is_if_anybody_may(
        servers in prop::collection::vec(standing(), 1..30), seed in any::<u64>(),
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let chosen = choose(&servers, |below| random.usize(..below));
        let good = servers.iter().any(|server| server.limit > 0 && !server.ejected);
        let may = |server: &Standing| {
            server.load < server.limit && !server.crowded && !(good && server.ejected)
        };
        prop_assert_eq!(chosen.is_some(), servers.iter().any(may));
        if let Some(chosen) = chosen {
            prop_assert!(may(&servers[chosen]));
            let cost = |server: &Standing| server.load + server.failures;
            let least = servers.iter().filter(|server| may(server)).map(cost).min().unwrap();
            prop_assert!(servers.len() > FEW || cost(&servers[chosen]) == least);
        }
    }
}
