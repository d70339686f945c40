//! The HTTP hooks around services and routers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod failures;
mod layer;
mod router;
mod told;
mod world;
