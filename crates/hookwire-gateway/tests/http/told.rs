//! What plugins tell the gateway's client beside their verdicts.

use std::future::pending;
use std::time::Duration;

use hookwire::hooks::{HttpPostRequest, HttpPreRequest};
use hookwire::server::Handlers;
use hookwire::{PluginResult, PluginViolation};
use hookwire_gateway::{Chain, HookLayer, RequestHooks};
use http::{HeaderMap, Request, Response};
use tower::{Layer, ServiceExt, service_fn};

use crate::world::{get, guard, headers, in_time, send_to};

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_plugins_tell_the_client_takes_nothing_from_the_services_lists_and_body() {
    let plugin = Handlers::new().on::<HttpPreRequest>(|_, _| async {
        Ok(PluginResult::allow().with_http_headers(headers([
            ("Set-Cookie", "plugin=1"),
            ("Vary", "origin"),
            ("Content-Type", "text/html"),
            ("Content-Encoding", "gzip"),
            ("Cache-Control", "no-store"),
            ("Retry-After", "a while"),
        ])))
    });
    let world = guard(plugin).await;
    let answer = || {
        let response = Response::builder().header("set-cookie", "a=1").header("set-cookie", "b=2");
        let response = response.header("vary", "accept").header("content-type", "text/plain");
        response.header("cache-control", "public").body("served".to_owned()).unwrap()
    };
    let (response, _) = send_to(HookLayer::new(&world.gateway), get(&[]), answer).await;
    let told = |name| values(response.headers(), name);
    assert_eq!(told("set-cookie"), ["a=1", "b=2", "plugin=1"]);
    assert_eq!(told("vary"), ["accept", "origin"]);
    assert_eq!(told("content-type"), ["text/plain"]);
    assert_eq!(told("content-encoding"), [""; 0]);
    assert_eq!(told("cache-control"), ["no-store"]);
    assert_eq!(told("retry-after"), [""; 0], "neither seconds nor a date");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_tells_nothing_of_a_body_or_a_connection_that_is_not_its_own() {
    let plugin = Handlers::new().on::<HttpPreRequest>(|_, _| async {
        let told = headers([
            ("content-encoding", "gzip"),
            ("keep-alive", "timeout=1"),
            ("proxy-connection", "close"),
            ("retry-after", "x y"),
            ("x-limit", "10"),
        ]);
        let violation = PluginViolation::new("NO").with_http_headers(told);
        Ok(PluginResult::deny(violation).with_retry_delay(Duration::from_secs(7)))
    });
    let world = guard(plugin).await;
    let (response, _) = send_to(HookLayer::new(&world.gateway), get(&[]), Response::default).await;
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(
        (&headers["x-limit"], &headers["retry-after"]),
        (&"10".parse().unwrap(), &"7".parse().unwrap())
    );
    for left_out in ["content-encoding", "keep-alive", "proxy-connection"] {
        assert!(!headers.contains_key(left_out), "{left_out}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_hook_told_the_client_is_told_with_a_denial_of_the_second() {
    let plugin = Handlers::new()
        .on::<HttpPreRequest>(|_, _| async {
            let told = [("set-cookie", "a=1"), ("x-rate", "9"), ("x-request", "1")];
            Ok(PluginResult::allow().with_http_headers(headers(told)))
        })
        .on::<HttpPostRequest>(|_, _| async {
            let told = headers([("set-cookie", "b=2"), ("X-Rate", "8")]);
            let denied = PluginResult::deny(PluginViolation::new("LEAK"));
            Ok(denied.with_http_headers(told))
        });
    let world = guard(plugin).await;
    let answer = || {
        let private = Response::builder().header("x-private", "1");
        private.body(String::new()).unwrap()
    };
    let (response, _) = send_to(HookLayer::new(&world.gateway), get(&[]), answer).await;
    assert_eq!(response.status(), 403);
    let told = |name| values(response.headers(), name);
    assert_eq!((told("x-request"), told("x-rate")), (vec!["1"], vec!["8"]));
    assert_eq!(told("set-cookie"), ["a=1", "b=2"]);
    assert!(told("x-private").is_empty(), "the service's response is thrown away");
}

#[tokio::test(start_paused = true)]
async fn a_context_that_a_task_keeps_holds_a_request_up_no_longer_than_its_chain_may_take() {
    let plugin = hookwire::testing::Double::named("Guard")
        .on::<HttpPostRequest>(|_, _| async { Ok(PluginResult::allow()) })
        .build();
    let limit = Duration::from_secs(5);
    let chain = Chain::builder().plugin(plugin.handle()).timeout(limit).build().unwrap();
    let service = service_fn(|request: Request<String>| async move {
        let hooks = request.extensions().get::<RequestHooks>().unwrap().clone();
        let (keep, kept) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let _context = hooks.context().await;
            keep.send(()).unwrap();
            pending::<()>().await;
        });
        kept.await.unwrap();
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let began = tokio::time::Instant::now();
    let asked = HookLayer::new(chain).layer(service).oneshot(get(&[]));
    let response = in_time("a request", asked).await.unwrap();
    assert_eq!((response.status().as_u16(), began.elapsed()), (504, limit));
}
