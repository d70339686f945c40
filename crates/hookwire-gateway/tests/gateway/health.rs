//! What a gateway tells of its plugins.

use hookwire::{BreakerState, ConnectionState};
use hookwire_gateway::Gateway;
use serde_json::json;

use crate::world::{Served, apply, in_time, run, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_ready_once_each_plugin_that_requests_need_was_reached() {
    let (mut guard, audit) = (Served::down(), Served::down());
    let plugins = [
        guard.entry("Guard", json!({})),
        audit.entry("Audit", json!({"mode": "fire_and_forget"})),
        audit.entry("Hint", json!({"on_error": "ignore"})),
        audit.entry("Off", json!({"mode": "disabled"})),
    ];
    let gateway = start(plugins).await;
    assert!(gateway.is_live() && !gateway.is_ready());
    let ready = |gateway: &Gateway| -> Vec<bool> {
        gateway.health().iter().map(|plugin| plugin.is_ready()).collect()
    };
    assert_eq!(ready(&gateway), [false, true, true, true]);
    assert_eq!(gateway.health()[3].refused, Some("disabled"));

    guard.serve(&["Guard"]).await;
    until("readiness", || gateway.is_ready()).await;
    let health = &gateway.health()[0];
    assert!(health.last_success.is_some());
    assert_eq!(health.breaker, BreakerState::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_takes_the_gateway_out_of_service_and_back_again_without_a_call() {
    let mut served = Served::start(&["Guard"]).await;
    let gateway = start([served.entry("Guard", json!({}))]).await;
    assert!(gateway.is_ready());
    in_time("the kill", served.server.take().unwrap().kill()).await;
    assert!(run(&gateway.chain(), "1", "search").await.is_err());
    until("its fall", || !gateway.is_ready()).await;
    let health = &gateway.health()[0];
    assert!(!health.is_reachable() && gateway.is_live());
    assert_ne!(health.state, ConnectionState::Ready);
    let failure = health.last_failure.unwrap();
    assert!(["unavailable", "disconnected"].contains(&failure.reason), "{failure:?}");

    served.serve(&["Guard"]).await;
    until("its return", || gateway.is_ready()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_cannot_be_used_is_told_by_its_reason() {
    let served = Served::start(&["guard"]).await;
    let gateway = start([served.entry("Guard", json!({}))]).await;
    assert_eq!(gateway.health()[0].refused, Some("name_mismatch"));
    assert!(!gateway.is_ready());
    apply(&gateway, vec![served.entry("guard", json!({}))]).await;
    assert!(gateway.is_ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_page_has_names_and_constant_texts_only() {
    let served = Served::down();
    let gateway = start([served.entry("Guard", json!({"description": "hunter2"}))]).await;
    assert!(run(&gateway.chain(), "secret-request", "secret-tool").await.is_err());
    let page = serde_json::to_value(gateway.health()).unwrap();
    let failure = &page[0]["last_failure"];
    assert_eq!(
        page,
        json!([{
            "name": "Guard", "mode": "sequential", "on_error": "fail",
            "state": page[0]["state"], "breaker": "open", "checked": false, "left_out": false,
            "refused": null, "last_success": null, "ready": false,
            "last_failure": {
                "seconds_ago": failure["seconds_ago"],
                "reason": "unavailable",
                "message": failure["message"],
            },
        }])
    );
    assert!(failure["seconds_ago"].as_f64().unwrap() >= 0.0);
    let text = page.to_string();
    for private in ["hunter2", "secret", served.socket.to_str().unwrap()] {
        assert!(!text.contains(private), "{text}");
    }
}
