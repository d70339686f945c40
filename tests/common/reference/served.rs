//! Our embedded server with plugins like those of `fixture_plugins.py`, for the
//! reference client to call.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwire::hooks::{
    DelegatedToken, HttpAuthCheckPermission, HttpAuthResolveUser, HttpPostRequest, HttpPreRequest,
    IdentityResolve, PermissionDecision, ResolvedIdentity, TokenDelegate, ToolPreInvoke,
};
use hookwire::model::{DenialMetric, Headers, Object};
use hookwire::server::{HandlerError, Handlers, PluginServer, PluginServerBuilder};
use hookwire::{PluginResult, PluginViolation};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::calls::object;

/// The server, on a socket of its own that stays the same over [`restart`](Self::restart).
pub(crate) struct Served {
    dir: TempDir,
    idle_timeout: Duration,
    executions: Arc<Mutex<BTreeMap<String, usize>>>,
    pub(crate) server: Option<PluginServer>,
}

impl Served {
    /// Starts a server that closes connections that are idle for this long.
    pub(crate) async fn start(idle_timeout: Duration) -> Self {
        let dir = tempfile::Builder::new().prefix("hookwire").tempdir().expect("a directory");
        let mut served = Self { dir, idle_timeout, executions: Arc::default(), server: None };
        served.restart().await;
        served
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("plugins.sock")
    }

    /// Ends the server as a crash would.
    pub(crate) async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        let server = plugins(Arc::clone(&self.executions))
            .idle_timeout(self.idle_timeout)
            .bind(self.socket())
            .await
            .expect("a free socket");
        self.server = Some(server);
    }

    /// How often the plugin `Counter` ran for this marker, over all restarts.
    pub(crate) fn executions(&self, marker: &str) -> usize {
        self.executions.lock().expect("not poisoned").get(marker).copied().unwrap_or_default()
    }
}

/// All of them; `Counter` counts here.
pub(crate) fn plugins(executions: Arc<Mutex<BTreeMap<String, usize>>>) -> PluginServerBuilder {
    PluginServer::builder()
        .plugin("Transform", transform())
        .plugin("Deny", deny())
        .plugin("Annotate", annotate())
        .plugin("ContextKeeper", context_keeper())
        .plugin("Echo", echo())
        .plugin("Fail", fail())
        .plugin("Counter", counter(executions))
}

fn upper(value: Value) -> Value {
    match value {
        Value::String(text) => text.to_uppercase().into(),
        Value::Array(items) => items.into_iter().map(upper).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, upper(value))).collect(),
        other => other,
    }
}

fn upper_headers(headers: Headers) -> Headers {
    headers.into_iter().map(|(name, value)| (name, value.to_uppercase())).collect()
}

/// Every hook there is: what the hook is about comes back in capitals.
fn transform() -> Handlers {
    Handlers::new()
        .on::<HttpPreRequest>(|payload, _| async move {
            Ok(PluginResult::modify(upper_headers(payload.headers)))
        })
        .on::<HttpPostRequest>(|payload, _| async move {
            Ok(PluginResult::modify(upper_headers(payload.response_headers.unwrap_or_default())))
        })
        .on::<HttpAuthResolveUser>(|payload, _| async move {
            let credentials = upper(payload.credentials.unwrap_or_default().into());
            Ok(PluginResult::modify(object(json!({ "credentials": credentials }))))
        })
        .on::<HttpAuthCheckPermission>(|payload, _| async move {
            let granted = payload.permission.starts_with("tools.");
            let decision = PermissionDecision::new(granted);
            Ok(PluginResult::modify(decision.with_reason(payload.permission.to_uppercase())))
        })
        .on::<IdentityResolve>(|payload, _| async move {
            let claims = json!({"token": payload.raw_token.expose().to_uppercase()});
            let subject = json!({"id": "ada", "type": "user", "roles": ["admin"]});
            let identity = ResolvedIdentity::new(object(subject)).with_raw_claims(object(claims));
            Ok(PluginResult::modify(identity))
        })
        .on::<TokenDelegate>(|payload, _| async move {
            let target = payload.target_name.to_uppercase();
            let token = DelegatedToken::new("a token")
                .with_cache_key(target)
                .with_cache_ttl(std::time::Duration::from_secs(60));
            Ok(PluginResult::modify(token))
        })
        .any(|hook, mut payload: Value, _| async move {
            let place = match hook.as_str() {
                "tool_pre_invoke" | "prompt_pre_fetch" => "/args",
                "tool_post_invoke" | "prompt_post_fetch" => "/result",
                "resource_pre_fetch" => "/metadata",
                "resource_post_fetch" => "/content",
                "agent_pre_invoke" | "agent_post_invoke" => "/messages",
                _ => "/message/content/0/text",
            };
            let about = payload.pointer_mut(place).ok_or(HandlerError::new("nothing to change"))?;
            *about = upper(about.take());
            Ok(PluginResult::modify(payload))
        })
}

/// Refuses everything, with every field that a violation has.
fn deny() -> Handlers {
    Handlers::new().on::<ToolPreInvoke>(|payload, _| async move {
        let details = json!({"tool": payload.name, "tags": ["a", null, {"deep": true}]});
        let violation = PluginViolation::new("FIXTURE_DENIED")
            .with_reason("not today")
            .with_description("refuses every call")
            .with_details(object(details))
            .with_mcp_error_code(-32001)
            .with_http_status_code(429)
            .with_http_headers([("Retry-After".to_owned(), "7".to_owned())].into());
        let metrics = [
            ("exact", DenialMetric::Integer(1 << 60)),
            ("negative", DenialMetric::Integer(-(1 << 62))),
            ("ratio", DenialMetric::Floating(1.5)),
            ("blocked", DenialMetric::Boolean(true)),
        ];
        Ok(PluginResult::deny(violation).with_denial_metadata(metrics.into_iter().collect()))
    })
}

/// Allows, and fills what may stand beside a payload.
fn annotate() -> Handlers {
    Handlers::new().on::<ToolPreInvoke>(|payload, _| async move {
        let metadata = json!({"seen": payload.name, "nested": {"list": [1, 2.5, null, true]}});
        Ok(PluginResult::allow()
            .with_metadata(object(metadata))
            .with_http_headers([("X-Fixture".to_owned(), "annotated".to_owned())].into())
            .with_retry_delay(Duration::from_millis(250)))
    })
}

/// Counts its visits in the context, and says what it saw. With args.forget it empties it.
fn context_keeper() -> Handlers {
    Handlers::new().any(|hook, payload, mut context| async move {
        let seen = json!({
            "request_id": context.global_context.request_id,
            "server_id": context.global_context.server_id,
            "tenant_id": context.global_context.tenant_id,
            "user": context.global_context.user,
            "global_metadata": context.global_context.metadata,
        });
        if payload["args"]["forget"] == true {
            context.state.clear();
            context.metadata.clear();
            context.global_context.state.clear();
        } else {
            count(&mut context.state, "calls");
            count(&mut context.global_context.state, "total");
            let hooks = context.metadata.entry("hooks").or_insert_with(|| json!([]));
            hooks.as_array_mut().ok_or(HandlerError::new("not a list"))?.push(hook.into());
        }
        let result: PluginResult<Value> = PluginResult::allow().with_metadata(object(seen));
        Ok((result, context))
    })
}

fn count(state: &mut Object, key: &str) {
    let count = state.get(key).and_then(Value::as_i64).unwrap_or_default();
    state.insert(key.to_owned(), (count + 1).into());
}

/// Gives the payload back unchanged.
fn echo() -> Handlers {
    Handlers::new().any(|_, payload, _| async move { Ok(PluginResult::modify(payload)) })
}

/// Fails as args.how says.
fn fail() -> Handlers {
    Handlers::new().on::<ToolPreInvoke>(|payload, _| async move {
        let how = payload.args.unwrap_or_default();
        assert!(how.get("how") != Some(&json!("panic")), "this fixture panics when told to");
        if how.get("how") == Some(&json!("unsayable")) {
            let result = PluginResult::allow().with_retry_delay(Duration::MAX);
            return Ok(result);
        }
        Err(HandlerError::new("the fixture says no")
            .with_plugin_name("inner")
            .with_code("FIXTURE")
            .with_details(object(json!({"hint": [1, "two"]})))
            .with_mcp_error_code(-32050))
    })
}

/// Counts its executions per args.marker, then waits args.delay_ms.
fn counter(executions: Arc<Mutex<BTreeMap<String, usize>>>) -> Handlers {
    Handlers::new().on::<ToolPreInvoke>(move |payload, _| {
        let args = payload.args.unwrap_or_default();
        let marker = args.get("marker").and_then(Value::as_str).unwrap_or_default().to_owned();
        *executions.lock().expect("not poisoned").entry(marker).or_default() += 1;
        let delay = args.get("delay_ms").and_then(Value::as_u64).unwrap_or_default();
        async move {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            Ok(PluginResult::allow())
        }
    })
}
