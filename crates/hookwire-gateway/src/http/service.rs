//! A service with the HTTP hooks around it.

use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use hookwire::Hook;
use hookwire::hooks::{
    HttpPostRequest, HttpPostRequestPayload, HttpPreRequest, HttpPreRequestPayload,
};
use hookwire::model::Headers;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::headers::{self, Unfit};
use super::layer::HookLayer;
use super::request::RequestHooks;
use crate::chain::{HaltReason, Halted, Report};

/// What a [`HookLayer`] makes of a service. See there for what it does.
///
/// ```
/// use hookwire_gateway::{Gateway, HookLayer, HookService};
/// use tower_layer::Layer;
///
/// fn around<S>(gateway: &Gateway, service: S) -> HookService<S> {
///     HookLayer::new(gateway).layer(service)
/// }
/// ```
#[derive(Clone)]
pub struct HookService<S> {
    inner: S,
    layer: HookLayer,
}

impl<S> Layer<S> for HookLayer {
    type Service = HookService<S>;

    fn layer(&self, inner: S) -> HookService<S> {
        HookService { inner, layer: self.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for HookService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Send + 'static,
    R: From<String> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        async move {
            let (mut parts, body) = request.into_parts();
            let around = Around::of(&layer, &parts);
            let told = match around.before(&mut parts).await {
                Ok(told) => told,
                Err(halted) => return Ok(respond(halted, &Headers::new())),
            };
            parts.extensions.insert(around.hooks.clone());
            let seen = around.serves_post().then(|| headers::joined(&parts.headers));
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            headers::add(response.headers_mut(), &told);
            Ok(match around.after(seen, &mut response).await {
                Ok(()) => response,
                Err(halted) => respond(halted, &told),
            })
        }
        .boxed()
    }
}

/// What both hooks of a request need.
struct Around {
    hooks: RequestHooks,
    path: String,
    method: Method,
    client: Option<SocketAddr>,
}

impl Around {
    fn of(layer: &HookLayer, parts: &Parts) -> Self {
        let chain = layer.source.chain();
        // Another layer of the same gateway may be around this one.
        let outer = parts.extensions.get::<RequestHooks>().filter(|outer| outer.is_of(&chain));
        let hooks = outer.cloned();
        Self {
            hooks: hooks.unwrap_or_else(|| RequestHooks::new(chain, (layer.context_of)(parts))),
            path: path(parts).to_owned(),
            method: parts.method.clone(),
            client: (layer.client_of)(parts),
        }
    }

    fn serves_post(&self) -> bool {
        self.hooks.chain().serves(HttpPostRequest::NAME)
    }

    /// Runs `http_pre_request`, and returns what plugins tell the client beside.
    async fn before(&self, parts: &mut Parts) -> Result<Headers, Box<Halted>> {
        if !self.hooks.chain().serves(HttpPreRequest::NAME) {
            return Ok(Headers::new());
        }
        let seen = headers::joined(&parts.headers);
        let mut payload = HttpPreRequestPayload::new(self.path.as_str(), self.method.as_str())
            .with_headers(seen.clone());
        payload.client_host = self.client.map(|client| client.ip().to_string());
        payload.client_port = self.client.map(|client| client.port());
        let (passed, report) = self.hooks.run::<HttpPreRequest>(payload).await?.into_parts();
        merge(&mut parts.headers, &seen, &passed.headers, report)
    }

    /// Runs `http_post_request` on a response to a request with these headers, if a plugin
    /// serves it.
    async fn after<R>(
        &self,
        request: Option<Headers>,
        response: &mut Response<R>,
    ) -> Result<(), Box<Halted>> {
        let Some(request) = request else { return Ok(()) };
        let seen = headers::joined(response.headers());
        let mut payload = HttpPostRequestPayload::new(self.path.as_str(), self.method.as_str())
            .with_headers(request)
            .with_response_headers(seen.clone())
            .with_status_code(response.status().as_u16());
        payload.client_host = self.client.map(|client| client.ip().to_string());
        payload.client_port = self.client.map(|client| client.port());
        let passed = self.hooks.run::<HttpPostRequest>(payload).await?;
        let (passed, report) = passed.into_parts();
        let after = passed.response_headers.unwrap_or_default();
        let told = merge(response.headers_mut(), &seen, &after, report)?;
        headers::add(response.headers_mut(), &told);
        Ok(())
    }
}

/// Puts in what plugins have changed, and returns what they tell the client beside. A change
/// that cannot be made is not left out: what it should replace may be what the client claims.
fn merge(
    headers: &mut HeaderMap,
    before: &Headers,
    after: &Headers,
    report: Report,
) -> Result<Headers, Box<Halted>> {
    match headers::merge(headers, before, after) {
        Ok(()) => Ok(report.http_headers().clone()),
        Err(Unfit { name }) => {
            let reason = HaltReason::InvalidHeader(name);
            Err(Box::new(Halted { reason, report }))
        }
    }
}

/// `told` is what earlier hooks of the request have told the client.
fn respond<R: From<String>>(halted: Box<Halted>, told: &Headers) -> Response<R> {
    match &halted.reason {
        HaltReason::Denied(denial) => tracing::debug!(plugin = denial.plugin(), "{halted}"),
        // The plugin's own words may quote the request.
        HaltReason::Failed(error) => {
            tracing::warn!(
                plugin = error.plugin(),
                reason = error.reason(),
                "a request was refused: a plugin could not be asked"
            );
        }
        reason => tracing::warn!("a request was refused: {reason}"),
    }
    halted.into_http_response_after(told)
}

#[cfg(feature = "axum")]
use super::axum::path;

#[cfg(not(feature = "axum"))]
fn path(parts: &Parts) -> &str {
    parts.uri.path()
}

impl<S: fmt::Debug> fmt::Debug for HookService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}
