//! The HTTP hooks around a service: `http_pre_request` before it, `http_post_request` after.

#[cfg(feature = "axum")]
mod axum;
mod headers;
mod layer;
mod request;
mod response;
mod service;

#[cfg(feature = "axum")]
pub use self::axum::MissingHooks;
pub use layer::{ChainSource, HookLayer};
pub use request::RequestHooks;
pub use service::HookService;
