//! Why a value cannot be encoded, or a message not be decoded.

use std::fmt::{self, Display};

use serde::de::{Expected, Unexpected};

/// The message of a type's own `Serialize` or `Deserialize` that failed.
///
/// It is the type's own, so it may quote the value. `Display` passes it on;
/// `Debug` shows its size only.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TypeMessage(String);

impl TypeMessage {
    pub(crate) fn new(message: impl Display) -> Self {
        Self(message.to_string())
    }
}

impl Display for TypeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TypeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Why a payload or a context cannot be encoded.
///
/// It is found before anything is sent, and does not quote the value; the one exception
/// is the `Display` of [`Custom`](Self::Custom), where the payload's own type speaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    /// The server's parser would give up, and skip the hook without a word.
    #[error(
        "objects and lists nest {depth} deep below their top-level field, where the server's parser gives up (it takes {limit} nested messages: 31 objects, which cost three each, or 47 lists, which cost two); send it flatter, or set `deep_nesting` to `text`"
    )]
    TooDeep {
        /// How many objects and lists are around the one that was refused,
        /// the top-level field of the payload or context included.
        depth: usize,
        /// How many nested protobuf messages the server takes.
        limit: usize,
    },
    /// NaN and infinities are not JSON.
    #[error("a number is NaN or infinite, which JSON cannot express")]
    NotFinite,
    /// A double would silently change the integer.
    #[error(
        "an integer beyond \u{b1}2^53 cannot be carried exactly; send it as a string, or set `big_integers` to `round`"
    )]
    BigInteger,
    /// Payloads, states and metadata are objects.
    #[error("an object is needed here")]
    NotAnObject,
    /// The key would be the caller's on one side and the stamp's on the other.
    #[error(
        "the context's metadata has a key `hookwire.stamp`, which belongs to the stamps of this plugin; rename it, or turn `stamp` off"
    )]
    StampKey,
    /// Only strings, and what reads like one, can be keys of an object.
    #[error("an object's key must be a string")]
    KeyNotAString,
    /// A number of serde_json that is no number.
    #[error("a number of serde_json could not be read")]
    Number,
    /// serde_json's raw text would have to be parsed first.
    #[error("serde_json's RawValue cannot be sent; send the parsed value")]
    RawValue,
    /// The message reaches the four gigabytes that a frame's length can express.
    #[error("the message is beyond four gigabytes")]
    TooLarge,
    /// The type's own `Serialize` failed.
    #[error("its type's `Serialize` failed: {0}")]
    Custom(TypeMessage),
    /// What happened, and where in the request.
    #[error("in `{place}`: {why}")]
    Within { place: String, why: Box<EncodeError> },
}

impl EncodeError {
    fn is_too_deep(&self) -> bool {
        match self {
            Self::TooDeep { .. } => true,
            Self::Within { why, .. } => why.is_too_deep(),
            _ => false,
        }
    }
}

/// An [`EncodeError`] on its way out of the encoder. Boxed, so that the results
/// of the many small steps of encoding fit into a register.
#[derive(Debug)]
pub(crate) struct EncodeFailure(Box<EncodeError>);

impl EncodeFailure {
    #[cold]
    pub(crate) fn within(self, place: String) -> Self {
        Self(Box::new(EncodeError::Within { place, why: self.0 }))
    }

    #[cold]
    pub(crate) fn is_too_deep(&self) -> bool {
        self.0.is_too_deep()
    }
}

impl From<EncodeError> for EncodeFailure {
    #[cold]
    fn from(error: EncodeError) -> Self {
        Self(Box::new(error))
    }
}

impl From<EncodeFailure> for EncodeError {
    fn from(refused: EncodeFailure) -> Self {
        *refused.0
    }
}

impl std::fmt::Display for EncodeFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for EncodeFailure {}

impl serde::ser::Error for EncodeFailure {
    fn custom<T: Display>(message: T) -> Self {
        EncodeError::Custom(TypeMessage::new(message)).into()
    }
}

/// Why a reply (or, on the server, a request) could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The bytes are not protobuf.
    #[error("the bytes are not a valid protobuf message ({0})")]
    Malformed(&'static str),
    /// Valid protobuf, but laid out in a way that only a general parser follows:
    /// repeated fields that merge, fields out of order.
    #[error("the message is laid out as no encoder does it, and too large to be laid out anew")]
    Unusual,
    /// Deeper than any server nests, and than a stack is sure to bear.
    #[error("the reply nests too deep")]
    TooDeep,
    /// Its contents would take more than `limit` bytes of memory.
    #[error(
        "the message's values would take more than {limit} bytes of memory; see \"What a hostile server can cost\" in docs/reliability.md"
    )]
    TooHeavy { limit: usize },
    /// Valid protobuf that does not fit the type that was asked for.
    #[error("{0}")]
    Shape(String),
    /// The type's own `Deserialize` failed.
    #[error("its type's `Deserialize` failed: {0}")]
    Custom(TypeMessage),
}

impl DecodeError {
    /// Whether the bytes are in order, and only what they hold is not what was asked for,
    /// or more than is taken.
    pub(crate) fn is_misfit(&self) -> bool {
        match self {
            Self::Shape(_) | Self::Custom(_) | Self::TooDeep | Self::TooHeavy { .. } => true,
            Self::Malformed(_) | Self::Unusual => false,
        }
    }
}

/// serde's own messages quote the value, or a key of it; ours must not, because errors
/// are logged. A type's own message is kept apart, for it may do so too.
impl serde::de::Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Custom(TypeMessage::new(message))
    }
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Shape(format!("found {}, expected {expected}", kind(&found)))
    }
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Shape(format!("found another {} than expected: {expected}", kind(&found)))
    }
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Shape(format!("found an unknown variant, expected one of {expected:?}"))
    }
    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Shape(format!("found an unknown field, expected one of {expected:?}"))
    }
    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        Self::Shape(format!("found {found} items, expected {expected}"))
    }
    fn missing_field(field: &'static str) -> Self {
        Self::Shape(format!("the field `{field}` is missing"))
    }
    fn duplicate_field(field: &'static str) -> Self {
        Self::Shape(format!("the field `{field}` is there twice"))
    }
}

fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}
