//! Why a reply cannot be used.

use super::DecodeError;

/// A reply that is not.
#[derive(Debug, PartialEq)]
pub(crate) enum ReplyFault {
    /// `field` is another than was asked for.
    Mismatch {
        field: &'static str,
    },
    /// No stamp, where one was sent.
    Unproven,
    /// Neither a result nor an error.
    Empty,
    Undecodable(DecodeError),
    /// The answer to this request, with a verdict, but not of the type that was asked
    /// for. The connection is in order.
    Unfit(DecodeError),
}

impl From<DecodeError> for ReplyFault {
    fn from(error: DecodeError) -> Self {
        Self::Undecodable(error)
    }
}
