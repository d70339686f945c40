//! One call: from its HTTP/2 stream to its response.
//!
//! A client that resets its stream, or whose time is over, has left: the handler is
//! dropped where it stands.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Shared;
use super::activity::Busy;
use super::body::{self, Reply};
use super::config::CALL;
use super::health;
use super::memory::{Full, Held, Share};
use super::message::{self, Received};
use super::status::{Code, Status};
use crate::server::request::{HookRequest, config_name};
use crate::wire::request::EncodedFrame;

/// What can be called.
#[derive(Debug, Clone, Copy)]
enum Method {
    InvokeHook,
    GetPluginConfig,
    GetPluginConfigs,
    /// `cpex.Health`.
    CheckAny,
    /// `grpc.health.v1.Health`.
    Check,
    Watch,
}

impl Method {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/cpex.PluginService/InvokeHook" => Self::InvokeHook,
            "/cpex.PluginService/GetPluginConfig" => Self::GetPluginConfig,
            "/cpex.PluginService/GetPluginConfigs" => Self::GetPluginConfigs,
            "/cpex.Health/Check" => Self::CheckAny,
            "/grpc.health.v1.Health/Check" => Self::Check,
            "/grpc.health.v1.Health/Watch" => Self::Watch,
            _ => return None,
        })
    }
}

/// Answers a call. The connection is busy for as long, and holds what the call takes.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    busy: Busy,
    share: Arc<Share>,
) -> Response<Reply> {
    if request.method() != http::Method::POST {
        return body::http_error(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !message::is_grpc(request.headers()) {
        return body::http_error(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    within_its_time(&shared, request, busy, share)
        .await
        .unwrap_or_else(|status| body::refused(&status))
}

async fn within_its_time(
    shared: &Shared,
    request: Request<Incoming>,
    busy: Busy,
    share: Arc<Share>,
) -> Result<Response<Reply>, Status> {
    let unknown = || Status::new(Code::Unimplemented, "Method not found!");
    let method = Method::of(request.uri().path()).ok_or_else(unknown)?;
    let time = message::timeout(request.headers())?;
    // On the heap: a stream's task is as large as its largest state, whatever it does.
    let answer: Pin<Box<dyn Future<Output = _> + Send>> =
        Box::pin(dispatch(shared, method, request.into_body(), busy, share));
    match time {
        None => answer.await,
        // A timeout of nothing would still begin.
        Some(Duration::ZERO) => Err(too_late()),
        Some(time) => timeout(time, answer).await.unwrap_or_else(|_| Err(too_late())),
    }
}

fn too_late() -> Status {
    Status::new(Code::DeadlineExceeded, "the time of the call was over")
}

async fn dispatch(
    shared: &Shared,
    method: Method,
    request: Incoming,
    busy: Busy,
    share: Arc<Share>,
) -> Result<Response<Reply>, Status> {
    let mut held = share.hold(CALL).map_err(|full| no_room(shared, full))?;
    let message = read_in_time(request, shared, &mut held).await?;
    let serving = || *shared.serving.borrow();
    let malformed = |kind| Status::new(Code::InvalidArgument, format!("the request is no {kind}"));
    let reply = match method {
        Method::InvokeHook => {
            let call = HookRequest::read(&message).ok_or_else(|| malformed("InvokeHookRequest"))?;
            // A reset that came with the request is looked for before the handler begins.
            tokio::task::yield_now().await;
            invoke(shared, &call).await?
        }
        Method::GetPluginConfig => {
            let name = config_name(&message).ok_or_else(|| malformed("GetPluginConfigRequest"))?;
            shared.service.answer_config(name)
        }
        // It has no fields: every message is one.
        Method::GetPluginConfigs => shared.service.answer_configs(),
        Method::CheckAny => health::check_any(&message, serving())?,
        Method::Check => health::check(&message, serving())?,
        Method::Watch => {
            let (serving, run) = (shared.serving.clone(), shared.run.clone());
            return Ok(body::stream(health::watch(&message, serving, run)?, busy.watch(), held));
        }
    };
    // In the place of its request, so that a reply of that size always finds one.
    drop(message);
    held.resize(CALL + reply.len()).map_err(|Full| {
        shared.service.refuse();
        let reason = "no room for the reply, with what is held for this client already";
        Status::new(Code::ResourceExhausted, reason)
    })?;
    Ok(body::unary(reply, busy, held))
}

fn no_room(shared: &Shared, Full: Full) -> Status {
    shared.service.refuse();
    let reason = "no room for the request, with what is held for this client already";
    Status::new(Code::ResourceExhausted, reason)
}

async fn invoke(shared: &Shared, call: &HookRequest<'_>) -> Result<EncodedFrame, Status> {
    let too_large = || Status::new(Code::Internal, "the reply is beyond `max_frame_len`");
    shared.service.answer_call(call).await.ok_or_else(too_large)
}

/// The message of a unary call. A client that takes too long to send it is waited for no
/// longer, however it trickles.
async fn read_in_time(body: Incoming, shared: &Shared, held: &mut Held) -> Result<Bytes, Status> {
    let too_slow = |_| Status::new(Code::DeadlineExceeded, "the request did not come in time");
    timeout(shared.limits.transfer_timeout, read(body, shared, held)).await.map_err(too_slow)?
}

async fn read(mut body: Incoming, shared: &Shared, held: &mut Held) -> Result<Bytes, Status> {
    let full = |full| no_room(shared, full);
    let mut received = Received::new(shared.limits.max_request_len);
    let mut has_room = false;
    while let Some(frame) = body.frame().await {
        let broken = |_| Status::new(Code::InvalidArgument, "the request broke off");
        // Trailers are none, and a request has no use for them.
        let Ok(chunk) = frame.map_err(broken)?.into_data() else { continue };
        received.push(chunk)?;
        if !has_room && let Some(len) = received.whole()? {
            // Not begun where its end would find no room.
            held.could_be(CALL + len).map_err(full)?;
            has_room = true;
        }
        held.resize(CALL + received.held()).map_err(full)?;
    }
    received.finish()
}
