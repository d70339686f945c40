//! One connection of a server: its calls side by side, and what befalls all of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{self, SendResponse};
use http::Request;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::call::Call;
use super::line::Line;
use super::splice::Spliced;
use super::tap::Ends;
use crate::dice::{chance, dice};
use crate::event::Conn;
use crate::mood::Fault;
use crate::stream::Far;
use crate::world::World;

/// What can befall a hook, or its connection when it comes.
const OF_HOOKS: [Fault; 20] = [
    Fault::Late,
    Fault::Hang,
    Fault::Close,
    Fault::BadFrame,
    Fault::Foreign,
    Fault::Twice,
    Fault::Empty,
    Fault::Odd,
    Fault::Junk,
    Fault::Lie,
    Fault::Status,
    Fault::Reset,
    Fault::GoAway,
    Fault::PassOver,
    Fault::FalseWord,
    Fault::Freeze,
    Fault::NoStatus,
    Fault::TakenBack,
    Fault::Doubled,
    Fault::NotGrpc,
];

const HOOK: &str = "/cpex.PluginService/InvokeHook";
const CHECK: &str = "/cpex.Health/Check";
const ENHANCE_YOUR_CALM: u32 = 11;

/// Serves until the connection is over, for the server that is there when this is called.
pub fn serve(
    world: Arc<World>,
    conn: Conn,
    server: usize,
    far: Far,
    ends: Ends,
) -> impl Future<Output = ()> {
    let (born, stops) = (world.lives[server].count(), world.stops[server].count());
    async move {
        let line = Arc::new(Line::new(Arc::clone(&world), conn, server, ends, far.scissors()));
        let serving = Serving::new(Arc::clone(&line), stops);
        tokio::select! {
            biased;
            () = world.lives[server].beyond(born) => {}
            () = line.ends.closed() => {}
            () = serving.run(Spliced::new(far, line.asides.clone())) => {}
        }
    }
}

type Connection = server::Connection<Spliced, Bytes>;

struct Serving {
    line: Arc<Line>,
    rng: fastrand::Rng,
    /// How often its server had stopped when this began.
    stops: u64,
    /// With them end the calls.
    tasks: JoinSet<()>,
    /// Streams from this one on are not looked at.
    passed_over: Option<u32>,
    /// Those; dropped, they would be reset.
    ignored: Vec<Call>,
}

impl Serving {
    fn new(line: Arc<Line>, stops: u64) -> Self {
        let rng = dice(line.world.seed, "server", line.conn.into());
        let (tasks, passed_over, ignored) = Default::default();
        Self { line, rng, stops, tasks, passed_over, ignored }
    }

    async fn run(mut self, stream: Spliced) {
        if self.line.fault(&mut self.rng, &[Fault::SlowStart]).is_some() {
            self.pause(5_000).await;
        }
        let mut builder = server::Builder::new();
        // h2 would forget them by the clock on the wall.
        builder.reset_stream_duration(Duration::MAX);
        if self.line.fault(&mut self.rng, &[Fault::FewStreams]).is_some() {
            builder.max_concurrent_streams(self.rng.u32(1..=4));
        }
        let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
        let world = Arc::clone(&self.line.world);
        let mut stops = self.stops;
        loop {
            tokio::select! {
                biased;
                Some(_) = self.tasks.join_next() => {}
                () = world.stops[self.line.server].beyond(stops) => {
                    stops = world.stops[self.line.server].count();
                    connection.graceful_shutdown();
                }
                accepted = connection.accept() => match accepted {
                    Some(Ok(asked)) => self.accept(asked, &mut connection).await,
                    Some(Err(_)) | None => return,
                },
            }
        }
    }

    async fn accept(
        &mut self,
        (request, respond): (Request<RecvStream>, SendResponse<Bytes>),
        connection: &mut Connection,
    ) {
        let stream = respond.stream_id().into();
        let (head, body) = request.into_parts();
        let is_hook = head.uri.path() == HOOK;
        let mut fault = None;
        if is_hook && self.passed_over.is_none() {
            fault = self.line.fault(&mut self.rng, &OF_HOOKS);
        }
        let call = Call::new(Arc::clone(&self.line), body, respond, self.rng.fork());
        match fault {
            Some(Fault::GoAway) => connection.graceful_shutdown(),
            Some(Fault::PassOver) => self.pass_over(stream),
            Some(Fault::FalseWord) => {
                // It runs all the same.
                self.line.go_away(stream.saturating_sub(2), 0);
            }
            Some(Fault::Freeze) => self.pause(20_000).await,
            _ => {}
        }
        if self.passed_over.is_some_and(|first| stream >= first) {
            return self.ignored.push(call);
        }
        match head.uri.path() {
            HOOK => self.tasks.spawn(call.hook(fault)),
            CHECK => self.tasks.spawn(call.check()),
            _ => self.tasks.spawn(call.config()),
        };
    }

    /// This stream, and those behind it, will not be looked at. Now and then it says so as one
    /// that is at odds with its client.
    fn pass_over(&mut self, stream: u32) {
        let reason = if chance(&mut self.rng, 25) { ENHANCE_YOUR_CALM } else { 0 };
        self.line.go_away(stream.saturating_sub(2), reason);
        self.passed_over = Some(stream);
    }

    /// Neither reads nor writes for so many milliseconds at most, unless everything that hangs is
    /// released.
    async fn pause(&mut self, most: u64) {
        let pause = Duration::from_millis(self.rng.u64(1..=most));
        let released = &self.line.world.released;
        tokio::select! {
            biased;
            () = released.beyond(released.count()) => {}
            () = sleep(pause) => {}
        }
    }
}
