//! Whether the server takes calls, as `cpex.Health` and `grpc.health.v1.Health` tell.

use futures::stream;
use prost::Message as _;
use tokio::sync::watch;

use super::body::Messages;
use super::status::{Code, Status};
use crate::server::listener::Run;
use crate::wire::proto::HealthCheckRequest;
use crate::wire::proto::health_check_response::ServingStatus;
use crate::wire::request::EncodedFrame;

/// Those that `grpc.health.v1` can be asked about; the empty name is the whole server.
const SERVICES: [&str; 4] = ["", "cpex.PluginService", "cpex.Health", "grpc.health.v1.Health"];

/// Answers `cpex.Health/Check`: whatever it asks about, as the reference does.
pub(super) fn check_any(message: &[u8], serving: bool) -> Result<EncodedFrame, Status> {
    asked(message)?;
    Ok(reply(status(serving)))
}

/// Answers `grpc.health.v1.Health/Check`.
pub(super) fn check(message: &[u8], serving: bool) -> Result<EncodedFrame, Status> {
    if !SERVICES.contains(&&*asked(message)?) {
        return Err(Status::new(Code::NotFound, "no such service"));
    }
    Ok(reply(status(serving)))
}

/// Answers `grpc.health.v1.Health/Watch`: what holds now, then each change, until the server
/// stops.
pub(super) fn watch(
    message: &[u8],
    serving: watch::Receiver<bool>,
    run: watch::Receiver<Run>,
) -> Result<Messages, Status> {
    let known = SERVICES.contains(&&*asked(message)?);
    let state = (None, serving, run);
    Ok(Box::pin(stream::unfold(state, move |(told, mut serving, mut run)| async move {
        let next = next(told, &mut serving, &mut run).await?;
        let status = if known { status(next) } else { ServingStatus::ServiceUnknown };
        Some((reply(status), (Some(next), serving, run)))
    })))
}

/// What holds, once that is another thing than was told; `None` when the server stops and
/// that is told.
async fn next(
    told: Option<bool>,
    serving: &mut watch::Receiver<bool>,
    run: &mut watch::Receiver<Run>,
) -> Option<bool> {
    let changed = async {
        let held = serving.wait_for(|&serving| told != Some(serving)).await;
        held.ok().map(|serving| *serving)
    };
    tokio::select! {
        biased;
        changed = changed => changed,
        () = Run::Drain.reaches(run) => None,
    }
}

fn asked(message: &[u8]) -> Result<String, Status> {
    let odd = |_| Status::new(Code::InvalidArgument, "the request is no HealthCheckRequest");
    HealthCheckRequest::decode(message).map(|request| request.service).map_err(odd)
}

fn status(serving: bool) -> ServingStatus {
    if serving { ServingStatus::Serving } else { ServingStatus::NotServing }
}

/// A HealthCheckResponse: its one field, a small number.
fn reply(status: ServingStatus) -> EncodedFrame {
    vec![0, 0, 0, 2, 0x08, status as u8]
}
