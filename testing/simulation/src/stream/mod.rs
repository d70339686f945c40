//! A socket in memory: two ends, a buffer for each direction, and a kernel that cuts
//! reads and writes wherever the dice fall.
//!
//! As with a Unix socket, what one side has written the other can read at once, bytes
//! that are in the buffer outlive their writer, and whoever closes with bytes unread
//! resets the other.

mod far;
mod near;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::io::ReadBuf;

use crate::dice::dice;
use crate::event::{Conn, Event, Side};
use crate::mood::Mood;
use crate::world::World;

pub use self::far::{Far, Scissors};
pub use self::near::Near;

/// Who listens to a connection, and tells what can be told from its bytes.
pub trait Listen: Send + 'static {
    /// The client has handed these to the kernel.
    fn up(&mut self, bytes: &[u8]);
    /// The server has.
    fn down(&mut self, _bytes: &[u8]) {}
}

/// One direction.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    /// Nothing more will be written.
    ended: bool,
    /// Nobody will read any more.
    unread: bool,
    /// Behind the bytes there is no end but a reset.
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

struct Wire {
    conn: Conn,
    world: Arc<World>,
    /// To the server and to the client.
    up: Pipe,
    down: Pipe,
    rng: fastrand::Rng,
    mood: Mood,
    tap: Box<dyn Listen>,
    /// How many more bytes the server moves before the connection ends, where that is known.
    up_left: Option<usize>,
    down_left: Option<usize>,
}

impl Wire {
    /// How many of `most` bytes are moved at a time.
    fn cut(&mut self, most: usize) -> usize {
        match self.mood.cut {
            0 => most,
            cut => self.rng.usize(1..=cut).min(most),
        }
    }

    fn read(pipe: &mut Pipe, count: usize, buffer: &mut ReadBuf<'_>) {
        let (front, back) = pipe.bytes.as_slices();
        let first = count.min(front.len());
        buffer.put_slice(&front[..first]);
        buffer.put_slice(&back[..count - first]);
        pipe.bytes.drain(..count);
        if let Some(writer) = pipe.writer.take() {
            writer.wake();
        }
    }
}

/// Makes a socket: the client's end and the server's.
pub fn pair(world: &Arc<World>, conn: Conn, tap: impl Listen) -> (Near, Far) {
    let wire = Wire {
        conn,
        world: Arc::clone(world),
        up: Pipe::default(),
        down: Pipe::default(),
        rng: dice(world.seed, "wire", conn.into()),
        mood: world.mood(),
        tap: Box::new(tap),
        up_left: None,
        down_left: None,
    };
    let wire = Arc::new(Mutex::new(wire));
    (Near::new(Arc::clone(&wire)), Far::new(wire))
}

fn lock(wire: &Mutex<Wire>) -> MutexGuard<'_, Wire> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}
