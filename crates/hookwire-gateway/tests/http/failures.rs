//! Requests that must stop.

use std::future::pending;
use std::time::Duration;

use hookwire::hooks::{HttpPostRequest, HttpPreRequest};
use hookwire::model::DenialMetric;
use hookwire::server::{HandlerError, Handlers};
use hookwire::{PluginConfig, PluginResult, PluginViolation};
use hookwire_gateway::{Gateway, Halted};
use serde_json::{Value, json};

use crate::world::{get, guard, headers, in_time, send, world};

fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_a_response_and_the_service_is_not_asked() {
    let plugin = Handlers::new().on::<HttpPreRequest>(|_, _| async {
        let violation = PluginViolation::new("RATE_LIMIT")
            .with_reason("internal reason")
            .with_description("Ten calls per second.")
            .with_details([("internal".to_owned(), json!("detail"))].into_iter().collect())
            .with_http_status_code(429)
            .with_http_headers(headers([("X-Limit", "10"), ("Content-Type", "text/html")]));
        Ok(PluginResult::deny(violation)
            .with_http_headers(headers([("x-rate", "0")]))
            .with_retry_delay(Duration::from_millis(1200))
            .with_denial_metadata([("rule.hits", DenialMetric::from(3))].into_iter().collect()))
    });
    let world = guard(plugin).await;
    let (response, asked) = send(&world.gateway, get(&[])).await;
    assert!(asked.is_empty());
    assert_eq!(response.status(), 429);
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert_eq!((header("x-limit"), header("x-rate")), ("10", "0"));
    assert_eq!((header("retry-after"), header("content-type")), ("2", "application/json"));
    assert_eq!(
        body(response.body()),
        json!({"error": {"code": "RATE_LIMIT", "message": "Ten calls per second."}})
    );
    // For the access log.
    let halted = response.extensions().get::<Halted>().unwrap();
    let denial = halted.denial().unwrap();
    assert_eq!(denial.plugin(), "Guard");
    assert_eq!(denial.violation().unwrap().reason, "internal reason");
    let hits = denial.denial_metadata().unwrap().get("rule.hits");
    assert_eq!(hits, Some(DenialMetric::Integer(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_of_the_response_throws_it_away() {
    let plugin = Handlers::new().on::<HttpPostRequest>(|_, _| async {
        // A status that would let it pass.
        Ok(PluginResult::deny(PluginViolation::new("LEAK").with_http_status_code(200)))
    });
    let world = guard(plugin).await;
    let (response, asked) = send(&world.gateway, get(&[])).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(response.status(), 403);
    assert_eq!(
        body(response.body()),
        json!({"error": {"code": "LEAK", "message": "the request was denied"}})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_cannot_be_reached_stops_the_request_with_503_and_tells_when_to_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let entry = |more: Value| {
        let socket = json!({"path": dir.path().join("absent.sock"), "reconnect_attempts": 1});
        let mut entry = json!({"name": "Guard", "unix_socket": socket});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        PluginConfig::from_value(entry).unwrap()
    };
    let started = Gateway::builder().start([entry(json!({}))]);
    let (gateway, _) = in_time("the start", started).await.unwrap();
    let (response, asked) = send(&gateway, get(&[("x-private", "hunter2")])).await;
    assert!(asked.is_empty());
    assert_eq!(response.status(), 503);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds >= 1);
    let told = body(response.body());
    assert_eq!(told["error"]["code"], "unavailable");
    for private in ["Guard", "absent.sock", "hunter2"] {
        assert!(!response.body().contains(private), "{told}");
    }

    let ignored = gateway.apply([entry(json!({"on_error": "ignore"}))]);
    in_time("a reload", ignored).await.unwrap();
    assert_eq!(send(&gateway, get(&[])).await.0.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_does_not_answer_is_504_and_one_that_fails_502() {
    let hangs = Handlers::new().on::<HttpPreRequest>(|_, _| async {
        pending::<()>().await;
        Ok(PluginResult::allow())
    });
    let fails = Handlers::new().on::<HttpPreRequest>(|_, _| async {
        Err::<PluginResult<_>, _>(HandlerError::new("hunter2"))
    });
    let hangs = guard(hangs).await;
    let brief = hangs.gateway.handles()[0].local_config().clone();
    let brief = serde_json::to_value(brief).unwrap();
    let mut brief = brief;
    brief["unix_socket"]["timeout"] = json!(0.1);
    let brief = PluginConfig::from_value(brief).unwrap();
    in_time("a reload", hangs.gateway.apply([brief])).await.unwrap();
    let (response, asked) = send(&hangs.gateway, get(&[])).await;
    assert!(asked.is_empty());
    assert_eq!(response.status(), 504);
    assert_eq!(body(response.body())["error"]["code"], "timeout");

    let fails = guard(fails).await;
    let (response, asked) = send(&fails.gateway, get(&[])).await;
    assert!(asked.is_empty());
    assert_eq!((response.status().as_u16(), response.body().contains("hunter2")), (502, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_http_does_not_know_stops_the_request() {
    // Left out, the client's own claim would reach the service.
    let plugin = Handlers::new().on::<HttpPreRequest>(|_, _| async {
        Ok(PluginResult::modify(headers([("x-user", "ada\r\nx-admin: 1")])))
    });
    let world = guard(plugin).await;
    let (response, asked) = send(&world.gateway, get(&[("x-user", "root")])).await;
    assert!(asked.is_empty());
    assert_eq!(response.status(), 502);
    assert_eq!(body(response.body())["error"]["code"], "bad_reply");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_at_its_end_lets_nothing_pass() {
    let plugin = Handlers::new().on::<HttpPreRequest>(|_, _| async { Ok(PluginResult::allow()) });
    let ignored = json!({"on_error": "ignore"});
    let world = world(vec![("Guard", plugin, ignored)]).await;
    in_time("the shutdown", world.gateway.shutdown(Duration::ZERO)).await;
    let (response, asked) = send(&world.gateway, get(&[])).await;
    assert!(asked.is_empty());
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
}
