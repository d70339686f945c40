//! Whether a server is there: `cpex.Health/Check`, asked and understood.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::call::{Fault, call};
use super::sender::Sender;
use crate::error::Cause;
use crate::wire::proto::HealthCheckResponse;
use crate::wire::proto::health_check_response::ServingStatus;

/// More than a server's status needs.
const MAX_CHECK_LEN: usize = 1024;

/// The frame of a message that is empty.
const EMPTY: &[u8] = &[0; 4];

/// What a server is told of the time there is. Those who ask wait for as long as each of them
/// likes, and its stream is reset when the last one has left.
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) type Answer = Result<(), Trouble>;

/// Why a server cannot be used.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// It says so itself.
    NotServing,
    /// There was no stream left to ask it on.
    NotAsked,
    Failed(Arc<io::Error>),
}

impl Trouble {
    pub(crate) fn into_error(self) -> Arc<io::Error> {
        match self {
            Self::NotServing => Arc::new(io::Error::other(NOT_SERVING)),
            Self::NotAsked => Arc::new(io::Error::other("calls have all streams")),
            Self::Failed(error) => error,
        }
    }
}

const NOT_SERVING: &str =
    "the server says that it is not serving (NOT_SERVING): it is starting, or about to stop";

/// Asks a server whether it is there. One that does not know the question is there; what answers
/// without gRPC, a proxy say, is not that server.
pub(super) async fn check(sender: Sender, path: http::Uri) -> Answer {
    let frame = Bytes::from_static(EMPTY);
    let failed = |error| Err(Trouble::Failed(Arc::new(error)));
    match call(&sender, &path, frame, WITHIN, MAX_CHECK_LEN).await {
        Ok(message) => match HealthCheckResponse::decode(message) {
            Ok(answer) if answer.status() == ServingStatus::NotServing => Err(Trouble::NotServing),
            Ok(_) => Ok(()),
            Err(error) => {
                let words = format!("the answer to `cpex.Health/Check` cannot be read: {error}");
                failed(io::Error::new(io::ErrorKind::InvalidData, words))
            }
        },
        Err(Fault::Status(status)) if status.is_alive() => Ok(()),
        Err(Fault::Status(status)) => failed(status.into_io()),
        Err(Fault::Unsent(error) | Fault::Refused(error) | Fault::PassedOver(error)) => {
            Err(Trouble::Failed(error))
        }
        Err(Fault::Lost(cause) | Fault::Failed(cause)) => match cause {
            Cause::Disconnected(error) | Cause::Framing(error) => Err(Trouble::Failed(error)),
            cause => failed(io::Error::other(cause.to_string())),
        },
    }
}
