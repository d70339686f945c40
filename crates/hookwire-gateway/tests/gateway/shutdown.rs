//! The end of a gateway.

use std::time::Duration;

use hookwire::ErrorKind;
use hookwire::hooks::{HttpAuthCheckPermission, HttpAuthCheckPermissionPayload};
use hookwire_gateway::{ApplyError, HaltReason, RequestContext};
use serde_json::json;

use crate::world::{LIMIT, Served, apply, in_time, run, start, status, told, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_finishes_with_all_its_plugins_and_what_comes_after_fails() {
    let served = Served::start(&["First", "Second", "Watcher"]).await;
    let gateway = start([
        served.entry("First", json!({})),
        // It must not be left out because the gateway is at its end.
        served.entry("Second", json!({"on_error": "ignore"})),
        served.entry("Watcher", json!({"mode": "fire_and_forget"})),
    ])
    .await;
    let chain = gateway.chain();
    let under_way = tokio::spawn({
        let chain = chain.clone();
        async move { run(&chain, "1", "wait").await }
    });
    served.called("First", 1).await;
    let ending = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.shutdown(LIMIT).await }
    });
    until("the shutdown", || !gateway.is_live()).await;
    for chain in [chain, gateway.chain()] {
        let halted = run(&chain, "2", "search").await.unwrap_err();
        assert!(matches!(halted.reason(), HaltReason::ShutDown), "{halted}");
        let asked = HttpAuthCheckPermissionPayload::new("ada@example.org", "tools.execute");
        let mut request = RequestContext::new("3");
        let decided = chain.decide::<HttpAuthCheckPermission>(asked, &mut request).await;
        assert!(matches!(decided.unwrap_err().reason(), HaltReason::ShutDown));
    }
    assert!(!ending.is_finished());

    served.may_answer.send_replace(true);
    let ran = in_time("the run", under_way).await.unwrap();
    assert!(ran.is_ok());
    let statuses = ["First", "Second", "Watcher"].map(|plugin| status(&ran, plugin));
    assert_eq!(statuses, ["completed", "completed", "started"]);
    in_time("the shutdown", ending).await.unwrap();
    assert_eq!(gateway.stats()["Watcher"].ok, 1, "the background was waited for");
    assert!(served.calls.lock().unwrap().keys().all(|(_, request)| request == "1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_finish_in_time_fails_also_on_a_plugin_that_was_removed() {
    let served = Served::start(&["Gone", "Here"]).await;
    let gateway = start([served.entry("Gone", json!({}))]).await;
    let hang = |request: &'static str| {
        let chain = gateway.chain();
        tokio::spawn(async move { run(&chain, request, "wait").await })
    };
    let gone = hang("1");
    served.called("Gone", 1).await;
    let applied = apply(&gateway, vec![served.entry("Here", json!({}))]).await;
    assert_eq!(told(&applied), ["Here started", "Gone removed"]);
    let here = hang("2");
    served.called("Here", 1).await;

    in_time("the shutdown", gateway.shutdown(Duration::from_millis(20))).await;
    for run in [gone, here] {
        let halted = in_time("its end", run).await.unwrap().unwrap_err();
        let HaltReason::Failed(error) = halted.reason() else { panic!("{halted:?}") };
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_end_nothing_can_be_applied_and_counters_stay() {
    let served = Served::start(&["A"]).await;
    let entry = || served.entry("A", json!({}));
    let gateway = start([entry()]).await;
    assert!(run(&gateway.chain(), "1", "search").await.is_ok());
    in_time("the shutdown", gateway.shutdown(LIMIT)).await;
    assert!(!gateway.is_live() && !gateway.is_ready());
    let refused = in_time("a reload", gateway.apply([entry()])).await.unwrap_err();
    assert!(matches!(refused, ApplyError::ShutDown));
    assert_eq!(gateway.stats()["A"].calls, 1);
    in_time("a second shutdown", gateway.shutdown(LIMIT)).await;
    let open = || served.server.as_ref().unwrap().stats().open_connections;
    until("the close", || open() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_is_being_taken_over_is_not_once_the_gateway_is_shut_down() {
    let silent = Served::down();
    let listener = tokio::net::UnixListener::bind(&silent.socket).unwrap();
    let gateway = start([]).await;
    let reload = tokio::spawn({
        let (gateway, entry) = (gateway.clone(), silent.entry("A", json!({})));
        async move { gateway.apply([entry]).await }
    });
    let connection = in_time("its connecting", listener.accept()).await.unwrap();
    in_time("the shutdown", gateway.shutdown(LIMIT)).await;
    drop((connection, listener));
    let refused = in_time("the reload", reload).await.unwrap().unwrap_err();
    assert!(matches!(refused, ApplyError::ShutDown));
    assert!(gateway.chain().names().is_empty());
}
