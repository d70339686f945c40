//! hookwire: with typed payloads, and with JSON by the hook's name.

use std::hint::black_box;
use std::sync::Arc;

use hookwire::hooks::{PromptPreFetch, PromptPreFetchPayload};
use hookwire::{PluginContext, PluginHandle};
use serde_json::Value;

use crate::common::sample;
use crate::load::Call;

#[derive(Clone)]
pub struct Typed {
    handle: PluginHandle,
    payload: Arc<PromptPreFetchPayload>,
    context: PluginContext,
}

impl Typed {
    pub fn new(handle: PluginHandle) -> Self {
        Self::with(handle, Arc::new(sample::payload()))
    }

    pub fn with(handle: PluginHandle, payload: Arc<PromptPreFetchPayload>) -> Self {
        Self { handle, payload, context: sample::context() }
    }
}

impl Call for Typed {
    async fn call(&mut self) {
        let call = self.handle.invoke_hook::<PromptPreFetch>(&self.payload, &mut self.context);
        let _ = black_box(call.await.expect("the plugin answers"));
    }
}

#[derive(Clone)]
pub struct Dynamic {
    handle: PluginHandle,
    payload: Arc<Value>,
    context: PluginContext,
}

impl Dynamic {
    pub fn new(handle: PluginHandle) -> Self {
        let payload = serde_json::to_value(sample::payload()).expect("the sample is JSON");
        Self { handle, payload: Arc::new(payload), context: sample::context() }
    }
}

impl Call for Dynamic {
    async fn call(&mut self) {
        let call = self.handle.invoke_hook_json(sample::HOOK, &self.payload, &mut self.context);
        let _ = black_box(call.await.expect("the plugin answers"));
    }
}
