//! What a run carries from plugin to plugin: the payload, and what they make of it.

use std::any::Any;
use std::sync::Arc;

use hookwire::Hook;
use hookwire::hooks::{Applies, HttpPreRequestPayload};
use hookwire::model::Headers;
use serde::de::DeserializeOwned;

use super::ChainHook;
use crate::policy::{FieldPolicy, Filtered, filter};

/// The payload that plugins are called with, and the way their answers change what the run
/// comes to.
pub(crate) trait Cargo: Send {
    type Hook: ChainHook;
    /// What the gateway goes on with.
    type Product;

    /// What the next plugin is called with.
    fn payload(&self) -> &Arc<<Self::Hook as Hook>::Payload>;

    /// Takes a plugin's answer over; true if that has changed anything.
    ///
    /// # Errors
    /// If it cannot be held against the policy.
    fn take(
        &mut self,
        plugin: &str,
        answer: <Self::Hook as Hook>::Modified,
    ) -> Result<bool, String>;

    fn product(self) -> Self::Product;
}

/// For hooks whose answer changes the payload: each plugin sees the changes of those before.
pub(crate) struct Changing<'a, H: ChainHook> {
    payload: Arc<H::Payload>,
    policy: &'a FieldPolicy,
    protected: Vec<String>,
}

impl<'a, H: ChainHook> Changing<'a, H> {
    /// `protected` are names of headers that plugins may not overwrite.
    pub(crate) fn new(payload: H::Payload, policy: &'a FieldPolicy, protected: &[String]) -> Self {
        // Those that the client sent: one that a plugin has added, another may change.
        let protected = match (&payload as &dyn Any).downcast_ref::<HttpPreRequestPayload>() {
            Some(request) => {
                protected.iter().filter(|name| has(&request.headers, name)).cloned().collect()
            }
            None => Vec::new(),
        };
        Self { payload: Arc::new(payload), policy, protected }
    }

    /// Without the headers that plugins may not overwrite.
    fn protect(&self, plugin: &str, answer: &mut H::Modified) {
        let headers = (answer as &mut dyn Any).downcast_mut::<Headers>();
        let Some(headers) = headers.filter(|_| !self.protected.is_empty()) else { return };
        headers.retain(|name, _| {
            let protected = self.protected.iter().any(|other| same(other, name));
            if protected {
                warn(plugin, H::NAME, "a header of the client may not be overwritten", name);
            }
            !protected
        });
    }
}

impl<H> Cargo for Changing<'_, H>
where
    H: ChainHook + Applies,
    H::Payload: DeserializeOwned,
{
    type Hook = H;
    type Product = H::Payload;

    fn payload(&self) -> &Arc<H::Payload> {
        &self.payload
    }

    fn take(&mut self, plugin: &str, mut answer: H::Modified) -> Result<bool, String> {
        self.protect(plugin, &mut answer);
        let writable = match self.policy {
            FieldPolicy::Allow => {
                H::apply(Arc::make_mut(&mut self.payload), answer);
                return Ok(true);
            }
            FieldPolicy::Deny => {
                warn(plugin, H::NAME, "plugins may not change the payload of this hook", "all");
                return Ok(false);
            }
            FieldPolicy::Only(fields) => fields,
        };
        let mut after = H::Payload::clone(&self.payload);
        H::apply(&mut after, answer);
        let filtered = filter(&*self.payload, &after, writable).map_err(|why| why.to_string())?;
        let (changed, refused) = match filtered {
            Filtered::Changed { payload, refused } => {
                self.payload = Arc::new(payload);
                (true, refused)
            }
            Filtered::Unchanged { refused } => (false, refused),
        };
        if !refused.is_empty() {
            let refused = refused.join(", ");
            warn(plugin, H::NAME, "plugins may not change these fields of the payload", &refused);
        }
        Ok(changed)
    }

    fn product(self) -> H::Payload {
        Arc::unwrap_or_clone(self.payload)
    }
}

fn has(headers: &Headers, name: &str) -> bool {
    headers.keys().any(|known| same(known, name))
}

/// Whether two names may come to mean one header. HTTP does not know a name with a blank or a
/// control character in it, but whoever cleans it up must not find another one then.
fn same(one: &str, other: &str) -> bool {
    fn clean(name: &str) -> impl Iterator<Item = u8> {
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        name.bytes().filter(token).map(|byte| byte.to_ascii_lowercase())
    }
    clean(one).eq(clean(other))
}

fn warn(plugin: &str, hook: &str, why: &str, names: &str) {
    tracing::warn!(plugin, hook, names, "{why}: the change was taken back");
}

/// For hooks whose answer is a decision: each plugin sees the payload as it was, and the last
/// decision counts.
pub(crate) struct Deciding<H: ChainHook> {
    payload: Arc<H::Payload>,
    decision: Option<H::Modified>,
}

impl<H: ChainHook> Deciding<H> {
    pub(crate) fn new(payload: H::Payload) -> Self {
        Self { payload: Arc::new(payload), decision: None }
    }
}

impl<H: ChainHook> Cargo for Deciding<H> {
    type Hook = H;
    type Product = Option<H::Modified>;

    fn payload(&self) -> &Arc<H::Payload> {
        &self.payload
    }

    fn take(&mut self, _plugin: &str, answer: H::Modified) -> Result<bool, String> {
        self.decision = Some(answer);
        Ok(true)
    }

    fn product(self) -> Option<H::Modified> {
        self.decision
    }
}

#[cfg(test)]
mod tests {
    use hookwire::hooks::{
        HttpAuthCheckPermission, HttpAuthCheckPermissionPayload, HttpPreRequest,
        PermissionDecision, ToolPreInvoke, ToolPreInvokePayload,
    };
    use serde_json::json;

    use super::*;

    fn headers<const N: usize>(headers: [(&str, &str); N]) -> Headers {
        headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn merged(protected: &[&str], answers: &[Headers]) -> Headers {
        let sent = headers([("Authorization", "client"), ("accept", "*/*")]);
        let payload = HttpPreRequestPayload::new("/", "GET").with_headers(sent);
        let protected: Vec<_> = protected.iter().map(|name| (*name).to_owned()).collect();
        let mut cargo = Changing::<HttpPreRequest>::new(payload, &FieldPolicy::Allow, &protected);
        for answer in answers {
            assert_eq!(cargo.take("P", answer.clone()), Ok(true));
        }
        cargo.product().headers
    }

    #[test]
    fn headers_are_merged_but_what_the_client_sent_is_protected() {
        let answer =
            headers([("AUTHORIZATION", "plugin"), ("Accept", "text/html"), ("cookie", "a")]);
        assert_eq!(
            merged(&["authorization", "cookie"], std::slice::from_ref(&answer)),
            headers([("Authorization", "client"), ("Accept", "text/html"), ("cookie", "a")])
        );
        assert_eq!(
            merged(&[], std::slice::from_ref(&answer)),
            headers([("AUTHORIZATION", "plugin"), ("Accept", "text/html"), ("cookie", "a")])
        );
    }

    #[test]
    fn a_name_that_is_none_of_http_does_not_get_by_the_protection() {
        for name in ["authorization ", "\tAuthorization", "author\0ization", "authorization:"] {
            let merged = merged(&["authorization"], &[headers([(name, "plugin")])]);
            assert_eq!(
                merged,
                headers([("Authorization", "client"), ("accept", "*/*")]),
                "{name:?}"
            );
        }
        let other = merged(&["authorization"], &[headers([("x-authorization", "plugin")])]);
        assert_eq!(other["x-authorization"], "plugin");
    }

    #[test]
    fn a_header_that_a_plugin_has_added_another_may_change() {
        let answers = [headers([("Cookie", "1")]), headers([("cookie", "2")])];
        assert_eq!(merged(&["cookie"], &answers)["cookie"], "2");
    }

    #[test]
    fn the_policy_decides_what_a_change_leaves() {
        let take = |policy: FieldPolicy| {
            let payload = ToolPreInvokePayload::new("search").with_arg("q", "rust");
            let mut cargo = Changing::<ToolPreInvoke>::new(payload, &policy, &[]);
            let change = ToolPreInvokePayload::new("shell").with_arg("q", "***");
            let changed = cargo.take("P", change).unwrap();
            (changed, json!(cargo.product()))
        };
        let payload = |name: &str, q: &str| json!({"name": name, "args": {"q": q}});
        assert_eq!(take(FieldPolicy::Allow), (true, payload("shell", "***")));
        assert_eq!(take(FieldPolicy::Deny), (false, payload("search", "rust")));
        assert_eq!(take(FieldPolicy::only(["args"])), (true, payload("search", "***")));
        assert_eq!(take(FieldPolicy::only(["headers"])), (false, payload("search", "rust")));
    }

    #[test]
    fn of_several_decisions_the_last_counts() {
        let asked = HttpAuthCheckPermissionPayload::new("ada@example.org", "tools.execute");
        let mut cargo = Deciding::<HttpAuthCheckPermission>::new(asked);
        for reason in ["first", "last"] {
            let decision = PermissionDecision::new(true).with_reason(reason);
            assert_eq!(cargo.take("P", decision), Ok(true));
        }
        assert_eq!(cargo.product().unwrap().reason.as_deref(), Some("last"));
    }
}
