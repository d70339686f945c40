//! draft
pub(crate) mod proto {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
    include!(concat!(env!("OUT_DIR"), "/cpex.rs"));
}

/// Why a payload or a context cannot be said on the wire.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// draft
    #[error("{0}")]
    Custom(String),
}
