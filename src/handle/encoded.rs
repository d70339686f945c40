//! A payload for several plugins, encoded once.

use std::fmt;
use std::marker::PhantomData;

use crate::hooks::Hook;
use crate::wire::request::Preencoded;

/// The payload of a hook, encoded once for the calls of several plugins. A clone shares the
/// bytes.
///
/// ```
/// use hookwire::hooks::{ToolPreInvoke, ToolPreInvokePayload};
/// use hookwire::{EncodedPayload, PluginContext, PluginError, PluginHandle};
///
/// async fn all_allow(
///     guards: &[PluginHandle],
///     payload: &ToolPreInvokePayload,
/// ) -> Result<bool, PluginError> {
///     let encoded = EncodedPayload::<ToolPreInvoke>::new(payload);
///     for guard in guards {
///         let context = PluginContext::new("request-1");
///         let (result, _) = match &encoded {
///             Some(encoded) => guard.invoke_hook_encoded(encoded, &context).await?,
///             // Each plugin's own settings decide what becomes of it.
///             None => guard.invoke_hook_shared::<ToolPreInvoke>(payload, &context).await?,
///         };
///         if !result.is_allowed() {
///             return Ok(false);
///         }
///     }
///     Ok(true)
/// }
/// ```
pub struct EncodedPayload<H> {
    encoded: Preencoded,
    hook: PhantomData<fn() -> H>,
}

impl<H: Hook> EncodedPayload<H> {
    /// Encodes a payload. `None` if that does not go as it is, for example because it holds
    /// an integer beyond ±2^53: then it is up to each plugin's settings
    /// ([`BigIntegers`](crate::BigIntegers), [`DeepNesting`](crate::DeepNesting)), and a call
    /// with the payload itself tells.
    #[must_use]
    pub fn new(payload: &H::Payload) -> Option<Self> {
        let encoded = Preencoded::new(payload).ok()?;
        Some(Self { encoded, hook: PhantomData })
    }

    /// How many bytes it takes in a request.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoded.len()
    }

    pub(super) fn as_encoded(&self) -> &Preencoded {
        &self.encoded
    }
}

impl<H> Clone for EncodedPayload<H> {
    fn clone(&self) -> Self {
        Self { encoded: self.encoded.clone(), hook: PhantomData }
    }
}

impl<H> fmt::Debug for EncodedPayload<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedPayload({} bytes)", self.encoded.len())
    }
}
