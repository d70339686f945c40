//! A plugin made of functions, one per hook.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{HandlerError, HookCall, HookFuture, Plugin};
use crate::hooks::{Hook, HookRegistry};
use crate::model::{PluginContext, PluginResult};

/// Functions that answer hooks: the usual way to write a plugin.
///
/// ## Behavior
/// - A handler gets the payload, read into the hook's own type, and the context.
///   A payload that does not fit is answered with an error, without the handler.
/// - It returns a [`PluginResult`], or `(result, context)` if it has changed the
///   context; any error in it becomes an error reply through `?`.
/// - A hook has one handler, the one registered last. Hooks without one go to
///   [`any`](Self::any), if there is one.
///
/// ```
/// use hookwire::hooks::{ToolPostInvoke, ToolPreInvoke};
/// use hookwire::server::Handlers;
/// use hookwire::PluginResult;
/// use serde_json::json;
///
/// let plugin = Handlers::new()
///     .on::<ToolPreInvoke>(|mut payload, _| async move {
///         payload.name = payload.name.to_lowercase();
///         Ok(PluginResult::modify(payload))
///     })
///     .on::<ToolPostInvoke>(|_, mut context| async move {
///         context.state.insert("seen".to_owned(), json!(true));
///         Ok((PluginResult::allow(), context))
///     })
///     .on_json("invoice_check", |payload, _| async move {
///         let total: f64 = payload["total"].to_string().parse()?;
///         Ok(PluginResult::modify(json!({"total": total.round()})))
///     });
/// ```
#[derive(Default)]
pub struct Handlers {
    by_hook: BTreeMap<Cow<'static, str>, Box<dyn Answer>>,
    any: Option<Box<dyn Answer>>,
}

impl Handlers {
    /// No handler at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the hook `H`.
    #[must_use]
    pub fn on<H>(mut self, handler: impl Handler<H::Payload, H::Modified>) -> Self
    where
        H: Hook,
        H::Payload: DeserializeOwned + 'static,
        H::Modified: Serialize + 'static,
    {
        self.by_hook.insert(H::NAME.into(), Box::new(Typed(handler, PhantomData)));
        self
    }

    /// Answers the hook of this name, in JSON.
    #[must_use]
    pub fn on_json(
        mut self,
        hook_type: impl Into<Cow<'static, str>>,
        handler: impl Handler<Value, Value>,
    ) -> Self {
        self.by_hook.insert(hook_type.into(), Box::new(Typed(handler, PhantomData)));
        self
    }

    /// Answers every other hook, in JSON; the handler gets the hook type first.
    ///
    /// The plugin's configuration then lists all built-in hooks;
    /// [`PluginInfo::with_hooks`](super::PluginInfo::with_hooks) lists others.
    ///
    /// ```
    /// use hookwire::PluginResult;
    /// use hookwire::server::Handlers;
    ///
    /// let echo = Handlers::new().any(|_hook_type: String, payload, _context| async move {
    ///     Ok(PluginResult::modify(payload))
    /// });
    /// ```
    #[must_use]
    pub fn any<F, Fut, T>(mut self, handler: F) -> Self
    where
        F: Fn(String, Value, PluginContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, HandlerError>> + Send + 'static,
        T: IntoReply<Value> + 'static,
    {
        self.any = Some(Box::new(Dynamic(handler)));
        self
    }
}

impl Plugin for Handlers {
    fn hooks(&self) -> Vec<String> {
        let registry =
            if self.any.is_some() { HookRegistry::builtin() } else { HookRegistry::empty() };
        let others = registry.names().filter(|name| !self.by_hook.contains_key(*name));
        self.by_hook.keys().map(AsRef::as_ref).chain(others).map(str::to_owned).collect()
    }

    fn invoke<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
        match self.by_hook.get(call.hook_type()).or(self.any.as_ref()) {
            Some(handler) => handler.answer(call),
            None => Box::pin(async move { Err(call.unknown_hook()) }),
        }
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("hooks", &self.by_hook.keys())
            .field("any", &self.any.is_some())
            .finish()
    }
}

/// A function that answers a hook: `|payload: P, context| async move { Ok(result) }`.
///
/// Every such closure is one; see [`Handlers`] for examples.
// `Fn` is a supertrait so that the types of a closure's parameters are inferred.
pub trait Handler<P, R>: Fn(P, PluginContext) -> Self::Future + Send + Sync + 'static {
    /// What the function returns.
    type Future: Future<Output = Result<Self::Reply, HandlerError>> + Send;
    /// What comes of it: a result, alone or with a context.
    type Reply: IntoReply<R>;
}

impl<P, R, F, Fut, T> Handler<P, R> for F
where
    F: Fn(P, PluginContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, HandlerError>> + Send,
    T: IntoReply<R>,
{
    type Future = Fut;
    type Reply = T;
}

/// What a handler may return: a [`PluginResult`], which leaves the context as it
/// was, or one together with the changed context. See [`Handlers`] for examples.
pub trait IntoReply<R>: Send {
    /// Takes it apart.
    fn into_reply(self) -> (PluginResult<R>, Option<PluginContext>);
}

impl<R: Send> IntoReply<R> for PluginResult<R> {
    fn into_reply(self) -> (PluginResult<R>, Option<PluginContext>) {
        (self, None)
    }
}

impl<R: Send> IntoReply<R> for (PluginResult<R>, PluginContext) {
    fn into_reply(self) -> (PluginResult<R>, Option<PluginContext>) {
        (self.0, Some(self.1))
    }
}

/// A handler whose types are forgotten.
trait Answer: Send + Sync {
    fn answer<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a>;
}

/// A handler with a payload of type `P` and a result of type `R`.
struct Typed<P, R, F>(F, PhantomData<fn(P) -> R>);

impl<P, R, F> Answer for Typed<P, R, F>
where
    P: DeserializeOwned + 'static,
    R: Serialize + 'static,
    F: Handler<P, R>,
{
    fn answer<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
        Box::pin(async move {
            let answer = (self.0)(call.payload()?, call.context()?);
            finish(&call, answer.await?)
        })
    }
}

/// A handler for any hook.
struct Dynamic<F>(F);

impl<F, Fut, T> Answer for Dynamic<F>
where
    F: Fn(String, Value, PluginContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, HandlerError>> + Send + 'static,
    T: IntoReply<Value> + 'static,
{
    fn answer<'a>(&'a self, call: HookCall<'a>) -> HookFuture<'a> {
        Box::pin(async move {
            let hook_type = call.hook_type().to_owned();
            let answer = (self.0)(hook_type, call.payload()?, call.context()?);
            finish(&call, answer.await?)
        })
    }
}

fn finish<R: Serialize>(
    call: &HookCall<'_>,
    answer: impl IntoReply<R>,
) -> Result<super::HookReply, HandlerError> {
    match answer.into_reply() {
        (result, None) => call.reply(&result),
        (result, Some(context)) => call.reply_with_context(&result, &context),
    }
}
