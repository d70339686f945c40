//! Whether a plugin's server gets the engine's messages, or the payloads of the hooks before them.

use crate::hook::Hook;
use crate::settings::Payload;

/// In which form the server gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Message,
    Legacy,
}

/// The form for a hook, as settings and the server's list of hooks tell; `None` where it
/// serves the hook in no form that may be used.
pub(crate) fn form(payload: Payload, hook: Hook, serves: impl Fn(&str) -> bool) -> Option<Form> {
    let message = payload != Payload::Legacy && serves(hook.over_messages());
    let legacy = || payload != Payload::Messages && hook.legacy().is_some_and(serves);
    if message { Some(Form::Message) } else { legacy().then_some(Form::Legacy) }
}
