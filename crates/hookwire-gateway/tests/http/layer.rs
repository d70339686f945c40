//! What the layer does with requests that pass.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hookwire::PluginResult;
use hookwire::hooks::{
    HttpPostRequest, HttpPostRequestPayload, HttpPreRequest, HttpPreRequestPayload, ToolPreInvoke,
    ToolPreInvokePayload,
};
use hookwire::server::Handlers;
use hookwire_gateway::{HookLayer, RequestHooks};
use http::{HeaderMap, Request, Response};
use serde_json::json;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::world::{get, guard, headers, in_time, send, send_to, world};

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

/// Keeps what a plugin was asked.
fn keep<T: Clone + Send + 'static>() -> (Arc<Mutex<Vec<T>>>, impl Fn(&T) + Clone + Send + Sync) {
    let kept = Arc::<Mutex<Vec<T>>>::default();
    let keep = {
        let kept = Arc::clone(&kept);
        move |one: &T| kept.lock().unwrap().push(one.clone())
    };
    (kept, keep)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_sees_the_request_and_the_service_sees_the_plugins_headers() {
    let (seen, keep) = keep::<HttpPreRequestPayload>();
    let plugin = Handlers::new().on::<HttpPreRequest>(move |payload, _| {
        keep(&payload);
        async { Ok(PluginResult::modify(headers([("X-User", "ada"), ("X-New", "1")]))) }
    });
    let world = guard(plugin).await;
    let layer = HookLayer::new(&world.gateway)
        .client(|parts| parts.extensions.get::<SocketAddr>().copied());
    let mut request = get(&[("x-user", "root"), ("x-user", "admin"), ("accept", "*/*")]);
    request.extensions_mut().insert(SocketAddr::from(([10, 0, 0, 7], 4711)));
    let (response, asked) = send_to(layer, request, || Response::new("served".into())).await;
    assert_eq!(response.into_body(), "served");

    let seen = seen.lock().unwrap().clone();
    let expected = HttpPreRequestPayload::new("/mcp", "GET")
        .with_headers(headers([("x-user", "root, admin"), ("accept", "*/*")]))
        .with_client_host("10.0.0.7")
        .with_client_port(4711);
    assert!(seen == [expected], "{seen:?}");
    let asked = &asked[0];
    assert_eq!(values(&asked.headers, "x-user"), ["ada"]);
    assert_eq!(values(&asked.headers, "x-new"), ["1"]);
    assert_eq!(values(&asked.headers, "accept"), ["*/*"]);
    assert_eq!(asked.uri, "http://gateway/mcp?token=x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_no_plugin_changed_keep_all_their_values() {
    let echo = Handlers::new()
        // It answers with all that it saw, as many plugins do.
        .on::<HttpPreRequest>(|payload, _| async move {
            let mut headers = payload.headers;
            headers.insert("X-New".to_owned(), "1".to_owned());
            Ok(PluginResult::modify(headers))
        })
        .on::<HttpPostRequest>(|payload, _| async move {
            let mut headers = payload.response_headers.unwrap();
            headers.insert("server".to_owned(), "gateway".to_owned());
            Ok(PluginResult::modify(headers))
        });
    let world = guard(echo).await;
    let answer = || {
        let response = Response::builder().header("set-cookie", "a=1").header("server", "x");
        response.header("set-cookie", "b=2").body("served".to_owned()).unwrap()
    };
    let request = get(&[("accept", "a"), ("accept", "b"), ("cookie", "c=1"), ("cookie", "d=2")]);
    let (response, asked) = send_to(HookLayer::new(&world.gateway), request, answer).await;
    assert_eq!(values(&asked[0].headers, "accept"), ["a", "b"]);
    assert_eq!(values(&asked[0].headers, "cookie"), ["c=1", "d=2"]);
    assert_eq!(values(&asked[0].headers, "x-new"), ["1"]);
    assert_eq!(values(response.headers(), "set-cookie"), ["a=1", "b=2"]);
    assert_eq!(values(response.headers(), "server"), ["gateway"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_by_which_clients_prove_who_they_are_stay() {
    let plugin = Handlers::new().on::<HttpPreRequest>(|_, _| async {
        let change = [("Authorization", "Bearer forged"), ("X-Api-Key", "added")];
        Ok(PluginResult::modify(headers(change)))
    });
    let world = guard(plugin).await;
    let (_, asked) = send(&world.gateway, get(&[("authorization", "Bearer mine")])).await;
    assert_eq!(values(&asked[0].headers, "authorization"), ["Bearer mine"]);
    assert_eq!(values(&asked[0].headers, "x-api-key"), ["added"], "the client sent none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_sees_the_response_and_the_client_the_plugins_headers() {
    let (seen, keep) = keep::<HttpPostRequestPayload>();
    let plugin = Handlers::new()
        .on::<HttpPreRequest>(|_, _| async {
            let told = headers([("X-Before", "1"), ("x-rate", "9")]);
            Ok(PluginResult::modify(headers([("x-user", "ada")])).with_http_headers(told))
        })
        .on::<HttpPostRequest>(move |payload, _| {
            keep(&payload);
            async {
                let told = headers([("X-Rate", "8")]);
                let change = headers([("X-Powered-By", "nobody"), ("content-length", "99")]);
                Ok(PluginResult::modify(change).with_http_headers(told))
            }
        });
    let world = guard(plugin).await;
    let answer = || {
        let response = Response::builder().status(201).header("x-powered-by", "me");
        response.body("served".to_owned()).unwrap()
    };
    let (response, _) = send_to(HookLayer::new(&world.gateway), get(&[]), answer).await;
    let seen = seen.lock().unwrap().clone();
    let expected = HttpPostRequestPayload::new("/mcp", "GET")
        .with_headers(headers([("x-user", "ada")]))
        .with_response_headers(headers([
            ("x-powered-by", "me"),
            ("x-before", "1"),
            ("x-rate", "9"),
        ]))
        .with_status_code(201);
    assert!(seen == [expected], "{seen:?}");
    assert_eq!(response.status(), 201);
    assert_eq!(values(response.headers(), "x-powered-by"), ["nobody"]);
    assert_eq!(values(response.headers(), "x-before"), ["1"]);
    assert_eq!(values(response.headers(), "x-rate"), ["8"]);
    assert!(!response.headers().contains_key("content-length"));
    assert_eq!(response.into_body(), "served");
}

/// Before, on the way, and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_hooks_of_a_request_share_its_contexts_and_its_configuration() {
    let (ids, keep) = keep::<String>();
    let (keep_tool, keep_post) = (keep.clone(), keep.clone());
    let plugin = Handlers::new()
        .on::<HttpPreRequest>(move |_, mut context| {
            keep(&context.global_context.request_id);
            context.state.insert("user".to_owned(), json!("ada"));
            async { Ok((PluginResult::allow(), context)) }
        })
        .on::<ToolPreInvoke>(move |_, mut context| {
            keep_tool(&context.global_context.request_id);
            let user = context.state["user"].as_str().unwrap().to_owned();
            context.state.insert("tool".to_owned(), json!("called"));
            async { Ok((PluginResult::modify(ToolPreInvokePayload::new(user)), context)) }
        })
        .on::<HttpPostRequest>(move |_, context| {
            keep_post(&context.global_context.request_id);
            let tool = context.state["tool"].as_str().unwrap().to_owned();
            async move { Ok(PluginResult::modify(headers([("x-tool", &tool)]))) }
        });
    let world = guard(plugin).await;
    let gateway = world.gateway.clone();
    let service = service_fn(move |request: Request<String>| {
        let gateway = gateway.clone();
        async move {
            // A reload in the middle changes nothing for this request.
            gateway.apply([]).await.unwrap();
            let hooks = request.extensions().get::<RequestHooks>().unwrap();
            let passed = hooks.run::<ToolPreInvoke>(ToolPreInvokePayload::new("search")).await;
            Ok::<_, std::convert::Infallible>(Response::new(passed.unwrap().into_value().name))
        }
    });
    let layer = HookLayer::new(&world.gateway);
    let mut service = layer.layer(service);
    let response = in_time("a request", service.ready().await.unwrap().call(get(&[])));
    let response = response.await.unwrap();
    assert_eq!(values(response.headers(), "x-tool"), ["called"]);
    assert_eq!(response.into_body(), "ada");
    let ids = ids.lock().unwrap().clone();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0] && !id.is_empty()), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_has_an_id_of_its_own_and_what_the_gateway_knows_of_it() {
    let plugin = Handlers::new().on::<HttpPreRequest>(|_, context| async move {
        let global = context.global_context;
        let tenant = global.tenant_id.unwrap_or_default();
        Ok(PluginResult::modify(headers([("x-id", &global.request_id), ("x-tenant", &tenant)])))
    });
    let world = guard(plugin).await;
    let id = async |layer: HookLayer| {
        let request = get(&[("x-request-id", "chosen by the client")]);
        let (_, asked) = send_to(layer, request, || Response::new(String::new())).await;
        let id = values(&asked[0].headers, "x-id")[0].to_owned();
        (id, values(&asked[0].headers, "x-tenant")[0].to_owned())
    };
    let (first, _) = id(HookLayer::new(&world.gateway)).await;
    let (second, _) = id(HookLayer::new(world.gateway.chain())).await;
    assert!(first != second && !first.contains("client"), "{first} {second}");
    let layer = HookLayer::new(&world.gateway).context(|parts| {
        let mut context = HookLayer::default_context(parts);
        context.global_mut().tenant_id = Some("tenant-1".to_owned());
        context
    });
    assert_eq!(id(layer).await.1, "tenant-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_is_asked_only_for_the_media_types_of_its_conditions() {
    let plugin = Handlers::new().on::<HttpPreRequest>(|_, _| async {
        Ok(PluginResult::modify(headers([("x-asked", "1")])))
    });
    let only_json = json!({"conditions": [{"content_types": ["application/json"]}]});
    let world = world(vec![("Guard", plugin, only_json)]).await;
    for (content_type, asked) in [("application/JSON; charset=utf-8", true), ("text/html", false)] {
        let (_, seen) = send(&world.gateway, get(&[("content-type", content_type)])).await;
        assert_eq!(seen[0].headers.contains_key("x-asked"), asked, "{content_type}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_plugin_serves_the_hooks_none_is_called() {
    let world =
        guard(Handlers::new().on::<ToolPreInvoke>(|_, _| async { Ok(PluginResult::allow()) }))
            .await;
    let (response, asked) = send(&world.gateway, get(&[])).await;
    assert_eq!(response.into_body(), "served");
    assert!(asked[0].extensions.get::<RequestHooks>().is_some());
    assert_eq!(world.gateway.stats()["Guard"].calls, 0);
}

/// What is between them may have changed the request, so none may be left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_around_each_other_run_their_hooks_each_and_those_of_one_gateway_share_contexts() {
    let (ids, keep) = keep::<String>();
    let plugin = || {
        let keep = keep.clone();
        Handlers::new().on::<HttpPreRequest>(move |_, context| {
            keep(&context.global_context.request_id);
            async { Ok(PluginResult::allow()) }
        })
    };
    let (one, other) = (guard(plugin()).await, guard(plugin()).await);
    let layer = |world: &crate::world::World| HookLayer::new(&world.gateway);
    let service = service_fn(|_: Request<String>| async {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let service = layer(&one).layer(layer(&one).layer(layer(&other).layer(service)));
    in_time("a request", service.oneshot(get(&[]))).await.unwrap();
    let ids = ids.lock().unwrap().clone();
    assert_eq!((ids.len(), &ids[0]), (3, &ids[1]));
    assert_ne!(ids[1], ids[2]);
}

/// A service whose clones are not ready because it is.
#[derive(Default)]
struct Ready(bool);

impl Clone for Ready {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Request<String>> for Ready {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<String>, &'static str>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), &'static str>> {
        self.0 = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "called without being ready");
        std::future::ready(Err("the service's own error"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_that_is_ready_is_called_and_its_error_is_passed_on() {
    let world =
        guard(Handlers::new().on::<HttpPostRequest>(|_, _| async { Ok(PluginResult::allow()) }))
            .await;
    let mut service = HookLayer::new(&world.gateway).layer(Ready::default());
    for _ in 0..2 {
        let call = service.ready().await.unwrap().call(get(&[]));
        assert_eq!(in_time("a request", call).await.unwrap_err(), "the service's own error");
    }
    assert_eq!(world.gateway.stats()["Guard"].calls, 0, "there was no response");
}
