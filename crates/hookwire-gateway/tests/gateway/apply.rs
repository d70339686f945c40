//! How a configuration takes the place of another.

use hookwire::{BreakerState, ErrorKind, PluginHandle};
use hookwire_gateway::{ApplyError, Chain, ChainError, Gateway, HaltReason};
use serde_json::json;
use tokio::net::UnixListener;

use crate::world::{Served, apply, in_time, run, start, status, told, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_equal_is_kept_what_is_new_started_what_changed_replaced_what_is_gone_removed() {
    let served = Served::start(&["A", "B", "C", "D"]).await;
    let entry = |name| served.entry(name, json!({}));
    let gateway = start([entry("A"), entry("B"), entry("C")]).await;
    let connects = |name: &str| {
        let connections = gateway.stats()[name].connections.clone();
        connections.iter().map(|connection| connection.connects).sum::<u64>()
    };
    assert!(run(&gateway.chain(), "1", "search").await.is_ok());
    let before = connects("A");

    let changed = served.entry("B", json!({"priority": 1}));
    let applied = apply(&gateway, vec![entry("D"), changed, entry("A")]).await;
    assert_eq!(told(&applied), ["D started", "B replaced", "A kept", "C removed"]);
    let reports = |change: &hookwire_gateway::Change| change.connected.is_some();
    assert_eq!(
        applied.changes().iter().map(reports).collect::<Vec<_>>(),
        [true, true, false, false]
    );
    assert_eq!(gateway.chain().names(), ["D", "B", "A"]);
    let names: Vec<_> = gateway.handles().iter().map(|handle| handle.name().to_owned()).collect();
    assert_eq!(names, ["D", "B", "A"]);
    assert!(run(&gateway.chain(), "2", "search").await.is_ok());
    assert_eq!(connects("A"), before, "it was not connected anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_chain_asks_in_the_order_of_the_new_file() {
    let served = Served::start(&["A", "B"]).await;
    let entry = |name| served.entry(name, json!({}));
    let gateway = start([entry("A"), entry("B")]).await;
    assert_eq!(status(&run(&gateway.chain(), "1", "shell").await, "B"), "skipped");
    let applied = apply(&gateway, vec![entry("B"), entry("A")]).await;
    assert_eq!(told(&applied), ["B kept", "A kept"]);
    assert_eq!(status(&run(&gateway.chain(), "2", "shell").await, "A"), "skipped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_is_refused_leaves_the_running_one_as_it_is() {
    let served = Served::start(&["A", "B"]).await;
    let entry = |name| served.entry(name, json!({}));
    let gateway = start([entry("A")]).await;
    let twice = vec![entry("B"), entry("A"), entry("B")];
    let refused = in_time("a reload", gateway.apply(twice)).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Chain(ChainError::Duplicate(name)) if name == "B"));
    let misspelt = served.entry("B", json!({"conditions": [{"tool": ["x"]}]}));
    let refused = in_time("a reload", gateway.apply(vec![misspelt])).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Chain(ChainError::Conditions(name, _)) if name == "B"));

    assert_eq!(gateway.chain().names(), ["A"]);
    assert!(run(&gateway.chain(), "1", "search").await.is_ok());
    assert!(!gateway.stats().contains_key("B"), "it was never started");
    let reloads = gateway.reload_stats();
    assert_eq!((reloads.applied, reloads.failed, reloads.up_to_date), (1, 2, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_whose_server_is_down_is_taken_in_and_asked_once_it_is_there() {
    let up = Served::start(&["A"]).await;
    let mut down = Served::down();
    let gateway = start([up.entry("A", json!({}))]).await;
    let both = vec![up.entry("A", json!({})), down.entry("B", json!({}))];
    let applied = apply(&gateway, both).await;
    assert_eq!(told(&applied), ["A kept", "B started"]);
    let report = applied.changes()[1].connected.as_ref().unwrap();
    assert!(report.pending && report.outcome.is_err());
    assert!(applied.changes()[1].to_string().contains("tried again until it is there"));
    let halted = run(&gateway.chain(), "1", "search").await.unwrap_err();
    assert!(matches!(halted.reason(), HaltReason::Failed(error) if error.plugin() == "B"));

    down.serve(&["B"]).await;
    until("its return", || gateway.handles()[1].is_checked()).await;
    assert!(run(&gateway.chain(), "2", "search").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_cannot_be_used_is_taken_in_and_stops_what_it_should_guard() {
    let served = Served::start(&["guard"]).await;
    let gateway = start([]).await;
    let applied = apply(&gateway, vec![served.entry("Guard", json!({}))]).await;
    let report = applied.changes()[0].connected.as_ref().unwrap();
    assert!(!report.pending && report.outcome.is_err());
    assert!(applied.changes()[0].to_string().contains("of no use as it is configured"));
    let halted = run(&gateway.chain(), "1", "search").await.unwrap_err();
    assert!(
        matches!(halted.reason(), HaltReason::Failed(error) if error.kind() == ErrorKind::Config)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_has_begun_ends_with_the_plugins_that_it_began_with() {
    let served = Served::start(&["A", "B"]).await;
    let entry = |name| served.entry(name, json!({}));
    let gateway = start([entry("A"), entry("B")]).await;
    let chain = gateway.chain();
    let under_way = tokio::spawn(async move { run(&chain, "1", "wait").await });
    served.called("A", 1).await;
    assert_eq!(told(&apply(&gateway, vec![]).await), ["A removed", "B removed"]);
    assert!(gateway.chain().names().is_empty());
    let in_flight = |name| gateway.stats()[name].in_flight;
    // The client notes it when it has sent it, and the server may be faster.
    until("its count", || in_flight("A") == 1).await;

    served.may_answer.send_replace(true);
    let ran = in_time("the run", under_way).await.unwrap();
    assert_eq!((status(&ran, "A"), status(&ran, "B")), ("completed", "completed"));
    let stats = gateway.stats();
    assert_eq!((stats["A"].ok, stats["B"].ok), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sockets_of_a_removed_plugin_are_closed_and_its_counters_stay() {
    let served = Served::start(&["A"]).await;
    let gateway = start([served.entry("A", json!({}))]).await;
    assert!(run(&gateway.chain(), "1", "search").await.is_ok());
    apply(&gateway, vec![]).await;
    let connections = || served.server.as_ref().unwrap().stats().open_connections;
    until("its close", || connections() == 0).await;
    until("the end of its tasks", || gateway.stats()["A"].connections.is_empty()).await;
    assert_eq!(gateway.stats()["A"].calls, 1);

    // Back again, it counts on.
    apply(&gateway, vec![served.entry("A", json!({}))]).await;
    assert!(run(&gateway.chain(), "2", "search").await.is_ok());
    assert_eq!(gateway.stats()["A"].calls, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configurations_that_come_at_once_are_taken_over_one_after_the_other() {
    let served = Served::start(&["A", "B"]).await;
    let gateway = start([]).await;
    let only = |name| {
        let (gateway, entry) = (gateway.clone(), served.entry(name, json!({})));
        async move { told(&apply(&gateway, vec![entry]).await) }
    };
    let (a, b) = in_time("both", async { tokio::join!(only("A"), only("B")) }).await;
    let mut told = [a, b];
    told.sort_by_key(Vec::len);
    assert_eq!(told[0].len(), 1, "the first one found nothing");
    assert_eq!(told[1].len(), 2, "the second one found the first one's plugin");
    assert_eq!(gateway.chain().names().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_is_dropped_leaves_the_running_configuration_as_it_was() {
    let served = Served::start(&["A"]).await;
    let silent = Served::down();
    // It accepts, and never answers.
    let listener = UnixListener::bind(&silent.socket).unwrap();
    let gateway = start([served.entry("A", json!({}))]).await;
    let reload = tokio::spawn({
        let (gateway, slow) = (gateway.clone(), silent.entry("B", json!({})));
        async move { gateway.apply([slow]).await.map(drop) }
    });
    let _connection = in_time("its connecting", listener.accept()).await.unwrap();
    reload.abort();
    assert!(in_time("its end", reload).await.unwrap_err().is_cancelled());
    assert_eq!(gateway.chain().names(), ["A"]);
    let reloads = gateway.reload_stats();
    assert_eq!((reloads.applied, reloads.failed, reloads.up_to_date), (1, 1, false));
    let applied = apply(&gateway, vec![served.entry("A", json!({}))]).await;
    assert_eq!(told(&applied), ["A kept"]);
    assert!(gateway.reload_stats().up_to_date);
}

/// Two reloaders that see one change, and a signal without any, must not take it in again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_was_left_out_after_an_error_is_asked_again_once_its_entry_has_changed() {
    let mut served = Served::down();
    let entry = |served: &Served, priority: i32| {
        served.entry("A", json!({"on_error": "disable", "priority": priority}))
    };
    let gateway = start([entry(&served, 1)]).await;
    assert_eq!(status(&run(&gateway.chain(), "1", "search").await, "A"), "error");
    assert_eq!(gateway.chain().disabled(), ["A"]);
    assert!(gateway.health()[0].left_out);
    served.serve(&["A", "B"]).await;
    until("its return", || gateway.handles()[0].is_checked()).await;
    let with_another = vec![served.entry("B", json!({})), entry(&served, 1)];
    assert_eq!(told(&apply(&gateway, with_another).await), ["B started", "A kept"]);
    assert_eq!(status(&run(&gateway.chain(), "2", "search").await, "A"), "disabled");
    assert_eq!(told(&apply(&gateway, vec![entry(&served, 2)]).await), ["A replaced", "B removed"]);
    assert_eq!(status(&run(&gateway.chain(), "3", "search").await, "A"), "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_was_left_out_is_asked_again_after_a_reset_also_over_reloads() {
    let mut served = Served::down();
    let entry = |served: &Served| served.entry("A", json!({"on_error": "disable"}));
    let gateway = start([entry(&served)]).await;
    let old = gateway.chain();
    assert_eq!(status(&run(&old, "1", "search").await, "A"), "error");
    served.serve(&["A"]).await;
    until("its return", || gateway.handles()[0].is_checked()).await;
    apply(&gateway, vec![entry(&served)]).await;
    assert!(gateway.chain().reset("A"));
    assert_eq!(status(&run(&gateway.chain(), "2", "search").await, "A"), "completed");
    // The same plugin, also for requests that have the old chain.
    assert_eq!(status(&run(&old, "3", "search").await, "A"), "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_somebody_shut_down_is_started_anew() {
    let served = Served::start(&["A"]).await;
    let entry = || served.entry("A", json!({}));
    let gateway = start([entry()]).await;
    in_time("its end", gateway.handles()[0].shutdown(std::time::Duration::ZERO)).await;
    assert!(run(&gateway.chain(), "1", "search").await.is_err());
    assert_eq!(told(&apply(&gateway, vec![entry()]).await), ["A replaced"]);
    assert!(run(&gateway.chain(), "2", "search").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_and_the_bound_of_the_background_hold_over_reloads() {
    let served = Served::start(&["Watcher"]).await;
    let entry = || served.entry("Watcher", json!({"mode": "fire_and_forget"}));
    let settings = Chain::builder().background(1);
    let started = Gateway::builder().settings(settings).start([entry()]);
    let (gateway, _) = in_time("the start", started).await.unwrap();
    assert_eq!(status(&run(&gateway.chain(), "1", "wait").await, "Watcher"), "started");
    apply(&gateway, vec![entry()]).await;
    assert_eq!(status(&run(&gateway.chain(), "2", "wait").await, "Watcher"), "skipped");
    let chain = gateway.chain();
    assert_eq!((chain.background_running(), chain.background_dropped()), (1, 1));
    served.may_answer.send_replace(true);
    assert!(in_time("its end", chain.background_idle(crate::world::LIMIT)).await);
    assert_eq!(status(&run(&gateway.chain(), "3", "wait").await, "Watcher"), "started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_of_the_settings_come_first_in_every_chain() {
    let served = Served::start(&["Mine", "A"]).await;
    let mine = PluginHandle::connect_lazy(served.entry("Mine", json!({})));
    let settings = Chain::builder().plugin(mine);
    let entry = |name| served.entry(name, json!({}));
    let started = Gateway::builder().settings(settings).start([entry("A")]);
    let (gateway, _) = in_time("the start", started).await.unwrap();
    assert_eq!(gateway.chain().names(), ["Mine", "A"]);
    let refused = in_time("a reload", gateway.apply([entry("Mine")])).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Chain(ChainError::Duplicate(_))));
    assert_eq!(told(&apply(&gateway, vec![]).await), ["A removed"]);
    assert_eq!(gateway.chain().names(), ["Mine"]);
    assert!(run(&gateway.chain(), "1", "search").await.is_ok());
    assert_eq!(gateway.stats()["Mine"].calls, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_removed_plugin_the_counters_stay_and_the_breaker_is_at_rest() {
    let served = Served::down();
    let gateway = start([served.entry("A", json!({}))]).await;
    until("the outage", || gateway.health()[0].breaker == BreakerState::Open).await;
    apply(&gateway, vec![]).await;
    until("its end", || gateway.stats()["A"].breaker == BreakerState::Closed).await;
    assert!(gateway.stats()["A"].breaker_opened > 0);
}
