//! The layer as the middleware of an axum router.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get;
use hookwire::hooks::{HttpPreRequest, ToolPreInvoke, ToolPreInvokePayload};
use hookwire::server::Handlers;
use hookwire::{PluginResult, PluginViolation};
use hookwire_gateway::{Halted, HookLayer, RequestHooks};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::world::{World, guard, headers, in_time};

/// A tool by its name, as far as the plugins let it.
async fn call(hooks: RequestHooks, tool: String) -> Result<String, Box<Halted>> {
    let passed = hooks.run::<ToolPreInvoke>(ToolPreInvokePayload::new(tool)).await?;
    Ok(format!("called {}", passed.into_value().name))
}

fn router(world: &World) -> Router {
    Router::new()
        .route("/tools", axum::routing::post(call))
        .route(
            "/peer",
            get(|headers: HeaderMap| async move { headers["x-peer"].to_str().unwrap().to_owned() }),
        )
        .layer(HookLayer::new(&world.gateway))
}

async fn plugins() -> World {
    guard(
        Handlers::new()
            .on::<HttpPreRequest>(|payload, _| async move {
                let peer = payload.client_host.is_some() && payload.client_port.is_some();
                Ok(match payload.path.starts_with("/admin/secret") {
                    true => PluginResult::deny(PluginViolation::new("NO_ADMIN")),
                    false => PluginResult::modify(headers([(
                        "x-peer",
                        &format!("{:?} {peer}", payload.client_host),
                    )])),
                })
            })
            .on::<ToolPreInvoke>(|payload, _| async move {
                Ok(match payload.name.as_str() {
                    "shell" => PluginResult::deny(PluginViolation::new("NO_SHELL")),
                    _ => PluginResult::allow(),
                })
            }),
    )
    .await
}

async fn send(
    router: &Router,
    request: http::request::Builder,
    body: &'static str,
) -> Response<Body> {
    let request: Request<Body> = request.body(body.into()).unwrap();
    in_time("a request", router.clone().oneshot(request)).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = in_time("the body", to_bytes(response.into_body(), 4096)).await.unwrap();
    String::from_utf8(bytes.into()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_runs_more_hooks_of_its_request_and_returns_their_denials() {
    let world = plugins().await;
    let router = router(&world);
    let response = send(&router, Request::post("/tools"), "search").await;
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (200, "called search"));
    let response = send(&router, Request::post("/tools"), "shell").await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(text(response).await.contains("NO_SHELL"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_without_the_layer_is_told_so() {
    let router = Router::new().route("/tools", axum::routing::post(call));
    assert_eq!(send(&router, Request::post("/tools"), "search").await.status(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_sees_the_whole_path_also_inside_a_nested_router() {
    let world = plugins().await;
    let inside = Router::new()
        .route("/{*path}", get(|| async { "admin" }))
        .layer(HookLayer::new(&world.gateway));
    let router = Router::new().nest("/admin", inside);
    assert_eq!(send(&router, Request::get("/admin/secret"), "").await.status(), 403);
    assert_eq!(send(&router, Request::get("/admin/open"), "").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_sees_who_the_client_is_over_a_real_connection() {
    let world = plugins().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router(&world).into_make_service_with_connect_info::<std::net::SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let response = in_time("a request", async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /peer HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    })
    .await;
    server.abort();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(response.ends_with("Some(\"127.0.0.1\") true"), "{response}");
}
