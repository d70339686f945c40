//! The double's end of a connection: one call after the other, each with its answer.

use std::io;

use bytes::BytesMut;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::sleep;

use super::answer::{Answer, By, Fault};
use super::double::Inner;
use super::received::ReceivedCall;
use crate::server::request::{HookRequest, Incoming};
use crate::wire::FRAME_HEADER;
use crate::wire::codec::FrameDecoder;
use crate::wire::proto::InvokeHookResponse;
use crate::wire::request::EncodedFrame;

/// Field 1 with wire type 7, which protobuf does not have.
const NO_PROTOBUF: &[u8] = &[0x0f];

/// What goes onto the line.
enum Sent {
    Reply(EncodedFrame),
    /// The end of the line comes behind it.
    Last(EncodedFrame),
    /// Nothing, ever.
    Nothing,
}

impl Inner {
    /// Answers until the caller leaves, or an answer is the last.
    pub(super) async fn serve(&self, mut line: DuplexStream) -> io::Result<()> {
        let mut frames = FrameDecoder::new(self.max_frame_len());
        let mut input = BytesMut::new();
        loop {
            while let Some(message) = frames.next(&mut input)? {
                match self.answer(&message).await {
                    Sent::Reply(frame) => line.write_all(&frame).await?,
                    Sent::Last(frame) => return line.write_all(&frame).await,
                    Sent::Nothing => return until_closed(line).await,
                }
            }
            if line.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn answer(&self, message: &[u8]) -> Sent {
        let Incoming::Hook(request) = Incoming::read(message) else {
            return sent(self.service.answer(message).await);
        };
        self.calls.add(ReceivedCall::read(&request));
        let Answer { by, delay, fault } = self.next_answer();
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let reply = match by {
            By::Handlers => self.service.answer(message).await,
            By::Script(plugin) => self.service.answer_by(Some(&*plugin), &request).await,
        };
        match (fault, reply) {
            (Some(fault), Some(reply)) => self.spoil(reply, fault, &request).await,
            (_, reply) => sent(reply),
        }
    }

    /// Does to a reply what a broken server would.
    async fn spoil(&self, reply: EncodedFrame, fault: Fault, request: &HookRequest<'_>) -> Sent {
        let message = match fault {
            Fault::Silence => return Sent::Nothing,
            Fault::Close => return Sent::Last(EncodedFrame::new()),
            Fault::Cut => return Sent::Last(reply[..reply.len() / 2].to_vec()),
            Fault::TooLarge => return Sent::Reply(u32::MAX.to_be_bytes().to_vec()),
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
                let failed = self.service.answer_by(Some(&*failing), request).await;
                let error = failed.and_then(|reply| decoded(&reply).error);
                changed(&reply, |reply| reply.error = error)
            }
        };
        Sent::Reply(frame(&message))
    }
}

/// A reply that fits into no frame is none, and ends the connection.
fn sent(reply: Option<EncodedFrame>) -> Sent {
    reply.map_or(Sent::Last(EncodedFrame::new()), Sent::Reply)
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
