//! The frames that wait to be written, in whole.
//!
//! Frames stay in the buffers that their callers encoded them into and go to the
//! kernel in one vectored write for a batch: nothing is copied on the way. A
//! frame is kept until its last byte is taken, so one that was never begun can
//! be taken back whole.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::wire::request::EncodedFrame;

/// Frames in one vectored write. Linux takes 1024; beyond a few dozen small
/// frames another call costs less than the longer list.
pub(crate) const BATCH: usize = 64;

/// Bytes from which on no further frame is queued behind the others.
const ENOUGH: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    frames: VecDeque<EncodedFrame>,
    /// How much of the first frame was taken.
    taken: usize,
    bytes: usize,
}

impl WriteQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// True if the next write has enough to do.
    pub(crate) fn is_full(&self) -> bool {
        self.frames.len() >= BATCH || self.bytes >= ENOUGH
    }

    pub(crate) fn push(&mut self, frame: EncodedFrame) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Takes the last frame back; only for one that was not begun.
    pub(crate) fn pop_back(&mut self) -> Option<EncodedFrame> {
        let frame = self.frames.pop_back()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    /// Writes once, as much as the transport takes: how many bytes.
    pub(crate) fn poll_write<T: AsyncWrite>(
        &mut self,
        transport: Pin<&mut T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); BATCH];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            let from = if count == 0 { self.taken } else { 0 };
            *slice = IoSlice::new(&frame[from..]);
            count += 1;
        }
        let written = ready!(transport.poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, written: usize) {
        self.taken += written;
        while let Some(first) = self.frames.front() {
            if self.taken < first.len() {
                break;
            }
            self.taken -= first.len();
            self.bytes -= first.len();
            self.frames.pop_front();
        }
    }

    /// Gives memory back that a burst needed and a quiet connection does not.
    pub(crate) fn shrink(&mut self) {
        self.frames.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use futures::future::poll_fn;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn a_frame_that_is_taken_back_is_no_more_part_of_what_there_is_to_write() {
        let mut write_queue = WriteQueue::default();
        write_queue.push(vec![0; ENOUGH]);
        assert!(write_queue.is_full());
        assert_eq!(write_queue.pop_back().map(|frame| frame.len()), Some(ENOUGH));
        assert!(write_queue.is_empty() && !write_queue.is_full());
        write_queue.push(vec![0]);
        assert!(!write_queue.is_full());
    }

    #[test]
    fn the_memory_of_a_burst_is_given_back() {
        let mut write_queue = WriteQueue::default();
        (0..1_000).for_each(|_| write_queue.push(vec![0]));
        write_queue.advance(1_000);
        write_queue.shrink();
        assert!(write_queue.frames.capacity() < 10, "{}", write_queue.frames.capacity());
    }

    #[tokio::test]
    async fn frames_leave_in_order_through_a_pipe_that_takes_a_few_bytes_at_a_time() {
        let (mut near, mut far) = tokio::io::duplex(7);
        let frames: Vec<EncodedFrame> = (0..200_u8).map(|i| vec![i; usize::from(i) + 1]).collect();
        let expected = frames.concat();
        let mut write_queue = WriteQueue::default();
        frames.into_iter().for_each(|frame| write_queue.push(frame));

        let writer = async {
            let mut total = 0;
            while !write_queue.is_empty() {
                total +=
                    poll_fn(|cx| write_queue.poll_write(Pin::new(&mut near), cx)).await.unwrap();
            }
            drop(near);
            (total, write_queue.bytes)
        };
        let mut arrived = Vec::new();
        let ((total, left), _) = tokio::join!(writer, far.read_to_end(&mut arrived));
        assert_eq!(arrived, expected);
        assert_eq!((total, left), (expected.len(), 0));
    }
}
