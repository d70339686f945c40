//! A write that fails while a reply is waiting to be read.

use std::future::ready;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::call::Caller;
use crate::config::{PluginConfig, UnixSocketConfig};
use crate::error::{Cause, Sent};
use crate::unix::connect::{Connect, Connecting, Transport};
use crate::unix::message::{Answer, Method, Request, Responder};
use crate::unix::plugin::UnixPlugin;

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

impl Transport for Breaking {}

/// There is one connection and no other after it.
#[derive(Default)]
struct Once(AtomicBool);

impl Connect for Once {
    fn connect(&self) -> Connecting {
        let transport: Box<dyn Transport> = Box::new(Breaking::default());
        let first = !self.0.swap(true, SeqCst);
        Box::pin(ready(first.then_some(transport).ok_or(io::ErrorKind::NotFound.into())))
    }
}

fn send(plugin: &UnixPlugin) -> oneshot::Receiver<Answer> {
    let (responder, answer) = Responder::new();
    let (method, frame) = (Method::InvokeHook, b"\0\0\0\x07request".to_vec());
    let deadline = Instant::now() + Duration::from_secs(60);
    plugin.hand_over(Request { method, frame, deadline, responder }, true).unwrap();
    answer
}

// Promise: H4
#[tokio::test(start_paused = true)]
async fn a_reply_that_came_before_a_write_failed_is_still_delivered() {
    let socket = UnixSocketConfig::builder("/breaking").max_connections(1);
    let config = PluginConfig::builder("P").unix_socket(socket).build().unwrap();
    let caller = Caller::new(&config, Some(Arc::new(Once::default())), None, None);

    let first = send(caller.plugin.unix());
    while caller.plugin.unix().connections().slots[0].in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let second = send(caller.plugin.unix());
    assert_eq!(&*first.await.unwrap().unwrap().message, b"reply");
    // None of it was written, so it was tried again, until that was hopeless.
    let failure = second.await.unwrap().unwrap_err();
    assert_eq!(failure.sent, Sent::No);
    assert!(matches!(failure.cause, Cause::Unavailable { .. }), "{:?}", failure.cause);
}
