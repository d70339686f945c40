//! The double's end of a connection: one call after the other, each with its answer.

use std::io;

use bytes::BytesMut;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::sleep;

use super::answer::{Answer, By, Fault};
use super::received::ReceivedCall;
use super::state::State;
use crate::server::PluginService;
use crate::server::request::{HookRequest, Incoming};
use crate::wire::FRAME_HEADER;
use crate::wire::codec::FrameDecoder;
use crate::wire::proto::InvokeHookResponse;
use crate::wire::request::EncodedFrame;

/// Field 1 with wire type 7, which protobuf does not have.
const NO_PROTOBUF: &[u8] = &[0x0f];

/// What goes onto the line.
enum Said {
    Reply(EncodedFrame),
    /// The end of the line comes behind it.
    Last(EncodedFrame),
    /// Nothing, ever.
    Nothing,
}

impl State {
    /// Answers until the caller leaves, or an answer is the last.
    pub(super) async fn serve(&self, mut line: DuplexStream) -> io::Result<()> {
        let service = self.service();
        let mut frames = FrameDecoder::new(self.max_frame_len());
        let mut input = BytesMut::new();
        loop {
            while let Some(message) = frames.next(&mut input)? {
                match self.answer(&service, &message).await {
                    Said::Reply(frame) => line.write_all(&frame).await?,
                    Said::Last(frame) => return line.write_all(&frame).await,
                    Said::Nothing => return until_closed(line).await,
                }
            }
            if line.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn answer(&self, service: &PluginService, message: &[u8]) -> Said {
        let Incoming::Hook(request) = Incoming::read(message) else {
            return said(service.answer(message).await);
        };
        let call = ReceivedCall::read(&request);
        self.calls.add(call.clone());
        let Answer { by, delay, fault } = self.answer_to(&call);
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let reply = match by {
            By::Handlers => service.answer(message).await,
            By::Script(plugin) => service.answer_by(Some(&*plugin), &request).await,
        };
        match (fault, reply) {
            (Some(fault), Some(reply)) => spoil(service, reply, fault, &request).await,
            (_, reply) => said(reply),
        }
    }
}

/// Does to a reply what a broken server would.
async fn spoil(
    service: &PluginService,
    reply: EncodedFrame,
    fault: Fault,
    request: &HookRequest<'_>,
) -> Said {
    let message = match fault {
        Fault::Silence => return Said::Nothing,
        Fault::Close => return Said::Last(EncodedFrame::new()),
        Fault::Cut => return Said::Last(reply[..reply.len() / 2].to_vec()),
        Fault::TooLarge => return Said::Reply(u32::MAX.to_be_bytes().to_vec()),
        Fault::Garbage => NO_PROTOBUF.to_vec(),
        Fault::WithoutVerdict => changed(&reply, |reply| {
            reply.result.get_or_insert_default().fields.remove("continue_processing");
        }),
        Fault::OfAnotherCall => changed(&reply, |reply| {
            let context = reply.context.get_or_insert_default();
            let global = context.global_context.get_or_insert_default();
            global.request_id.push_str("another request");
        }),
        Fault::Empty => changed(&reply, |reply| reply.result = None),
        Fault::Beside(failing) => {
            let failed = service.answer_by(Some(&*failing), request).await;
            let error = failed.and_then(|reply| decoded(&reply).error);
            changed(&reply, |reply| reply.error = error)
        }
    };
    Said::Reply(frame(&message))
}

/// A reply that fits into no frame is none, and ends the connection.
fn said(reply: Option<EncodedFrame>) -> Said {
    reply.map_or(Said::Last(EncodedFrame::new()), Said::Reply)
}

fn decoded(frame: &EncodedFrame) -> InvokeHookResponse {
    // The embedded server has written it.
    InvokeHookResponse::decode(&frame[FRAME_HEADER..]).unwrap_or_default()
}

fn changed(frame: &EncodedFrame, change: impl FnOnce(&mut InvokeHookResponse)) -> Vec<u8> {
    let mut reply = decoded(frame);
    change(&mut reply);
    reply.encode_to_vec()
}

fn frame(message: &[u8]) -> EncodedFrame {
    [&(message.len() as u32).to_be_bytes(), message].concat()
}

/// Reads on, so that the caller can write and its leaving is noticed.
async fn until_closed(mut line: DuplexStream) -> io::Result<()> {
    let mut input = BytesMut::new();
    while line.read_buf(&mut input).await? > 0 {
        input.clear();
    }
    Ok(())
}
