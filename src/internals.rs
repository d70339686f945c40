//! A way into the private parts for this repository's benchmarks and fuzz
//! targets. Not part of the public API: it may change with any release.

#![allow(missing_docs)]

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::BigIntegers;
use crate::model::{PluginContext, PluginResult};
use crate::wire::reply::{Expected, HookReply, hook_reply};
use crate::wire::{self, request};

/// The message of an `InvokeHookRequest` in its frame.
#[must_use]
pub fn encode_request<T: Serialize + ?Sized>(
    hook_type: &str,
    plugin: &str,
    payload: &T,
    context: &PluginContext,
) -> Option<Vec<u8>> {
    request::invoke_hook(hook_type, plugin, payload, context, None, BigIntegers::Refuse, 256).ok()
}

/// Reads an `InvokeHookResponse` as the client does.
pub fn decode_reply<P: DeserializeOwned>(
    message: &[u8],
    plugin: &str,
    request_id: &str,
) -> Result<Option<PluginResult<P>>, String> {
    match hook_reply(message, Expected { plugin, request_id, stamp: None }) {
        Ok(HookReply::Result(result, _)) => Ok(Some(result)),
        Ok(HookReply::Fault(_)) => Ok(None),
        Err(fault) => Err(format!("{fault:?}")),
    }
}

/// A Struct's fields.
pub fn encode_struct<T: Serialize + ?Sized>(object: &T) -> Option<Vec<u8>> {
    wire::encode_struct(object)
}

/// Reads a Struct.
pub fn decode_struct<T: DeserializeOwned>(message: &[u8]) -> Option<T> {
    wire::decode_struct(message)
}
