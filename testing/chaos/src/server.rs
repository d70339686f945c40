//! A faulty server, and each of its connections: honest work, and a fault every now and then.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use prost_types::value::Kind;
use tokio::time::{sleep, timeout};

use crate::answer::{honest, invented};
use crate::dice::Dice;
use crate::fault::Fault;
use crate::site::Site;
use crate::work::text;
use fault_server::{Connection, FaultServer, Reply, Request, config_reply, fields, frame};

/// How long a server waits for something that may never come.
const PATIENCE: Duration = Duration::from_millis(50);

/// Above what any client waits for: it closes first.
const LONG: Duration = Duration::from_secs(5);

/// More than the kernel keeps for a connection.
const MORE_THAN_FITS: usize = 768 * 1024;

/// A connection, as the server has it.
struct Service {
    connection: Connection,
    site: Arc<Site>,
    /// Of its server.
    version: usize,
    /// New ones for each fault: how one goes on must not change what the next is like.
    dice: Dice,
    /// A reply was left out: since then no answer is where it belongs.
    damaged: bool,
}

/// A plugin's first server, which does not listen yet.
pub(crate) fn first(site: &Arc<Site>) -> FaultServer {
    let site = Arc::clone(site);
    let server = FaultServer::absent(move |connection| serve(connection, Arc::clone(&site), 0));
    server.without_history()
}

/// A server of the next version takes the path of this one over.
pub(crate) fn successor(site: &Arc<Site>, server: &FaultServer) -> FaultServer {
    site.replace(|version| {
        let site = Arc::clone(site);
        server.succeeded_by(move |connection| serve(connection, Arc::clone(&site), version))
    })
}

async fn serve(connection: Connection, site: Arc<Site>, version: usize) -> io::Result<()> {
    let dice = site.dice(version, connection.number, 0);
    Service { connection, site, version, dice, damaged: false }.run().await
}

impl Service {
    async fn run(&mut self) -> io::Result<()> {
        let faults = self.site.connection_faults();
        if faults.contains(&Fault::AcceptThenClose) && self.dice.one_in(20) && !self.site.is_calm()
        {
            return self.close(Fault::AcceptThenClose);
        }
        for turn in 1.. {
            self.dice = self.site.dice(self.version, self.connection.number, turn);
            let gap = if faults.is_empty() { usize::MAX } else { self.dice.gap(self.site.gap()) };
            for _ in 0..gap {
                let request = self.take().await?;
                self.site.thawed().await;
                self.connection.reply(self.honest(&request)).await?;
            }
            let fault = self.dice.pick(&faults);
            if !self.site.is_calm() && fault != Fault::AcceptThenClose {
                self.act(fault).await?;
            }
        }
        Ok(())
    }

    /// The next call, whose hook runs now; questions are answered on the way. Dropped
    /// while it waits, it loses nothing.
    async fn take(&mut self) -> io::Result<Request> {
        loop {
            self.site.thawed().await;
            let request = tokio::select! {
                request = self.connection.request() => request?,
                // What is broken does not outlast the faults.
                () = self.site.calmed(), if self.damaged => return Err(closed()),
            };
            if matches!(request, Request::Hook(_)) {
                self.site.run(&request);
                return Ok(request);
            }
            self.site.thawed().await;
            self.site.asked();
            self.connection.answer(&request).await?;
        }
    }

    /// An error ends the connection; it is counted before that.
    async fn act(&mut self, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::CloseBeforeRequest => return self.close(fault),
            Fault::CloseInRequest => {
                let count = self.dice.between(1, 64);
                tokio::select! {
                    bytes = self.connection.bytes(count) => bytes?,
                    () = self.site.calmed() => return Ok(()),
                };
                return self.close(fault);
            }
            Fault::SlowReader => return self.read_slowly().await,
            Fault::Unasked if self.dice.one_in(2) => {
                // With nothing asked: the request to answer is not there yet.
                self.site.faults.add(fault);
                let nothing = Request::Configs;
                let mut reply = invented(&nothing, self.site.contexts);
                reply = reply.named(&self.site.name);
                return self.connection.reply(reply).await;
            }
            _ => {}
        }
        let request = self.take().await?;
        let reply = self.honest(&request);
        if self.site.is_calm() {
            // The request has come later than the end of the faults.
            return self.connection.reply(reply).await;
        }
        if fault == Fault::Swapped {
            return self.swap(reply).await;
        }
        self.site.faults.add(fault);
        match fault {
            Fault::Delay => {
                sleep(self.dice.millis(1.0, 100.0)).await;
                self.connection.reply(reply).await
            }
            Fault::Stall => {
                let _ = timeout(LONG, self.site.calmed()).await;
                Err(closed())
            }
            Fault::SplitReply | Fault::CutReply => {
                let bytes = reply.frame();
                // Every byte of a small reply, and as often the first few of a large one.
                let most = if self.dice.one_in(2) { bytes.len().min(16) } else { bytes.len() };
                let at = self.dice.below(most);
                self.connection.raw(&bytes[..at]).await?;
                if fault == Fault::CutReply {
                    return Err(closed());
                }
                sleep(self.dice.millis(0.2, 20.0)).await;
                self.connection.raw(&bytes[at..]).await
            }
            Fault::OversizeLength => {
                let length = self.dice.between(16 * 1024 * 1024 + 1, u32::MAX as usize) as u32;
                self.connection.raw(&length.to_be_bytes()).await?;
                self.let_close().await
            }
            Fault::ZeroLength => self.connection.raw(&frame(&[])).await,
            Fault::Garbage => {
                let count = self.dice.between(1, 2000);
                let bytes = self.dice.bytes(count);
                let bytes = if self.dice.one_in(2) { frame(&bytes) } else { bytes };
                self.connection.raw(&bytes).await?;
                self.let_close().await
            }
            Fault::Duplicated => {
                self.connection.reply(reply.clone()).await?;
                self.connection.reply(reply).await
            }
            Fault::Dropped => {
                self.damaged = true;
                Ok(())
            }
            Fault::Unasked => {
                self.connection.reply(invented(&request, self.site.contexts)).await?;
                self.connection.reply(reply).await
            }
            Fault::WrongName => {
                let name = self.dice.pick(&["", "Plugin", "plugin0", "Somebody"]);
                self.connection.reply(reply.named(name)).await
            }
            Fault::WrongRequestId => {
                self.connection.reply(reply.with_state("another", "number", "none")).await
            }
            Fault::NoVerdict => {
                let verdict = self.dice.one_in(2).then_some(Kind::StringValue("true".into()));
                self.connection.reply(Reply::to(&request).with_verdict(verdict)).await
            }
            Fault::ConfigReply => {
                let reply = config_reply(&self.site.name, &["tool_pre_invoke"]);
                self.connection.raw(&frame(&reply)).await
            }
            Fault::CloseAfterReply => {
                self.connection.reply(reply).await?;
                Err(closed())
            }
            Fault::HalfClose => {
                if self.dice.one_in(2) {
                    self.connection.reply(reply).await?;
                }
                self.connection.half_close().await?;
                self.let_close().await
            }
            Fault::AnswersOnlyWhenRead => {
                let mut reply = reply;
                let ballast = Kind::StringValue(text()[..MORE_THAN_FITS].to_owned());
                if let Some(result) = &mut reply.0.result {
                    let ballast = Kind::StructValue(fields([("ballast", ballast)]));
                    result
                        .fields
                        .insert("metadata".into(), prost_types::Value { kind: Some(ballast) });
                }
                self.connection.reply(reply).await
            }
            _ => Err(closed()),
        }
    }

    fn honest(&self, request: &Request) -> Reply {
        honest(request, self.site.contexts, self.version)
    }

    fn close(&self, fault: Fault) -> io::Result<()> {
        self.site.faults.add(fault);
        Err(closed())
    }

    /// Answers two calls the wrong way round, if there are two.
    async fn swap(&mut self, first: Reply) -> io::Result<()> {
        if let Ok(second) = timeout(PATIENCE, self.take()).await {
            self.site.faults.add(Fault::Swapped);
            self.connection.reply(self.honest(&second?)).await?;
        }
        self.connection.reply(first).await
    }

    async fn read_slowly(&mut self) -> io::Result<()> {
        self.site.faults.add(Fault::SlowReader);
        for _ in 0..self.dice.between(1, 50) {
            let most = self.dice.between(1, 4096);
            self.connection.sip(most).await?;
            sleep(self.dice.millis(0.2, 5.0)).await;
        }
        Ok(())
    }

    /// Leaves it to the client to close.
    async fn let_close(&mut self) -> io::Result<()> {
        let _ = timeout(LONG, self.connection.client_closed()).await;
        Err(closed())
    }
}

fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
