//! Before and after an HTTP request to the gateway.

use serde::{Deserialize, Serialize};

use super::{Applies, hook};
use crate::model::{Headers, null_as_default, redacted_debug, setters};

hook! {
    /// `http_pre_request`: which headers of this request change?
    ///
    /// The answer has only those: [`enforce`](crate::PluginHandle::enforce) merges them over
    /// the request's without regard to case. A gateway should restore the headers that a
    /// plugin may not change, such as `authorization` and `cookie`.
    HttpPreRequest = "http_pre_request", HttpPreRequestPayload => Headers
}

hook! {
    /// `http_post_request`: which headers of this response change?
    ///
    /// The answer has only those: [`enforce`](crate::PluginHandle::enforce) merges them over
    /// the response's without regard to case.
    HttpPostRequest = "http_post_request", HttpPostRequestPayload => Headers
}

impl Applies for HttpPreRequest {
    fn apply(payload: &mut HttpPreRequestPayload, modified: Headers) {
        merge(&mut payload.headers, modified);
    }
}

impl Applies for HttpPostRequest {
    fn apply(payload: &mut HttpPostRequestPayload, modified: Headers) {
        merge(payload.response_headers.get_or_insert_default(), modified);
    }
}

/// Names of headers are the same in any case.
fn merge(headers: &mut Headers, modified: Headers) {
    for (name, value) in modified {
        headers.retain(|known, _| !known.eq_ignore_ascii_case(&name));
        headers.insert(name, value);
    }
}

/// The payload of [`HttpPreRequest`].
///
/// ```
/// use hookwire::hooks::HttpPreRequestPayload;
///
/// let payload = HttpPreRequestPayload::new("/mcp", "POST")
///     .with_headers([("Accept".to_owned(), "*/*".to_owned())].into())
///     .with_client_host("10.0.0.7");
/// assert_eq!(payload.headers["Accept"], "*/*");
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpPreRequestPayload {
    /// The path of the request.
    pub path: String,
    /// The method of the request.
    pub method: String,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_host: Option<String>,
    /// The client's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_port: Option<u16>,
    /// The headers of the request. Always on the wire; null is read as empty.
    #[serde(deserialize_with = "null_as_default")]
    pub headers: Headers,
}

// Paths may hold tokens (invitations, password resets): they count as content.
redacted_debug!(HttpPreRequestPayload {
    show: method, client_port;
    size: path, client_host, headers
});

impl HttpPreRequestPayload {
    /// A request without headers.
    #[must_use]
    pub fn new(path: impl Into<String>, method: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            method: method.into(),
            client_host: None,
            client_port: None,
            headers: Headers::new(),
        }
    }
}

setters!(HttpPreRequestPayload {
    /// Sets the client's address.
    with_client_host(host: impl Into<String>) => client_host = Some(host.into());
    /// Sets the client's port.
    with_client_port(port: u16) => client_port = Some(port);
    /// Sets the headers.
    with_headers(headers: Headers) => headers = headers;
});

/// The payload of [`HttpPostRequest`].
///
/// ```
/// use hookwire::hooks::HttpPostRequestPayload;
///
/// let payload = HttpPostRequestPayload::new("/mcp", "POST").with_status_code(200);
/// assert_eq!(payload.status_code, Some(200));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpPostRequestPayload {
    /// The path of the request.
    pub path: String,
    /// The method of the request.
    pub method: String,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_host: Option<String>,
    /// The client's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_port: Option<u16>,
    /// The headers of the request. Always on the wire; null is read as empty.
    #[serde(deserialize_with = "null_as_default")]
    pub headers: Headers,
    /// The headers of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<Headers>,
    /// The status of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
}

redacted_debug!(HttpPostRequestPayload {
    show: method, client_port, status_code;
    size: path, client_host, headers, response_headers
});

impl HttpPostRequestPayload {
    /// A request without headers, and a response of which nothing is known.
    #[must_use]
    pub fn new(path: impl Into<String>, method: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            method: method.into(),
            client_host: None,
            client_port: None,
            headers: Headers::new(),
            response_headers: None,
            status_code: None,
        }
    }
}

setters!(HttpPostRequestPayload {
    /// Sets the client's address.
    with_client_host(host: impl Into<String>) => client_host = Some(host.into());
    /// Sets the client's port.
    with_client_port(port: u16) => client_port = Some(port);
    /// Sets the headers of the request.
    with_headers(headers: Headers) => headers = headers;
    /// Sets the headers of the response.
    with_response_headers(headers: Headers) => response_headers = Some(headers);
    /// Sets the status of the response.
    with_status_code(status: u16) => status_code = Some(status);
});
