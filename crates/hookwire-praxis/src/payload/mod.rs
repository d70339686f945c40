//! The engine's message on its way to a server, in one of two forms.

pub(crate) mod cmf;
pub(crate) mod legacy;

use hookwire::{PluginError, PluginResult, ReplyContext};

/// A result, and what the reply brought back for the context.
pub(crate) type Answer<P> = Result<(PluginResult<P>, Option<ReplyContext>), PluginError>;

/// Why a message cannot go out, or an answer cannot be taken: a constant sentence.
pub(crate) type Refusal = &'static str;
