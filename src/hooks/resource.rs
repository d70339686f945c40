//! Before and after a resource is read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hook;
use crate::model::{Object, redacted_debug, setters};

hook! {
    /// `resource_pre_fetch`: may this resource be read?
    ResourcePreFetch = "resource_pre_fetch", ResourcePreFetchPayload => ResourcePreFetchPayload
}

hook! {
    /// `resource_post_fetch`: may this content be handed on?
    ResourcePostFetch = "resource_post_fetch", ResourcePostFetchPayload => ResourcePostFetchPayload
}

/// The payload of [`ResourcePreFetch`].
///
/// ```
/// use hookwire::hooks::ResourcePreFetchPayload;
///
/// let payload = ResourcePreFetchPayload::new("file:///etc/motd");
/// assert_eq!(payload.metadata, None);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourcePreFetchPayload {
    /// The resource's URI.
    pub uri: String,
    /// What is known about the request for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
}

// A URI may hold a password or a signed query: it counts as content.
redacted_debug!(ResourcePreFetchPayload { show: ; size: uri, metadata });

impl ResourcePreFetchPayload {
    /// A resource without metadata.
    #[must_use]
    pub fn new(uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), metadata: None }
    }
}

setters!(ResourcePreFetchPayload {
    /// Sets the metadata.
    with_metadata(metadata: Object) => metadata = Some(metadata);
});

/// The payload of [`ResourcePostFetch`].
///
/// ```
/// use hookwire::hooks::ResourcePostFetchPayload;
///
/// let payload = ResourcePostFetchPayload::new("file:///etc/motd", "Welcome");
/// assert_eq!(payload.content, "Welcome");
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourcePostFetchPayload {
    /// The resource's URI.
    pub uri: String,
    /// What was read.
    pub content: Value,
}

redacted_debug!(ResourcePostFetchPayload { show: ; size: uri, content });

impl ResourcePostFetchPayload {
    /// A resource that was read.
    #[must_use]
    pub fn new(uri: impl Into<String>, content: impl Into<Value>) -> Self {
        Self { uri: uri.into(), content: content.into() }
    }
}
