//! The way in for this repository's fuzz targets, compiled with `--cfg fuzzing` only.

#![allow(missing_docs)]

#[cfg(all(feature = "grpc", feature = "server"))]
pub mod grpc;
pub mod socket;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::PluginConfig;
use crate::model::{Object, PluginContext, PluginResult};
#[cfg(feature = "server")]
use crate::server::request::Incoming;
use crate::wire::reply::{Expected, HookReply, configs_reply, hook_reply};
use crate::wire::reply_fault::ReplyFault;
use crate::wire::stamp::Stamp;
use crate::wire::structpb::{de::read_struct, ser::write_struct, writer::Writer};
use crate::wire::{read_any_layout, request};

/// The message of an `InvokeHookRequest` in its frame.
#[must_use]
pub fn encode_request<T: Serialize + ?Sized>(
    hook_type: &str,
    plugin: &str,
    payload: &T,
    context: &PluginContext,
) -> Option<Vec<u8>> {
    let fidelity = request::Fidelity::default();
    let encoded = request::invoke_hook(hook_type, plugin, payload, context, None, fidelity, 256);
    encoded.ok().map(|encoded| encoded.frame)
}

/// Why a reply is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It is not of the type that was asked for; its caller's error alone.
    Unfit,
    /// It puts its connection in doubt.
    Doubtful,
}

/// Reads an `InvokeHookResponse` as the client does; `None` is an error of the plugin.
pub fn decode_reply<P: DeserializeOwned>(
    message: &[u8],
    plugin: &str,
    request_id: &str,
) -> Result<Option<PluginResult<P>>, Rejected> {
    decode(message, Expected { plugin, request_id, stamp: None })
}

/// Whether a reply is an error beside a verdict that denies.
#[must_use]
pub fn is_denial_beside_an_error(message: &[u8], plugin: &str, request_id: &str) -> bool {
    let expected = Expected { plugin, request_id, stamp: None };
    let reply = hook_reply::<Object>(message, expected);
    matches!(reply, Ok(HookReply::Fault(fault)) if fault.is_denial())
}

/// The same of a call with the stamp of this number and hash, each in 16 digits.
pub fn decode_stamped_reply<P: DeserializeOwned>(
    message: &[u8],
    plugin: &str,
    request_id: &str,
    (number, hash): (u64, u64),
) -> Result<Option<PluginResult<P>>, Rejected> {
    let stamp = Some(&Stamp::new(number, hash));
    decode(message, Expected { plugin, request_id, stamp })
}

fn decode<P: DeserializeOwned>(
    message: &[u8],
    expected: Expected<'_>,
) -> Result<Option<PluginResult<P>>, Rejected> {
    match hook_reply(message, expected) {
        Ok(HookReply::Result(result, _)) => Ok(Some(result)),
        Ok(HookReply::Fault(_)) => Ok(None),
        Err(ReplyFault::Unfit(_)) => Err(Rejected::Unfit),
        Err(_) => Err(Rejected::Doubtful),
    }
}

/// A Struct in a frame.
pub fn encode_struct<T: Serialize + ?Sized>(object: &T) -> Option<Vec<u8>> {
    let mut writer = Writer::with_capacity(256);
    write_struct(&mut writer, object).ok()?;
    writer.take_frame().ok()
}

/// Reads a Struct of any layout.
pub fn decode_struct<T: DeserializeOwned>(message: &[u8]) -> Option<T> {
    read_any_layout::<prost_types::Struct, _>(message, |message, budget| {
        read_struct(message, budget)
    })
    .ok()
}

/// Reads a `GetPluginConfigsResponse` as the client does.
pub fn decode_configs(message: &[u8]) -> Result<Vec<Object>, String> {
    configs_reply(message).map_err(|error| error.to_string())
}

/// A configuration, filled from what the plugin's server reported.
#[must_use]
pub fn merge_remote(local: &PluginConfig, remote: &Object) -> PluginConfig {
    local.merged_with_remote(remote).0
}

/// A hook call as the embedded server reads it.
#[cfg(feature = "server")]
#[derive(Debug)]
pub struct ReadCall<'a> {
    pub hook_type: &'a str,
    pub plugin: &'a str,
    pub payload: Option<Object>,
    pub context: Option<PluginContext>,
}

/// Reads a request as the embedded server does; `None` for anything but a hook call.
#[cfg(feature = "server")]
#[must_use]
pub fn read_call(message: &[u8]) -> Option<ReadCall<'_>> {
    match Incoming::read(message) {
        Incoming::Hook(request) => Some(ReadCall {
            hook_type: request.hook_type,
            plugin: request.plugin,
            payload: request.read_payload().ok(),
            context: request.read_context().ok(),
        }),
        Incoming::Config(_) | Incoming::Configs | Incoming::Unknown => None,
    }
}
