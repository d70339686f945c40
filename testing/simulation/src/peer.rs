//! A server's side of a socket.
//!
//! It works in order: a hook begins only when all of the last reply is in the kernel, and
//! a connection that cannot be written to is given up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use fault_server::{Reply, Request, config_reply, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use crate::answer::{junk, odd, right_reply};
use crate::dice::{chance, dice};
use crate::event::{Call, Conn, Damage, Event, Kind, Verdict, work};
use crate::mood::Fault;
use crate::stream::Far;
use crate::tap;
use crate::world::World;

const HEADER: usize = 4;

/// Serves until the connection is over, for the server that is there when this is called.
pub fn serve(world: Arc<World>, conn: Conn, far: Far) -> impl Future<Output = ()> {
    let born = world.lives[0].count();
    async move {
        let mut peer = Peer::new(Arc::clone(&world), conn, far);
        let end = tokio::select! {
            biased;
            () = world.lives[0].beyond(born) => Ok(End::Close),
            end = peer.serve() => end,
        };
        if matches!(end, Ok(End::Reset)) {
            peer.far.reset();
        }
    }
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
                let junk = junk(right, verdict, &mut self.rng);
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
