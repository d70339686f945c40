//! Plugins on an embedded server, a gateway over them, and a service behind its layer.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwire::PluginConfig;
use hookwire::server::{Handlers, PluginServer};
use hookwire_gateway::{Gateway, HookLayer};
use http::{Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

/// No test waits longer than that for anything.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    _dir: TempDir,
    _server: PluginServer,
}

/// Starts these plugins, with more keys for the entry of each.
pub(crate) async fn world(plugins: Vec<(&'static str, Handlers, Value)>) -> World {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("plugins.sock");
    let mut server = PluginServer::builder();
    let mut entries = Vec::new();
    for (name, handlers, more) in plugins {
        server = server.plugin(name, handlers);
        let mut entry = json!({"name": name, "unix_socket": {"path": socket}});
        let Value::Object(more) = more else { panic!("{more}") };
        entry.as_object_mut().unwrap().extend(more);
        entries.push(PluginConfig::from_value(entry).unwrap());
    }
    let _server = server.bind(&socket).await.unwrap();
    let started = Gateway::builder().start(entries);
    let (gateway, _) = in_time("the start", started).await.unwrap();
    World { gateway, _dir: dir, _server }
}

/// The same with one plugin.
pub(crate) async fn guard(handlers: Handlers) -> World {
    world(vec![("Guard", handlers, json!({}))]).await
}

/// What a service was asked.
pub(crate) type Asked = Arc<Mutex<Vec<http::request::Parts>>>;

/// Sends a request through the layer to a service that answers with this.
pub(crate) async fn send_to(
    layer: HookLayer,
    request: Request<String>,
    answer: impl Fn() -> Response<String> + Clone + Send + 'static,
) -> (Response<String>, Vec<http::request::Parts>) {
    let asked = Asked::default();
    let service = service_fn({
        let asked = Arc::clone(&asked);
        move |request: Request<String>| {
            asked.lock().unwrap().push(request.into_parts().0);
            let answer = answer();
            async move { Ok::<_, Infallible>(answer) }
        }
    });
    let response = in_time("a request", layer.layer(service).oneshot(request)).await.unwrap();
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    (response, asked)
}

pub(crate) async fn send(
    gateway: &Gateway,
    request: Request<String>,
) -> (Response<String>, Vec<http::request::Parts>) {
    send_to(HookLayer::new(gateway), request, || Response::new("served".to_owned())).await
}

pub(crate) fn get(headers: &[(&str, &str)]) -> Request<String> {
    let request = Request::get("http://gateway/mcp?token=x");
    let add = |request: http::request::Builder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    headers.iter().fold(request, add).body("body".to_owned()).unwrap()
}

pub(crate) fn headers<const N: usize>(headers: [(&str, &str); N]) -> hookwire::model::Headers {
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
