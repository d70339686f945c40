//! The way into a connection's task, which keeps no request that the task does not take.
//!
//! hyper hands requests over by a channel of tokio's. What is sent at the very moment that its
//! other end is dropped stays in it until the last sender is gone, and the caller who waits for
//! it holds one: it would wait for as long as it may. So nobody sends while the task ends. What
//! was sent before is given back, and what comes later is refused.

use std::sync::{Arc, PoisonError, RwLock};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::SendRequest;

use super::call::Body;

#[derive(Debug, Clone)]
pub(crate) struct Sender {
    inner: SendRequest<Body>,
    /// Locked for reading while a request is put into the channel, which takes no time.
    open: Arc<RwLock<bool>>,
}

/// Held by the connection's task. Nobody sends once it is dropped, which has to be before the
/// other end of the channel is.
#[derive(Debug)]
pub(crate) struct Door(Arc<RwLock<bool>>);

/// How a request that was handed over ended.
type Answer = Result<Response<Incoming>, TrySendError<Request<Body>>>;

impl Sender {
    pub(crate) fn new(inner: SendRequest<Body>) -> (Self, Door) {
        let open = Arc::new(RwLock::new(true));
        (Self { inner, open: Arc::clone(&open) }, Door(open))
    }

    /// Hands a request over; `None` if the connection takes no more.
    pub(crate) fn send(
        &mut self,
        request: Request<Body>,
    ) -> Option<impl Future<Output = Answer> + use<>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.then(|| self.inner.try_send_request(request))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = false;
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
