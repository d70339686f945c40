//! How a call ends without a reply.

use std::borrow::Cow;

/// The codes of gRPC that this server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
}

/// A code, and words for people: ASCII that can be printed, so that it is a header's value
/// as it stands.
#[derive(Debug)]
pub(super) struct Status {
    code: Code,
    message: Cow<'static, str>,
}

impl Status {
    pub(super) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }
}
