//! One call of a faulty server: honest work, or a fault in its place or beside it.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::StatusCode;
use prost::Message as _;
use prost_types::value::Kind;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::envelope::{End, Envelope, framed, refuse};
use super::service::Service;
use crate::answer::honest;
use crate::dice::Dice;
use crate::fault::Fault;
use crate::site::marker;
use crate::work::{Marker, text};
use fault_server::{Reply, Request, config_reply, fields};

/// How long a server waits for something that may never come.
const PATIENCE: Duration = Duration::from_millis(50);

/// Above what any client waits for.
const LONG: Duration = Duration::from_secs(5);

/// More than a client takes without reading.
const MORE_THAN_FITS: usize = 768 * 1024;

/// A flag, and the length of the message in four bytes.
const PREFIX: usize = 5;

/// More than any client takes.
const OVERSIZE: usize = 16 * 1024 * 1024 + 1;

const REFUSED: u32 = 7;
const DEADLINE_EXCEEDED: u32 = 4;

pub(crate) struct Call {
    pub(crate) body: RecvStream,
    pub(crate) respond: SendResponse<Bytes>,
    pub(crate) service: Arc<Service>,
    pub(crate) dice: Dice,
}

impl Call {
    /// A hook call; with a fault, if there is to be one.
    pub(crate) async fn hook(mut self, fault: Option<Fault>) {
        let site = Arc::clone(&self.service.member.site);
        if let Some(fault) = fault
            && self.fails_before(fault)
        {
            return;
        }
        let Some(message) = self.read().await else { return };
        let request = Request::read(&message);
        let Some(marker) = marker(&request) else { return };
        site.run(&request);
        let reply = honest(&request, site.contexts, 0);
        // One that has come later than the end of the faults is answered.
        match fault.filter(|_| !site.is_calm()) {
            Some(fault) => self.act(fault, &request, marker, reply).await,
            None => self.answer(reply).await,
        }
    }

    /// The question for the plugin's configuration.
    pub(crate) async fn config(mut self) {
        if self.read().await.is_none() {
            return;
        }
        let site = &self.service.member.site;
        site.asked();
        let reply = config_reply(&site.name, &["tool_pre_invoke"]);
        Envelope::of(&reply).send(&mut self.respond).await;
    }

    /// Whether somebody is there.
    pub(crate) async fn check(mut self) {
        if self.read().await.is_none() {
            return;
        }
        let status = if self.service.member.is_serving() { 1 } else { 2 };
        Envelope::of(&[8, status]).send(&mut self.respond).await;
    }

    /// A fault in the place of the hook. Whether it has been one.
    fn fails_before(&mut self, fault: Fault) -> bool {
        let reason = match fault {
            Fault::RefusedStream if !self.service.member.site.lies() => REFUSED,
            Fault::StreamReset if self.dice.one_in(3) => other_reason(&mut self.dice),
            Fault::Status if self.dice.one_in(2) => {
                self.service.member.site.faults.add(fault);
                // Not that the time is over: nobody has read whose it is.
                let code = status(&mut self.dice, DEADLINE_EXCEEDED + 1);
                refuse(code, &mut self.respond);
                return true;
            }
            _ => return false,
        };
        self.service.member.site.faults.add(fault);
        self.respond.send_reset(Reason::from(reason));
        true
    }

    /// A fault after the hook has run.
    async fn act(mut self, fault: Fault, request: &Request, marker: Marker, reply: Reply) {
        let site = Arc::clone(&self.service.member.site);
        if fault == Fault::Swapped {
            return self.swap(reply).await;
        }
        site.faults.add(fault);
        let message = reply.0.encode_to_vec();
        let whole = framed(0, &message);
        let dice = &mut self.dice;
        let envelope = match fault {
            Fault::Delay => {
                sleep(dice.millis(1.0, 100.0)).await;
                Envelope::of(&message)
            }
            Fault::Stall => {
                // Dropped, its stream is reset.
                let respond = &mut self.respond;
                let left = poll_fn(|cx| respond.poll_reset(cx));
                tokio::select! {
                    _ = left => {}
                    _ = timeout(LONG, site.calmed()) => {}
                }
                return;
            }
            Fault::SplitReply => {
                // Every byte of a small reply, and as often the first few of a large one.
                let most = if dice.one_in(2) { whole.len().min(16) } else { whole.len() };
                Envelope::of(&message).split(dice.below(most), dice.millis(0.2, 20.0))
            }
            Fault::AnswersOnlyWhenRead => {
                let mut reply = reply;
                let ballast = Kind::StringValue(text()[..MORE_THAN_FITS].to_owned());
                if let Some(result) = &mut reply.0.result {
                    let ballast = Kind::StructValue(fields([("ballast", ballast)]));
                    let ballast = prost_types::Value { kind: Some(ballast) };
                    result.fields.insert("metadata".into(), ballast);
                }
                return self.answer(reply).await;
            }
            Fault::WrongName => {
                let name = dice.pick(&["", "Plugin", "plugin0", "Somebody"]);
                return self.answer(reply.named(name)).await;
            }
            Fault::WrongRequestId => {
                return self.answer(reply.with_state("another", "number", "none")).await;
            }
            Fault::NoVerdict => {
                let verdict = dice.one_in(2).then_some(Kind::StringValue("true".into()));
                return self.answer(Reply::to(request).with_verdict(verdict)).await;
            }
            Fault::ConfigReply => Envelope::of(&config_reply(&site.name, &["tool_pre_invoke"])),
            Fault::ZeroLength => Envelope::of(&[]),
            Fault::Garbage => {
                let count = dice.between(1, 2000);
                let bytes = dice.bytes(count);
                if dice.one_in(2) { Envelope::of(&bytes) } else { Envelope::raw(bytes.into()) }
            }
            Fault::RefusedStream => return self.respond.send_reset(Reason::REFUSED_STREAM),
            Fault::CloseBeforeReply => return self.service.valve.cut_when_written(0),
            Fault::CloseAfterReply => {
                self.service.valve.cut_when_written(whole.len() + dice.between(0, 200));
                Envelope::of(&message)
            }
            Fault::StreamReset => {
                if dice.one_in(2) {
                    return self.respond.send_reset(Reason::from(other_reason(dice)));
                }
                let reason = Reason::from(other_reason(dice));
                let part = &whole[..dice.below(whole.len())];
                Envelope::raw(part.to_vec().into()).ending(End::Reset(reason))
            }
            Fault::Status => {
                let code = status(dice, 1);
                if code == DEADLINE_EXCEEDED {
                    site.ledger.overdue(marker);
                }
                return refuse(code, &mut self.respond);
            }
            _ => {
                // What is in it would do, and does not count.
                site.ledger.void(marker);
                void(fault, whole, dice)
            }
        };
        envelope.send(&mut self.respond).await;
    }

    async fn answer(mut self, reply: Reply) {
        let message = reply.0.encode_to_vec();
        let Some((first, other)) = self.service.take_swap() else {
            return Envelope::of(&message).send(&mut self.respond).await;
        };
        let mine = match other.send(message.clone()) {
            Ok(()) => first,
            Err(_) => message,
        };
        Envelope::of(&mine).send(&mut self.respond).await;
    }

    /// Answers two calls with each other's replies, if there are two.
    async fn swap(mut self, reply: Reply) {
        let message = reply.0.encode_to_vec();
        let (sender, other) = oneshot::channel();
        self.service.offer_swap((message.clone(), sender));
        let other = timeout(PATIENCE, other).await;
        let message = match other {
            Ok(Ok(other)) => {
                self.service.member.site.faults.add(Fault::Swapped);
                other
            }
            _ => message,
        };
        Envelope::of(&message).send(&mut self.respond).await;
    }

    /// The whole request, unless its client has left.
    async fn read(&mut self) -> Option<Bytes> {
        let mut bytes = BytesMut::new();
        while let Some(data) = self.body.data().await {
            let data = data.ok()?;
            let _ = self.body.flow_control().release_capacity(data.len());
            bytes.extend_from_slice(&data);
        }
        (bytes.len() >= PREFIX).then(|| bytes.freeze().split_off(PREFIX))
    }
}

/// An honest message in a way that is no reply.
fn void(fault: Fault, mut whole: Vec<u8>, dice: &mut Dice) -> Envelope {
    match fault {
        Fault::Duplicated => Envelope::raw([whole.clone(), whole].concat().into()),
        Fault::CutReply => {
            whole.truncate(dice.below(whole.len()));
            Envelope::raw(whole.into())
        }
        Fault::OversizeLength => {
            let length = dice.between(OVERSIZE, u32::MAX as usize) as u32;
            whole[1..PREFIX].copy_from_slice(&length.to_be_bytes());
            Envelope::raw(whole.into())
        }
        Fault::Compressed => {
            whole[0] = dice.between(1, 255) as u8;
            Envelope::raw(whole.into())
        }
        Fault::StatusBesideReply => {
            Envelope::raw(whole.into()).ending(End::Status(status(dice, 5)))
        }
        Fault::NoStatus => Envelope::raw(whole.into()).ending(End::Silently),
        Fault::NotGrpc if dice.one_in(2) => {
            let kind = dice.pick(&["text/html", "application/json", "application/grpcx", ""]);
            Envelope { kind, ..Envelope::raw(whole.into()) }
        }
        Fault::NotGrpc => {
            let http = dice.pick(&[201, 204, 302, 400, 401, 403, 404, 429, 500, 502, 503, 504]);
            let http = StatusCode::from_u16(http).expect("a status");
            Envelope { http, ..Envelope::raw(whole.into()) }
        }
        // No message.
        _ => Envelope::raw(Bytes::new()),
    }
}

/// Any that is not OK, from this one on.
fn status(dice: &mut Dice, least: u32) -> u32 {
    match dice.below(20) {
        0 => dice.pick(&[17, 99, u32::MAX]),
        _ => dice.between(least as usize, 16) as u32,
    }
}

/// Any reason for a reset but `REFUSED_STREAM`, those included that nobody knows.
fn other_reason(dice: &mut Dice) -> u32 {
    match dice.between(0, 14) as u32 {
        REFUSED => 0x77,
        reason => reason,
    }
}
