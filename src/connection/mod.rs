//! draft
pub(crate) mod backoff;
pub(crate) mod gauge;
pub(crate) mod in_flight;
pub(crate) mod message;
pub(crate) mod outbox;
pub(crate) mod state;
pub(crate) mod transport;
