//! What a double says to a call: what a plugin may say, and what a server does that is broken.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::received::ReceivedCall;
use crate::model::{PluginResult, PluginViolation};
use crate::server::{HandlerError, HookCall, HookFuture, Plugin};

/// What a [`Double`](super::Double) says to one call.
///
/// | answer | what the caller gets: [`reason`](crate::PluginError::reason) |
/// |---|---|
/// | [`allow`](Self::allow), [`modify`](Self::modify), [`deny`](Self::deny), [`result`](Self::result) | that result |
/// | [`handled`](Self::handled) | what the double's own handlers say |
/// | [`fail`](Self::fail) | `plugin_error` |
/// | [`deny_beside_error`](Self::deny_beside_error) | `denied` |
/// | [`silence`](Self::silence) | `timeout` |
/// | [`close`](Self::close) | `disconnected` |
/// | [`cut`](Self::cut), [`too_large`](Self::too_large) | `framing` |
/// | [`garbage`](Self::garbage), [`without_verdict`](Self::without_verdict) | `undecodable` |
/// | [`of_another_call`](Self::of_another_call) | `mismatch` |
/// | [`empty`](Self::empty) | `empty_reply` |
///
/// Any of them may come [late](Self::after).
///
/// ```
/// use std::time::Duration;
///
/// use hookwire::PluginViolation;
/// use hookwire::server::HandlerError;
/// use hookwire::testing::{Answer, Double};
///
/// let guard = Double::named("Guard").build();
/// guard
///     .then(Answer::deny(PluginViolation::new("NO_SHELL")))
///     .then(Answer::fail(HandlerError::new("out of disk").with_code("E28")))
///     .then(Answer::allow().after(Duration::from_secs(3)))
///     .always(Answer::silence());
/// ```
#[derive(Clone)]
#[must_use = "it is said by a double that it is given to"]
pub struct Answer {
    pub(super) by: By,
    pub(super) delay: Duration,
    pub(super) fault: Option<Fault>,
}

/// Chooses what is said to a call.
pub(super) type Choose = Arc<dyn Fn(&ReceivedCall) -> Answer + Send + Sync>;

/// Who answers.
#[derive(Clone)]
pub(super) enum By {
    /// The double's own handlers.
    Handlers,
    Script(Arc<dyn Plugin>),
}

/// What a server does that is broken.
#[derive(Clone)]
pub(super) enum Fault {
    Silence,
    Close,
    Cut,
    TooLarge,
    Garbage,
    WithoutVerdict,
    OfAnotherCall,
    Empty,
    /// With the error of this plugin beside the result.
    Beside(Arc<dyn Plugin>),
}

impl Answer {
    /// Lets the request go on as it is.
    pub fn allow() -> Self {
        Self::result(PluginResult::<()>::allow())
    }

    /// Lets the request go on with this in place of its payload; for hooks that answer with a
    /// decision, the decision. It must be of the type that the hook answers with: one that is
    /// not is `wrong_type` or `undecodable` for the caller.
    pub fn modify(payload: impl Serialize + Send + Sync + 'static) -> Self {
        Self::result(PluginResult::modify(payload))
    }

    /// Denies the request.
    pub fn deny(violation: PluginViolation) -> Self {
        Self::result(PluginResult::<()>::deny(violation))
    }

    /// Any result, with its metadata, headers and delay. One that cannot be encoded is an
    /// error of the server, with the code `INTERNAL_ERROR`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use hookwire::testing::Answer;
    /// use hookwire::{PluginResult, PluginViolation};
    ///
    /// let limit = PluginViolation::new("RATE_LIMIT");
    /// let result = PluginResult::<()>::deny(limit).with_retry_delay(Duration::from_secs(7));
    /// let answer = Answer::result(result);
    /// ```
    pub fn result<R: Serialize + Send + Sync + 'static>(result: PluginResult<R>) -> Self {
        Self::by(By::Script(Arc::new(Says(Ok(result)))))
    }

    /// Fails, as a plugin does whose handler returns an error.
    pub fn fail(error: HandlerError) -> Self {
        Self::by(By::Script(Arc::new(Says::<()>(Err(error)))))
    }

    /// What the double's own handlers say, as without a script.
    pub fn handled() -> Self {
        Self::by(By::Handlers)
    }

    /// A denial and an error in one reply, as the reference server writes them where it cannot
    /// encode what a denial tells about itself. **It is a denial**, whatever `on_error` is:
    /// [`PluginError::is_denial`](crate::PluginError::is_denial).
    pub fn deny_beside_error(violation: PluginViolation, error: HandlerError) -> Self {
        let failing = Arc::new(Says::<()>(Err(error)));
        Self { fault: Some(Fault::Beside(failing)), ..Self::deny(violation) }
    }

    /// Says nothing, and reads no further call of this connection: a plugin that hangs.
    pub fn silence() -> Self {
        Self::fault(Fault::Silence)
    }

    /// Closes the connection instead: a server that dies over a call.
    pub fn close() -> Self {
        Self::fault(Fault::Close)
    }

    /// Closes the connection in the middle of a reply that allows.
    pub fn cut() -> Self {
        Self::fault(Fault::Cut)
    }

    /// Announces a message of four gigabytes.
    pub fn too_large() -> Self {
        Self::fault(Fault::TooLarge)
    }

    /// A message that is no protobuf.
    pub fn garbage() -> Self {
        Self::fault(Fault::Garbage)
    }

    /// A result that neither allows nor denies.
    pub fn without_verdict() -> Self {
        Self::fault(Fault::WithoutVerdict)
    }

    /// The reply to another call of the same plugin, which allows that one.
    pub fn of_another_call() -> Self {
        Self::fault(Fault::OfAnotherCall)
    }

    /// A reply that holds neither a result nor an error.
    pub fn empty() -> Self {
        Self::fault(Fault::Empty)
    }

    /// The same, this much later.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    fn by(by: By) -> Self {
        Self { by, delay: Duration::ZERO, fault: None }
    }

    /// A reply that is broken would allow if it were whole: who takes it for one lets through.
    fn fault(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::allow() }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("is_scripted", &matches!(self.by, By::Script(_)))
            .field("is_broken", &self.fault.is_some())
            .field("delay", &self.delay)
            .finish()
    }
}

/// A plugin that says the same to every call.
struct Says<R>(Result<PluginResult<R>, HandlerError>);

impl<R: Serialize + Send + Sync + 'static> Plugin for Says<R> {
    fn hooks(&self) -> Vec<String> {
        Vec::new()
    }

    fn invoke<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
        Box::pin(async move {
            match &self.0 {
                Ok(result) => call.reply(result),
                Err(error) => Err(error.clone()),
            }
        })
    }
}
