//! The floor: two blocking threads and a pair of sockets, no runtime between.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::common::null_server::{Answer, serve};
use crate::load::median;

pub struct PingPong {
    stream: UnixStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    reply_len: usize,
}

impl PingPong {
    /// The other thread is the null server, on its end of the pair.
    pub fn new(request_frame: Vec<u8>, reply_frame: &[u8]) -> Self {
        let (stream, other) = UnixStream::pair().expect("a pair of sockets");
        let answer = Answer::new(reply_frame);
        std::thread::spawn(move || drop(serve(other, &answer)));
        let reply_len = reply_frame.len();
        Self { stream, request: request_frame, buffer: vec![0; 256 * 1024], reply_len }
    }

    fn exchange(&mut self) {
        self.stream.write_all(&self.request).expect("the other thread reads");
        let mut left = self.reply_len;
        while left > 0 {
            left -= self.stream.read(&mut self.buffer).expect("the other thread writes");
        }
    }

    fn times(&mut self, time: Duration) -> Vec<f64> {
        let mut times = Vec::with_capacity(1 << 20);
        let until = Instant::now() + time;
        let mut before = Instant::now();
        while before < until {
            self.exchange();
            let after = Instant::now();
            times.push((after - before).as_secs_f64());
            before = after;
        }
        times
    }

    /// The median time of an exchange, in µs.
    pub fn median_latency(&mut self, time: Duration) -> f64 {
        median(&self.times(time)) * 1e6
    }

    /// Exchanges per second.
    pub fn throughput(&mut self, time: Duration) -> f64 {
        let times = self.times(time);
        times.len() as f64 / times.iter().sum::<f64>()
    }
}
