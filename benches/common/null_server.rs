//! A plugin server that does nothing: it counts the requests in what it reads and
//! writes as many copies of one prepared reply, a batch in one system call.
//!
//! It looks into no message and copies none, so what is measured against it is
//! the client. Two forms: a blocking thread for each connection is the cheapest
//! for a few; an event loop, one thread for all, is for hundreds.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the server reads at a time.
const READ: usize = 256 * 1024;

/// What the server says to every request, and after how long.
#[derive(Clone)]
pub struct Answer {
    /// Many copies of the reply's frame, written from as many as are asked for.
    copies: Vec<u8>,
    reply_len: usize,
    wait: Duration,
}

impl Answer {
    pub fn new(reply_frame: &[u8]) -> Self {
        let copies = (READ / reply_frame.len()).max(1);
        let (copies, reply_len) = (reply_frame.repeat(copies), reply_frame.len());
        Self { copies, reply_len, wait: Duration::ZERO }
    }

    /// Waits before each reply, as a plugin does that asks a model or a database.
    pub fn after(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The bytes for `count` replies, in pieces.
    fn batches(&self, mut count: usize) -> impl Iterator<Item = &[u8]> {
        let most = if self.wait.is_zero() { self.copies.len() / self.reply_len } else { 1 };
        std::iter::from_fn(move || {
            let now = count.min(most);
            count -= now;
            (now > 0).then(|| &self.copies[..now * self.reply_len])
        })
    }
}

/// Counts frames in a stream of bytes and keeps none.
#[derive(Default)]
struct FrameCounter {
    header: [u8; 4],
    header_len: usize,
    left: usize,
}

impl FrameCounter {
    /// How many frames end within `bytes`.
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut frames = 0;
        while !bytes.is_empty() {
            if self.header_len < 4 {
                self.header[self.header_len] = bytes[0];
                self.header_len += 1;
                bytes = &bytes[1..];
                if self.header_len < 4 {
                    continue;
                }
                self.left = u32::from_be_bytes(self.header) as usize;
            }
            let skipped = self.left.min(bytes.len());
            bytes = &bytes[skipped..];
            self.left -= skipped;
            if self.left == 0 {
                frames += 1;
                self.header_len = 0;
            }
        }
        frames
    }
}

/// Serves one connection until the client closes it.
pub fn serve(mut stream: UnixStream, answer: &Answer) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    let mut frames = FrameCounter::default();
    loop {
        let count = match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => frames.count(&buffer[..read]),
        };
        for batch in answer.batches(count) {
            if !answer.wait.is_zero() {
                thread::sleep(answer.wait);
            }
            stream.write_all(batch)?;
        }
    }
}

async fn serve_in_loop(mut stream: tokio::net::UnixStream, answer: &Answer) -> io::Result<()> {
    // Small, for there are many of these.
    let mut buffer = vec![0; 16 * 1024];
    let mut frames = FrameCounter::default();
    loop {
        let count = match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => frames.count(&buffer[..read]),
        };
        for batch in answer.batches(count) {
            stream.write_all(batch).await?;
        }
    }
}

/// A listening server. Its socket's file goes with it; its threads go with the process.
pub struct NullServer {
    path: PathBuf,
}

impl NullServer {
    /// A blocking thread for each connection.
    pub fn threads(name: &str, answer: Answer) -> Self {
        let server = Self::at(name);
        let listener = UnixListener::bind(&server.path).expect("a socket can be bound");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = answer.clone();
                // An error ends the connection, and the client tells of it.
                thread::spawn(move || drop(serve(stream, &answer)));
            }
        });
        server
    }

    /// One thread for all connections.
    pub fn event_loop(name: &str, answer: Answer) -> Self {
        let server = Self::at(name);
        let listener = UnixListener::bind(&server.path).expect("a socket can be bound");
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::UnixListener::from_std(listener).expect("in a runtime");
                let answer: &'static Answer = Box::leak(Box::new(answer));
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve_in_loop(stream, answer));
                }
            });
        });
        server
    }

    fn at(name: &str) -> Self {
        let file = format!("hookwire-bench-{}-{name}.sock", std::process::id());
        let path = std::env::temp_dir().join(file);
        // Left behind by an earlier process of the same number, if at all.
        let _ = std::fs::remove_file(&path);
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
