//! One connection of a faulty server: its calls side by side, and what befalls all of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::{self, Connection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::call::Call;
use super::member::Member;
use super::service::Service;
use super::wire::{Flow, Wire};
use crate::dice::Dice;
use crate::fault::Fault;

/// Above what any client waits for.
const LONG: Duration = Duration::from_secs(5);

/// Serves until the connection is over. Dropped, the connection is closed.
pub(crate) async fn serve(stream: TcpStream, member: Arc<Member>, number: usize) {
    let dice = member.site.dice(member.index, number, 0);
    let valve = member.valve();
    let wire = Wire::new(stream, Arc::clone(&valve));
    let service = Arc::new(Service::new(member, valve));
    match service.member.acceptor() {
        // A client that does not trust this server says so, and leaves.
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(wire).await {
                Serving::new(service, number, dice).run(stream).await;
            }
        }
        None => Serving::new(service, number, dice).run(wire).await,
    }
}

struct Serving {
    service: Arc<Service>,
    number: usize,
    faults: Vec<Fault>,
    /// New ones for each fault: how one goes on must not change what the next is like.
    dice: Dice,
    turn: u32,
    /// Calls until the next fault.
    gap: usize,
    /// With them end the calls.
    tasks: JoinSet<()>,
    /// Streams from this one on are not looked at.
    passed_over: Option<u32>,
    /// Those; dropped, they would be reset.
    ignored: Vec<(h2::RecvStream, server::SendResponse<Bytes>)>,
}

impl Serving {
    fn new(service: Arc<Service>, number: usize, dice: Dice) -> Self {
        let faults = service.member.site.connection_faults();
        let (passed_over, ignored, tasks) = (None, Vec::new(), JoinSet::new());
        let mut new =
            Self { service, number, faults, dice, turn: 0, gap: 0, tasks, passed_over, ignored };
        new.begin_turn();
        new
    }

    fn begin_turn(&mut self) {
        let site = &self.service.member.site;
        let quiet = self.faults.is_empty();
        self.gap = if quiet { usize::MAX } else { self.dice.gap(site.gap()) };
    }

    /// True if this fault, which is for a connection's beginning, is to be now.
    fn begins_with(&mut self, fault: Fault) -> bool {
        let site = &self.service.member.site;
        let now = self.faults.contains(&fault) && self.dice.one_in(20) && !site.is_calm();
        if now {
            site.faults.add(fault);
        }
        now
    }

    async fn run(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        if self.begins_with(Fault::AcceptThenClose) {
            return;
        }
        let mut builder = server::Builder::new();
        if self.begins_with(Fault::FewStreams) {
            builder.max_concurrent_streams(self.dice.between(1, 4) as u32);
        }
        let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
        let mut stopping = self.service.member.stopping();
        loop {
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        self.accept(request, respond, &mut connection);
                    }
                    Some(Err(_)) | None => return,
                },
                Some(_) = self.tasks.join_next() => {}
                _ = stopping.changed() => connection.graceful_shutdown(),
            }
        }
    }

    fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        request: http::Request<h2::RecvStream>,
        respond: server::SendResponse<Bytes>,
        connection: &mut Connection<S, Bytes>,
    ) {
        let (head, body) = request.into_parts();
        let site = Arc::clone(&self.service.member.site);
        let path = head.uri.path().rsplit('/').next().unwrap_or_default();
        let service = Arc::clone(&self.service);
        let is_hook = path == "InvokeHook";
        let fault = if is_hook { self.next_fault() } else { None };
        let dice = site.dice(service.member.index, self.number, self.turn | 1 << 31);
        let stream = u32::from(respond.stream_id());
        let of_call = fault.filter(|fault| !self.befalls(*fault, stream, connection));
        if self.passed_over.is_some_and(|first| stream >= first) {
            return self.ignored.push((body, respond));
        }
        let call = Call { body, respond, service, dice };
        if is_hook {
            self.tasks.spawn(call.hook(of_call));
        } else if path == "Check" {
            // Later ones a client makes by itself.
            if !self.service.is_first_check() {
                site.asked();
            }
            self.tasks.spawn(call.check());
        } else {
            self.tasks.spawn(call.config());
        }
    }

    /// What goes wrong with this call, or beside it.
    fn next_fault(&mut self) -> Option<Fault> {
        if self.gap > 0 {
            self.gap -= 1;
            return None;
        }
        let site = Arc::clone(&self.service.member.site);
        self.turn += 1;
        self.dice = site.dice(self.service.member.index, self.number, self.turn);
        self.begin_turn();
        let fault = self.dice.pick(&self.faults);
        let begins = matches!(fault, Fault::AcceptThenClose | Fault::FewStreams);
        (!site.is_calm() && !begins).then_some(fault)
    }

    /// A fault of the whole connection, if this is one. Its call is answered as it should be.
    fn befalls<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        fault: Fault,
        stream: u32,
        connection: &mut Connection<S, Bytes>,
    ) -> bool {
        let dice = &mut self.dice;
        let valve = Arc::clone(&self.service.valve);
        let member = Arc::clone(&self.service.member);
        match fault {
            Fault::GoAway => connection.graceful_shutdown(),
            Fault::GoAwayAbrupt => {
                connection.abrupt_shutdown(Reason::from(dice.below(14) as u32));
            }
            // What goes into the bytes of HTTP/2 cannot go into those of TLS: nothing happens.
            Fault::GoAwayBehind | Fault::FewerStreams if member.has_tls() => return true,
            Fault::GoAwayBehind if self.passed_over.is_none() => {
                let last = stream.saturating_sub(2).to_be_bytes();
                let code = if dice.one_in(2) { 0 } else { dice.below(14) as u32 }.to_be_bytes();
                valve.write_aside(&[&[0, 0, 8, 7, 0, 0, 0, 0, 0], &last[..], &code].concat());
                self.passed_over = Some(stream);
                self.tasks.spawn(async move {
                    let _ = timeout(LONG, member.site.calmed()).await;
                    // A client that waits for what is not looked at.
                    valve.cut_when_written(0);
                });
            }
            Fault::FewerStreams => {
                // h2 has no way to say that, but to say something else of itself.
                let streams = dice.between(1, 4) as u8;
                let setting = |id, high| [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, id, 0, high, 0, streams];
                if connection.set_initial_window_size(1 << 16 | u32::from(streams)).is_err() {
                    // The last one has not been acknowledged, or is not even written.
                    return true;
                }
                valve.write_instead(setting(4, 1), setting(3, 0));
            }
            Fault::CutInFrame if dice.one_in(2) => valve.cut_when_read(dice.between(1, 2_000)),
            Fault::CutInFrame => valve.cut_when_written(dice.between(1, 2_000)),
            Fault::StopsReading => {
                let time = dice.millis(5.0, 500.0);
                valve.set(Flow::Unread);
                self.tasks.spawn(async move {
                    sleep(time).await;
                    valve.set(member.flow());
                });
            }
            Fault::SlowReader => {
                let (turns, time) = (dice.between(1, 50), dice.millis(0.2, 5.0));
                self.tasks.spawn(async move {
                    for _ in 0..turns {
                        valve.set(Flow::Unread);
                        sleep(time).await;
                        valve.set(member.flow());
                        sleep(time / 10).await;
                    }
                });
            }
            Fault::Swallowed => {
                valve.set(Flow::Lost);
                self.tasks.spawn(async move {
                    let _ = timeout(LONG, member.site.calmed()).await;
                    // What was lost is missing.
                    valve.cut_when_written(0);
                });
            }
            _ => return false,
        }
        self.service.member.site.faults.add(fault);
        true
    }
}
