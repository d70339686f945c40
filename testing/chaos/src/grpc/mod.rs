//! Plugins over gRPC: what their servers do wrong, and how they are reached.
//!
//! `way` is how a plugin is configured, `cluster` takes its servers down, one or several at a
//! time, and `server` is one of them, with `certificates` where there is TLS; `member` is what its
//! connections look at. `wire` is a connection's bytes, that can be held back, lost or cut;
//! `connection` is HTTP/2 on top of that, `call` one call of it, `service` what its calls share,
//! and `envelope` the ways in which a reply is sent.

pub(crate) mod call;
pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod connection;
pub(crate) mod envelope;
pub(crate) mod member;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod way;
pub(crate) mod wire;
