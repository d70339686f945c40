//! The plugin's server: takes connections or does not, and plays each one's side as the
//! plugin's mood and the dice of the connection will have it.
//!
//! It works in order: a hook begins only when all of the last reply is in the kernel, and
//! a connection that cannot be written to is given up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use fault_server::{Reply, Request, config_reply, fields, frame};
use prost_types::value::Kind as Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use crate::event::{Call, Conn, Damage, Event, Kind, Verdict, work};
use crate::mood::Fault;
use crate::stream::{Far, Near, pair};
use crate::tap;
use crate::world::{World, chance, dice};

const HEADER: usize = 4;

/// An attempt to connect, which the client may give up.
struct Attempt {
    world: Arc<World>,
    open: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.open {
            self.world.see(Event::ConnectFailed);
        }
    }
}

/// Takes a connection, if the plugin is there and in the mood for it.
pub async fn connect(world: Arc<World>) -> io::Result<Near> {
    world.see(Event::Connecting);
    let mut attempt = Attempt { world: Arc::clone(&world), open: true };
    let mut rng = dice(world.seed, "attempt", world.next_attempt());
    match world.mood().fault(&mut rng, &[Fault::Down, Fault::Busy, Fault::SlowConnect]) {
        Some(Fault::SlowConnect) => {
            world.count_fault();
            let longest = if chance(&mut rng, 20) { 3_600_000 } else { 8_000 };
            sleep(Duration::from_millis(rng.u64(1..=longest))).await;
        }
        Some(Fault::Busy) => {
            world.count_fault();
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Some(_) => {
            world.count_fault();
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        None => {}
    }
    if world.mood().absent {
        let gone = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
        return Err(gone[rng.usize(0..2)].into());
    }
    attempt.open = false;
    let conn = world.next_conn();
    world.see(Event::Connected { conn });
    let (near, far) = pair(&world, conn);
    let born = world.lives.count();
    tokio::spawn(async move {
        let mut peer = Peer::new(Arc::clone(&world), conn, far);
        let end = tokio::select! {
            biased;
            () = world.lives.beyond(born) => Ok(End::Close),
            end = peer.serve() => end,
        };
        if matches!(end, Ok(End::Reset)) {
            peer.far.reset();
        }
    });
    Ok(near)
}

/// How a connection goes on.
enum End {
    Close,
    Reset,
}

type Next = io::Result<Option<End>>;

struct Peer {
    world: Arc<World>,
    conn: Conn,
    far: Far,
    inbox: BytesMut,
    rng: fastrand::Rng,
    /// The last right reply that proves whose it is.
    last: Option<Vec<u8>>,
    /// Replies are in the wrong place.
    shifted: bool,
}

impl Peer {
    fn new(world: Arc<World>, conn: Conn, far: Far) -> Self {
        let rng = dice(world.seed, "server", conn.into());
        Self { world, conn, far, inbox: BytesMut::new(), rng, last: None, shifted: false }
    }

    async fn serve(&mut self) -> io::Result<End> {
        if self.fault(&[Fault::SlowStart]).is_some() {
            self.pause(1, 5_000).await;
        }
        loop {
            let request = self.request().await?;
            let next = match tap::call(request.marker()) {
                Some(call) => self.hook(&request, call).await?,
                None => self.question(&request).await?,
            };
            if let Some(end) = next {
                return Ok(end);
            }
        }
    }

    fn fault(&mut self, candidates: &[Fault]) -> Option<Fault> {
        let fault = self.world.mood().fault(&mut self.rng, candidates);
        if fault.is_some() {
            self.world.count_fault();
        }
        fault
    }

    async fn request(&mut self) -> io::Result<Request> {
        self.fill(HEADER).await?;
        let size = (&self.inbox[..HEADER]).get_u32() as usize;
        self.fill(HEADER + size).await?;
        self.inbox.advance(HEADER);
        Ok(Request::read(&self.inbox.split_to(size)))
    }

    async fn fill(&mut self, size: usize) -> io::Result<()> {
        while self.inbox.len() < size {
            if self.far.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Waits so many milliseconds, unless everything that hangs is released.
    async fn pause(&mut self, least: u64, most: u64) {
        let pause = Duration::from_millis(self.rng.u64(least..=most));
        let released = &self.world.released;
        tokio::select! {
            biased;
            () = released.beyond(released.count()) => {}
            () = sleep(pause) => {}
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.fault(&[Fault::Trickle]).is_none() {
            return self.far.write_all(bytes).await;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(self.rng.usize(1..=rest.len()));
            self.far.write_all(piece).await?;
            rest = later;
            if !rest.is_empty() {
                self.pause(0, 60).await;
            }
        }
        Ok(())
    }

    /// Writes the right reply to a hook.
    async fn reply(&mut self, call: Call, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).await?;
        self.world.see(Event::Replied { conn: self.conn, call, kind: Kind::Hook });
        Ok(())
    }

    /// Writes something else in its place.
    async fn misanswer(&mut self, call: Call, bytes: &[u8]) -> Next {
        self.write(bytes).await?;
        self.world.see(Event::Misanswered { conn: self.conn, call });
        Ok(None)
    }

    async fn question(&mut self, request: &Request) -> Next {
        match self.fault(&[Fault::Late, Fault::Hang, Fault::Close]) {
            Some(Fault::Late) => self.pause(1, 4_000).await,
            // Mostly a plugin hangs and its server answers.
            Some(Fault::Hang) if chance(&mut self.rng, 20) => self.pause(60_000, 86_400_000).await,
            Some(Fault::Close) => return Ok(Some(End::Close)),
            _ => {}
        }
        let reply = match request {
            Request::Config(name) => config_reply(name, &["tool_pre_invoke"]),
            _ => Vec::new(),
        };
        self.write(&frame(&reply)).await?;
        self.world.see(Event::Replied { conn: self.conn, call: 0, kind: Kind::Question });
        Ok(None)
    }

    async fn hook(&mut self, request: &Request, call: Call) -> Next {
        self.world.see(Event::Began { conn: self.conn, call });
        let longest = self.world.mood().work;
        if longest > 0 {
            self.pause(0, longest).await;
        }
        let fault = self.fault(&[
            Fault::Late,
            Fault::Hang,
            Fault::Close,
            Fault::HalfClose,
            Fault::BadFrame,
            Fault::Foreign,
            Fault::Twice,
            Fault::Empty,
            Fault::Odd,
            Fault::Junk,
            Fault::Lie,
        ]);
        let (verdict, _) = work(call);
        // An error proves nothing of whose it is.
        if self.shifted && verdict == Verdict::Fault {
            return Ok(Some(End::Close));
        }
        let right = right_reply(request, call, self.conn);
        let bytes = right.frame();
        let proven = right.0.context.is_some();
        match fault {
            Some(Fault::Late) => self.pause(1, 8_000).await,
            Some(Fault::Hang) => self.pause(60_000, 86_400_000).await,
            Some(Fault::Close) => return self.close(call, &bytes).await,
            Some(Fault::HalfClose) => {
                self.reply(call, &bytes).await?;
                self.far.shutdown().await?;
                while self.far.read_buf(&mut self.inbox).await? > 0 {
                    self.inbox.clear();
                }
                return Ok(Some(End::Close));
            }
            Some(Fault::BadFrame) => {
                let damage = Damage::Framing;
                self.world.see(Event::Damaged { conn: self.conn, damage });
                let junk = [0xff, 0xff, 0xff, self.rng.u8(..)];
                self.write(&junk).await?;
            }
            Some(Fault::Foreign) => {
                return self.misanswer(call, &right.named("Other").frame()).await;
            }
            Some(Fault::Twice) if proven && chance(&mut self.rng, 50) => {
                self.reply(call, &bytes).await?;
                self.shifted = true;
                let damage = Damage::Shifted;
                self.world.see(Event::Damaged { conn: self.conn, damage });
                return self.misanswer(call, &bytes).await;
            }
            Some(Fault::Twice) => {
                if let Some(last) = self.last.take() {
                    return self.misanswer(call, &last).await;
                }
            }
            Some(Fault::Empty) => {
                return self.misanswer(call, &Reply::empty(request).frame()).await;
            }
            Some(Fault::Junk) => {
                // An error and a denial are what they are without a verdict.
                let junk = match self.rng.u32(0..3) {
                    _ if verdict != Verdict::Allow => frame(&[0xff; 9]),
                    0 => frame(&[0xff; 9]),
                    1 => right.with_verdict(None).frame(),
                    _ => right.with_verdict(Some(Value::StringValue("yes".into()))).frame(),
                };
                return self.misanswer(call, &junk).await;
            }
            Some(Fault::Lie) => {
                let lie = right_reply(request, call + 1, self.conn).frame();
                self.reply(call, &lie).await?;
                return Ok(None);
            }
            Some(Fault::Odd) if verdict == Verdict::Allow => {
                let odd = odd(right).frame();
                self.reply(call, &odd).await?;
                return Ok(None);
            }
            _ => {}
        }
        self.reply(call, &bytes).await?;
        self.last = proven.then_some(bytes);
        Ok(None)
    }

    /// Closes before, in or after a reply, or with requests unread.
    async fn close(&mut self, call: Call, bytes: &[u8]) -> Next {
        match self.rng.u32(0..4) {
            0 => {}
            1 => {
                let cut = self.rng.usize(1..bytes.len());
                self.write(&bytes[..cut]).await?;
            }
            2 => self.reply(call, bytes).await?,
            _ => return Ok(Some(End::Reset)),
        }
        Ok(Some(End::Close))
    }
}

fn text(text: impl ToString) -> Value {
    Value::StringValue(text.to_string())
}

/// The reply that the call is owed: worked out of its marker, and with the connection
/// that it came over.
fn right_reply(request: &Request, call: Call, conn: Conn) -> Reply {
    let (verdict, number) = work(call);
    match verdict {
        Verdict::Allow => {
            let args = [("marker", text(tap::marker(call))), ("number", text(number))];
            let mut args = fields(args);
            args.fields.insert("conn".into(), prost_types::Value { kind: Some(text(conn)) });
            let payload = [("name", text("t")), ("args", Value::StructValue(args))];
            let result = [
                ("continue_processing", Value::BoolValue(true)),
                ("modified_payload", Value::StructValue(fields(payload))),
            ];
            let mut reply = Reply::to(request);
            reply.0.result = Some(fields(result));
            reply
        }
        Verdict::Deny => {
            let violation = [
                ("reason", text(tap::marker(call))),
                ("description", text(conn)),
                ("code", text(number)),
            ];
            let result = [
                ("continue_processing", Value::BoolValue(false)),
                ("violation", Value::StructValue(fields(violation))),
            ];
            let mut reply = Reply::denial(request);
            reply.0.result = Some(fields(result));
            reply
        }
        Verdict::Fault => {
            let mut reply = Reply::error(request, &tap::marker(call));
            if let Some(error) = &mut reply.0.error {
                error.code = format!("{number}/{conn}");
            }
            reply
        }
    }
}

/// The payload's name is a number, which fits a JSON caller only.
fn odd(mut reply: Reply) -> Reply {
    let result = reply.0.result.get_or_insert_default();
    let payload = result.fields.get_mut("modified_payload");
    if let Some(Value::StructValue(payload)) = payload.and_then(|value| value.kind.as_mut()) {
        let number = prost_types::Value { kind: Some(Value::NumberValue(7.0)) };
        payload.fields.insert("name".into(), number);
    }
    reply
}
