//! The engine's message as it is: the servers' `cmf.*` hooks have the same format.
//!
//! It is serialised from the engine's own value straight into the request, and read from the
//! reply straight into one.

use std::marker::PhantomData;

use hookwire::{PluginContext, PluginHandle};
use praxis_policy_core::cmf::{ContentPart, Message, MessagePayload};
use serde::Serialize;

use super::{Answer, Refusal};
use crate::hook::Hook;

/// The message, and the hook's name without `cmf.`, which the reference server asks for.
#[derive(Serialize)]
pub(crate) struct Outgoing<'a> {
    message: &'a Message,
    hook: &'static str,
}

/// The hook at this place of [`Hook::ALL`].
struct Over<'a, const HOOK: usize>(PhantomData<&'a ()>);

impl<'a, const HOOK: usize> hookwire::Hook for Over<'a, HOOK> {
    const NAME: &'static str = Hook::ALL[HOOK].over_messages();
    type Payload = Outgoing<'a>;
    type Modified = MessagePayload;
}

/// Asks the server about a message.
pub(crate) async fn ask(
    hook: Hook,
    handle: &PluginHandle,
    message: &Message,
    context: &PluginContext,
) -> Answer<MessagePayload> {
    let name = hook.over_messages();
    let payload = &Outgoing { message, hook: name.strip_prefix("cmf.").unwrap_or(name) };
    match hook {
        Hook::ToolPre => {
            handle
                .invoke_hook_shared::<Over<'_, { Hook::ToolPre as usize }>>(payload, context)
                .await
        }
        Hook::ToolPost => {
            handle
                .invoke_hook_shared::<Over<'_, { Hook::ToolPost as usize }>>(payload, context)
                .await
        }
        Hook::PromptPre => {
            handle
                .invoke_hook_shared::<Over<'_, { Hook::PromptPre as usize }>>(payload, context)
                .await
        }
        Hook::PromptPost => {
            handle
                .invoke_hook_shared::<Over<'_, { Hook::PromptPost as usize }>>(payload, context)
                .await
        }
        Hook::ResourcePre => {
            handle
                .invoke_hook_shared::<Over<'_, { Hook::ResourcePre as usize }>>(payload, context)
                .await
        }
        Hook::ResourcePost => {
            handle
                .invoke_hook_shared::<Over<'_, { Hook::ResourcePost as usize }>>(payload, context)
                .await
        }
        Hook::LlmInput => {
            handle
                .invoke_hook_shared::<Over<'_, { Hook::LlmInput as usize }>>(payload, context)
                .await
        }
        Hook::LlmOutput => {
            handle
                .invoke_hook_shared::<Over<'_, { Hook::LlmOutput as usize }>>(payload, context)
                .await
        }
    }
}

/// Why this message cannot be said: the reference server takes no bytes in a message, and
/// quotes the payload in what it says about that.
pub(crate) fn refusal(message: &Message) -> Option<Refusal> {
    let has_bytes = |part: &ContentPart| match part {
        ContentPart::Resource { content } => content.blob.is_some(),
        ContentPart::PromptResult { content } => {
            content.messages.iter().any(|m| refusal(m).is_some())
        }
        _ => false,
    };
    message
        .content
        .iter()
        .any(has_bytes)
        .then_some("a resource's binary content does not go to a plugin server")
}

#[cfg(test)]
mod tests {
    use hookwire::Hook as _;

    use super::*;

    #[test]
    fn every_hook_is_called_by_its_own_name() {
        let names = [
            Over::<0>::NAME,
            Over::<1>::NAME,
            Over::<2>::NAME,
            Over::<3>::NAME,
            Over::<4>::NAME,
            Over::<5>::NAME,
            Over::<6>::NAME,
            Over::<7>::NAME,
        ];
        assert_eq!(names, Hook::ALL.map(Hook::over_messages));
    }
}
