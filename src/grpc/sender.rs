//! The way into a connection, and the stream of one call on it.
//!
//! h2 keeps all streams of a connection behind one lock, and logs while it holds that. What panics
//! there, a subscriber of the log say, leaves it poisoned, and then whoever touches a stream
//! panics too. No caller does: it is caught here, and ends the connection.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use bytes::buf::Chain;
use futures::FutureExt as _;
use h2::RecvStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, response};

use super::link::Cut;
use super::status::{self, Reset};
use crate::error::Cause;

/// A request as it goes out: one flag, that says that it is not compressed, and a frame.
pub(crate) type Body = Chain<&'static [u8], Bytes>;

#[derive(Clone)]
pub(crate) struct Sender {
    inner: Arc<SendRequest<Body>>,
    cut: Arc<Cut>,
}

/// Why nothing more comes of a stream.
#[derive(Debug)]
pub(crate) enum Broken {
    Http2(h2::Error),
    /// It was caught, and the connection has ended for it.
    Panicked(Arc<io::Error>),
}

impl Broken {
    /// False where h2 has reset the stream for what came on it: more may come.
    fn is_the_end(&self) -> bool {
        !matches!(self, Self::Http2(error) if matches!(status::reset(error), Some(Reset::Here(_))))
    }
}

impl Sender {
    /// `cut` is the connection's.
    pub(crate) fn new(inner: SendRequest<Body>, cut: Arc<Cut>) -> Self {
        Self { inner: Arc::new(inner), cut }
    }

    /// Why the connection takes no more requests, if that is so: its server has said so, say.
    pub(crate) fn refusal(&self) -> Option<Broken> {
        let mut context = Context::from_waker(Waker::noop());
        let ready = contained(&self.cut, || {
            match SendRequest::clone(&self.inner).poll_ready(&mut context) {
                Poll::Ready(ready) => ready,
                Poll::Pending => Ok(()),
            }
        });
        ready.err()
    }

    /// Hands a request over. If the connection takes no more, that is an error, and nothing has
    /// left.
    pub(crate) fn send(
        &self,
        request: Request<()>,
        body: Body,
    ) -> Result<Exchange<ResponseFuture>, Broken> {
        let response = contained(&self.cut, || {
            // One of its own for each: h2 has each sender wait until its request is on its way.
            let mut sender = SendRequest::clone(&self.inner);
            let (response, mut stream) = sender.send_request(request, false)?;
            // Where the stream has ended meanwhile, its response tells why.
            let _ = stream.send_data(body, true);
            Ok(response)
        })?;
        Ok(Exchange::new(response, |_| false, &self.cut))
    }
}

/// Not h2's own: that shows the state of every stream.
impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// One call's stream, in what is read next of it. Dropped before its end, it is reset.
pub(crate) struct Exchange<S> {
    /// `None` only while it is dropped.
    stream: Option<S>,
    /// Nothing more comes of it.
    over: bool,
    /// The same, as h2 has it, behind its lock.
    has_ended: fn(&S) -> bool,
    cut: Arc<Cut>,
}

impl Exchange<ResponseFuture> {
    pub(crate) async fn response(
        mut self,
    ) -> Result<(response::Parts, Exchange<RecvStream>), Broken> {
        let response = self.wait(|stream, cx| stream.poll_unpin(cx)).await?;
        self.over = true;
        let (head, body) = response.into_parts();
        Ok((head, Exchange::new(body, RecvStream::is_end_stream, &self.cut)))
    }
}

impl Exchange<RecvStream> {
    /// The next part of the body; `None` at its end.
    pub(crate) async fn data(&mut self) -> Result<Option<Bytes>, Broken> {
        self.wait(|stream, cx| {
            let data = ready!(stream.poll_data(cx)).transpose()?;
            if let Some(data) = &data {
                stream.flow_control().release_capacity(data.len())?;
            }
            Poll::Ready(Ok(data))
        })
        .await
    }

    /// What comes behind the body, once that has been read to its end.
    pub(crate) async fn trailers(&mut self) -> Result<Option<HeaderMap>, Broken> {
        let trailers = self.wait(|stream, cx| stream.poll_trailers(cx)).await?;
        self.over = true;
        Ok(trailers)
    }
}

impl<S> Exchange<S> {
    fn new(stream: S, has_ended: fn(&S) -> bool, cut: &Arc<Cut>) -> Self {
        Self { stream: Some(stream), over: false, has_ended, cut: Arc::clone(cut) }
    }

    async fn wait<T>(
        &mut self,
        mut poll: impl FnMut(&mut S, &mut Context<'_>) -> Poll<Result<T, h2::Error>>,
    ) -> Result<T, Broken> {
        let Self { stream, over, cut, .. } = self;
        let Some(stream) = stream else { return std::future::pending().await };
        let outcome = poll_fn(|cx| match contained(cut, || Ok(poll(stream, cx))) {
            Ok(outcome) => outcome.map_err(Broken::Http2),
            Err(panicked) => Poll::Ready(Err(panicked)),
        })
        .await;
        *over |= outcome.as_ref().is_err_and(Broken::is_the_end);
        outcome
    }
}

impl<S> Drop for Exchange<S> {
    fn drop(&mut self) {
        let stream = self.stream.take();
        let _ = contained(&self.cut, || {
            if !self.over && !stream.as_ref().is_some_and(self.has_ended) {
                self.cut.count_reset();
            }
            drop(stream);
            Ok(())
        });
    }
}

/// What is behind the lock is not used again once it has panicked: by all who come to it, h2
/// panics anew.
fn contained<T>(cut: &Cut, work: impl FnOnce() -> Result<T, h2::Error>) -> Result<T, Broken> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(Broken::Http2),
        Err(_) => {
            let words = "something panicked in the connection, a subscriber of the log say";
            let error = Arc::new(io::Error::other(words));
            cut.cut(Cause::Disconnected(Arc::clone(&error)));
            Err(Broken::Panicked(error))
        }
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
