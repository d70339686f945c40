//! The plugin's servers: they take connections or do not, and play each one's side as the
//! plugin's mood and the dice of the connection will have it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::dice::{chance, dice};
use crate::event::{Event, Over};
use crate::mood::Fault;
use crate::stream::{Near, pair};
use crate::world::World;
use crate::{grpc, peer, tap};

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

/// Takes a connection, if the server is there and in the mood for it.
pub async fn connect(world: Arc<World>, server: usize) -> io::Result<Near> {
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
    if world.mood().absent.has(server) {
        let gone = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
        return Err(gone[rng.usize(0..2)].into());
    }
    attempt.open = false;
    let conn = world.next_conn();
    world.see(Event::Connected { conn });
    match world.over {
        Over::Socket => {
            let (near, far) = pair(&world, conn, tap::Tap::new(&world, conn));
            tokio::spawn(peer::serve(world, conn, far));
            Ok(near)
        }
        Over::Grpc => {
            let ends = grpc::tap::Ends::default();
            let (near, far) = pair(&world, conn, grpc::tap::Tap::new(&world, conn, &ends));
            tokio::spawn(grpc::connection::serve(world, conn, server, far, ends));
            Ok(near)
        }
    }
}
