//! A write that fails while a reply is waiting to be read.

use std::future::ready;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::*;
use crate::config::{CallPolicy, UnixSocketConfig};
use crate::connection::message::{Answer, Freedom, Responder};

/// Takes the first write and fails the second; only then is there a reply to read.
#[derive(Default)]
struct Breaking {
    writes: usize,
    replied: bool,
}

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.writes < 2 {
            return Poll::Pending;
        }
        if !std::mem::replace(&mut self.replied, true) {
            buffer.put_slice(b"\0\0\0\x05reply");
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes += 1;
        let taken =
            if self.writes == 1 { Ok(bytes.len()) } else { Err(io::ErrorKind::BrokenPipe.into()) };
        Poll::Ready(taken)
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// There is one connection and no other after it.
struct Once(bool);

impl Connector for Once {
    type Transport = Breaking;

    fn connect(&mut self) -> Connecting<Breaking> {
        let first = std::mem::replace(&mut self.0, false);
        Box::pin(ready(if first {
            Ok(Breaking::default())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }))
    }
}

async fn send(requests: &mpsc::Sender<Request>) -> oneshot::Receiver<Answer> {
    let (responder, answer) = Responder::new();
    let frame = b"\0\0\0\x07request".to_vec();
    let deadline = Instant::now() + Duration::from_secs(60);
    requests.send(Request { frame, deadline, freedom: Freedom::Stay, responder }).await.unwrap();
    answer
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_came_before_a_write_failed_is_still_delivered() {
    let config = UnixSocketConfig::builder("/breaking").max_connections(1).build().unwrap();
    let policy = CallPolicy::builder().build().unwrap();
    let shared = Arc::new(Shared::new("P".into(), &config, &policy));
    let (requests, received) = mpsc::channel(4);
    tokio::spawn(Task::new(Arc::clone(&shared), 0, Once(true), received));

    let first = send(&requests).await;
    while shared.gauges[0].in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let second = send(&requests).await;
    assert_eq!(&*first.await.unwrap().unwrap().message, b"reply");
    // None of it was written, so it was tried again, until that was hopeless.
    let failure = second.await.unwrap().unwrap_err();
    assert_eq!(failure.sent, crate::error::Sent::No);
    assert!(matches!(failure.loss, Loss::Unavailable { .. }), "{:?}", failure.loss);
}
