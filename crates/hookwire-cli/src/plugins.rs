//! The three plugins of `serve` and `demo`: small enough to be read as examples.

use std::time::Duration;

use hookwire::hooks::{
    AgentPostInvoke, AgentPreInvoke, Hook, PromptPostFetch, PromptPreFetch, ResourcePostFetch,
    ToolPostInvoke, ToolPreInvoke,
};
use hookwire::server::{HandlerError, Handlers, PluginInfo, PluginServer, PluginServerBuilder};
use hookwire::{PluginContext, PluginResult, PluginViolation};
use serde_json::Value;

/// The names that calls use.
pub(crate) const REPLACE: &str = "Replace";
pub(crate) const DENY: &str = "Deny";
pub(crate) const ECHO: &str = "Echo";

/// What `Replace` writes instead of what, without regard to case.
pub(crate) const WORDS: [(&str, &str); 3] = [("crap", "yikes"), ("damn", "darn"), ("foo", "bar")];

/// What `Deny` refuses, without regard to case.
pub(crate) const FORBIDDEN: [&str; 3] = ["forbidden", "password", "secret"];

/// The hooks that carry text, and where in their payloads it is.
const TEXT_HOOKS: [&str; 7] = [
    ToolPreInvoke::NAME,
    ToolPostInvoke::NAME,
    PromptPreFetch::NAME,
    PromptPostFetch::NAME,
    ResourcePostFetch::NAME,
    AgentPreInvoke::NAME,
    AgentPostInvoke::NAME,
];
const TEXT_FIELDS: [&str; 4] = ["args", "result", "content", "messages"];

/// The longest that `Echo` waits.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// A server with all three.
pub(crate) fn server() -> PluginServerBuilder {
    let info = |name, description| PluginInfo::new(name).with_description(description);
    PluginServer::builder()
        .plugin(info(REPLACE, "rewrites words"), on_text(|payload| Ok(replace(payload))))
        .plugin(info(DENY, "refuses forbidden words"), on_text(|payload| Ok(deny(&payload))))
        .plugin(info(ECHO, "returns the payload"), Handlers::new().any(echo))
}

/// What the plugins do, for people.
pub(crate) fn description() -> String {
    let words: Vec<_> = WORDS.iter().map(|(word, other)| format!("{word} -> {other}")).collect();
    format!(
        "Replace  rewrites whole words in every string of args, result, content and messages:\n         \
         {}\n\
         Deny     answers with a violation where one of these holds a forbidden word:\n         \
         {}\n\
         Echo     returns the payload of any hook, custom ones too, as modified_payload;\n         \
         waits args.delay_ms milliseconds first, if there is such an argument\n\n\
         Replace and Deny serve {}.",
        words.join(", "),
        FORBIDDEN.join(", "),
        TEXT_HOOKS.join(", "),
    )
}

fn on_text(
    answer: impl Fn(Value) -> Result<PluginResult<Value>, HandlerError> + Copy + Send + Sync + 'static,
) -> Handlers {
    TEXT_HOOKS.iter().fold(Handlers::new(), |handlers, hook| {
        handlers.on_json(*hook, move |payload, _: PluginContext| async move { answer(payload) })
    })
}

fn replace(mut payload: Value) -> PluginResult<Value> {
    let mut changed = false;
    for field in TEXT_FIELDS {
        let Some(text) = payload.get_mut(field) else { continue };
        rewrite(text, &mut |word| {
            let (_, other) = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
            changed = true;
            Some(*other)
        });
    }
    if changed { PluginResult::modify(payload) } else { PluginResult::allow() }
}

fn deny(payload: &Value) -> PluginResult<Value> {
    let fields = TEXT_FIELDS.iter().filter_map(|field| payload.get(field));
    match fields.flat_map(words).find_map(|word| forbidden(word)) {
        None => PluginResult::allow(),
        Some(word) => {
            let description = format!("the payload holds the forbidden word `{word}`");
            let mut violation = PluginViolation::new("FORBIDDEN_WORD")
                .with_reason("forbidden word")
                .with_description(description)
                .with_http_status_code(403);
            violation.details.insert("word".to_owned(), word.into());
            PluginResult::deny(violation)
        }
    }
}

fn forbidden(word: &str) -> Option<&'static str> {
    FORBIDDEN.into_iter().find(|forbidden| forbidden.eq_ignore_ascii_case(word))
}

async fn echo(
    _hook: String,
    payload: Value,
    _context: PluginContext,
) -> Result<PluginResult<Value>, HandlerError> {
    if let Some(delay) = payload.pointer("/args/delay_ms").and_then(Value::as_f64)
        && delay > 0.0
    {
        let delay = Duration::try_from_secs_f64(delay / 1000.0).unwrap_or(MAX_DELAY);
        tokio::time::sleep(delay.min(MAX_DELAY)).await;
    }
    Ok(PluginResult::modify(payload))
}

/// Puts what `other` returns in place of each word, in every string below.
fn rewrite(value: &mut Value, other: &mut impl FnMut(&str) -> Option<&'static str>) {
    match value {
        Value::String(text) => {
            let parts = split(text).map(|part| other(part).unwrap_or(part));
            *text = parts.collect();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, other)),
        Value::Object(members) => members.values_mut().for_each(|member| rewrite(member, other)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The words of every string below, and what is between them.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => split(text).collect(),
        Value::Array(items) => items.iter().flat_map(words).collect(),
        Value::Object(members) => members.values().flat_map(words).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Words and the gaps between them: nothing is lost.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|c: char| c.is_alphanumeric() != first.is_alphanumeric());
        let (part, left) = rest.split_at(end.unwrap_or(rest.len()));
        rest = left;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use hookwire::Verdict;
    use serde_json::json;

    use super::*;

    #[test]
    fn replace_rewrites_whole_words_at_any_depth_and_nothing_else() {
        let payload =
            json!({"name": "crap", "args": {"a": ["Crap, scrap & DAMN", 1], "b": {"c": "ok"}}});
        let result = replace(payload);
        assert_eq!(
            result.verdict(),
            Verdict::Allowed(Some(
                &json!({"name": "crap", "args": {"a": ["yikes, scrap & darn", 1], "b": {"c": "ok"}}})
            ))
        );
    }

    #[test]
    fn replace_leaves_a_payload_without_its_words_as_it_is() {
        let result = replace(json!({"args": {"text": "fine"}}));
        assert_eq!(result.verdict(), Verdict::Allowed(None));
    }

    #[test]
    fn deny_refuses_a_forbidden_word_and_names_it() {
        let result = deny(&json!({"name": "t", "result": [{"text": "my PASSWORD!"}]}));
        assert!(!result.is_allowed());
        let violation = result.violation().unwrap();
        assert_eq!(violation.code, "FORBIDDEN_WORD");
        assert_eq!(violation.details["word"], "password");
    }

    #[test]
    fn deny_allows_words_that_only_hold_a_forbidden_one() {
        assert!(deny(&json!({"args": {"text": "passwords, secretly"}})).is_allowed());
    }
}
