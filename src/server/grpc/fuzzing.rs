//! The way in for `crate::fuzz_bridge`, to what nobody else needs.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::message::{Received, timeout};

/// As [`crate::fuzz_bridge::grpc::read_request`].
pub(crate) fn read(pieces: &[Bytes], limit: usize) -> Result<Bytes, (usize, u32)> {
    let mut received = Received::new(limit);
    for (at, piece) in pieces.iter().enumerate() {
        received.push(piece.clone()).map_err(|status| (at, status.code() as u32))?;
    }
    received.finish().map_err(|status| (pieces.len(), status.code() as u32))
}

/// As [`crate::fuzz_bridge::grpc::read_timeout`].
pub(crate) fn read_timeout(value: &HeaderValue) -> Result<Duration, u32> {
    let name = HeaderName::from_static("grpc-timeout");
    let headers = HeaderMap::from_iter([(name, value.clone())]);
    let read = timeout(&headers).map_err(|status| status.code() as u32)?;
    Ok(read.unwrap_or_default())
}
