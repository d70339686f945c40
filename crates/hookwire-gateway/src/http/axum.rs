//! What axum knows of a request, and halts as answers of its handlers.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, OriginalUri};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::request::RequestHooks;
use crate::chain::Halted;

pub(super) fn client(parts: &Parts) -> Option<SocketAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
}

/// With its beginning, also inside a nested router.
pub(super) fn path(parts: &Parts) -> &str {
    parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0).path()
}

/// As [`into_http_response`](Halted::into_http_response), so that a handler may return it.
impl IntoResponse for Halted {
    fn into_response(self) -> Response {
        self.into_http_response()
    }
}

/// The same, as chains return it.
impl IntoResponse for Box<Halted> {
    fn into_response(self) -> Response {
        self.into_http_response()
    }
}

/// The hooks of a request, for a handler behind a [`HookLayer`](crate::HookLayer).
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire_gateway::{Gateway, Halted, HookLayer, RequestHooks};
///
/// // A denial and a failure are responses.
/// async fn search(hooks: RequestHooks) -> Result<String, Box<Halted>> {
///     let payload = ToolPreInvokePayload::new("search");
///     let passed = hooks.run::<ToolPreInvoke>(payload).await?;
///     Ok(format!("call {}", passed.value().name))
/// }
///
/// fn router(gateway: &Gateway) -> Router {
///     Router::new().route("/search", post(search)).layer(HookLayer::new(gateway))
/// }
/// ```
impl<S: Sync> FromRequestParts<S> for RequestHooks {
    type Rejection = MissingHooks;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, MissingHooks> {
        parts.extensions.get().cloned().ok_or(MissingHooks)
    }
}

/// A handler wants the hooks of its request, and there is no [`HookLayer`](crate::HookLayer)
/// around it: status 500.
///
/// ```
/// use axum::response::IntoResponse;
///
/// assert_eq!(hookwire_gateway::MissingHooks.into_response().status(), 500);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no `HookLayer` is around this handler")]
pub struct MissingHooks;

impl IntoResponse for MissingHooks {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, "a part of this gateway is not set up correctly")
            .into_response()
    }
}
