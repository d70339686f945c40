//! A plugin that does what the arguments of a tool call tell it, and remembers what it saw.

use std::future::pending;
use std::sync::{Arc, Mutex};

use hookwire::PluginResult;
use hookwire::server::{HandlerError, HookCall, HookFuture, Plugin};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

/// One call, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) hook: String,
    pub(crate) payload: Value,
    pub(crate) context: Value,
}

/// Tells in the arguments: `answer` is the result; `state`, `metadata` and `global` go into the
/// context; `fail` is an error with these words; `hang` waits for ever, `wait` for a
/// permit of the gate.
#[derive(Clone)]
pub(crate) struct Script {
    hooks: Vec<String>,
    seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) gate: Arc<Semaphore>,
}

impl Script {
    pub(crate) fn on<const N: usize>(hooks: [&str; N]) -> Self {
        Self {
            hooks: hooks.map(str::to_owned).into(),
            seen: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the plugin was called")
    }

    async fn answer(
        &self,
        call: HookCall<'_>,
    ) -> Result<hookwire::server::HookReply, HandlerError> {
        let payload: Value = call.payload()?;
        let mut context = call.context()?;
        self.seen.lock().unwrap().push(Seen {
            hook: call.hook_type().to_owned(),
            payload: payload.clone(),
            context: serde_json::to_value(&context).unwrap(),
        });
        let told = told(&payload);
        if let Some(words) = told.get("fail") {
            return Err(HandlerError::new(words.as_str().unwrap_or_default()));
        }
        if told.contains_key("hang") {
            pending::<()>().await;
        }
        if told.contains_key("wait") {
            self.gate.acquire().await.unwrap().forget();
        }
        context.state.extend(object(told.get("state")));
        context.metadata.extend(object(told.get("metadata")));
        context.global_context.state.extend(object(told.get("global")));
        let allow = json!({"continue_processing": true});
        let answer = told.get("answer").cloned().unwrap_or(allow);
        let result: PluginResult<Value> = serde_json::from_value(answer).unwrap();
        call.reply_with_context(&result, &context)
    }
}

impl Plugin for Script {
    fn hooks(&self) -> Vec<String> {
        self.hooks.clone()
    }

    fn invoke<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
        Box::pin(self.answer(call))
    }
}

/// The arguments, in either form.
fn told(payload: &Value) -> Map<String, Value> {
    let in_message = payload.pointer("/message/content/0/content/arguments");
    object(in_message.or(payload.get("args")))
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}
