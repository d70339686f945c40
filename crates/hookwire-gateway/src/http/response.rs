//! A request that must stop, as a response.

use hookwire::model::Headers;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;

use super::headers;
use crate::chain::Halted;

impl Halted {
    /// The response to the gateway's client (feature `tower`): [`http_status`](Self::http_status),
    /// [`http_headers`](Self::http_headers), `Retry-After` in whole seconds where
    /// [`retry_after`](Self::retry_after) tells it and no plugin does, and this body:
    ///
    /// ```json
    /// {"error": {"code": "NO_SHELL", "message": "Shells are not for guests."}}
    /// ```
    ///
    /// Of the headers, those that describe a body or a connection are left out, and a
    /// `Retry-After` of a plugin that is neither seconds nor a date: the body is this one.
    ///
    /// `self` is in its extensions, for access logs and metrics: with the plugin's name, its
    /// reason, and the [`denial_metadata`](crate::Denial::denial_metadata), which are not for
    /// the client.
    ///
    /// ```
    /// # fn answer(halted: hookwire_gateway::Halted) {
    /// let response: http::Response<String> = halted.into_http_response();
    /// println!("{}", response.status());
    /// # }
    /// ```
    #[must_use]
    pub fn into_http_response<B: From<String>>(self) -> Response<B> {
        self.into_http_response_after(&Headers::new())
    }

    /// The same, with what earlier hooks of the request have told the client.
    pub(super) fn into_http_response_after<B: From<String>>(self, told: &Headers) -> Response<B> {
        let error = json!({"code": self.public_code(), "message": self.public_message()});
        let mut response = Response::new(B::from(json!({ "error": error }).to_string()));
        *response.status_mut() =
            StatusCode::from_u16(self.http_status()).unwrap_or(StatusCode::FORBIDDEN);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers::add(response.headers_mut(), told);
        if let Some(delay) = self.retry_after() {
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers::add(response.headers_mut(), &self.http_headers());
        response.extensions_mut().insert(self);
        response
    }
}
