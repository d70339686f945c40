//! How the HTTP hooks are put around a service.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use http::header::CONTENT_TYPE;
use http::request::Parts;

use crate::chain::Chain;
use crate::context::RequestContext;
use crate::gateway::Gateway;

/// Where the chain of each request comes from. See [`HookLayer`] for an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ChainSource {
    /// The one that the gateway runs when the request comes.
    Gateway(Gateway),
    /// Always this one.
    Chain(Chain),
}

impl ChainSource {
    pub(super) fn chain(&self) -> Chain {
        match self {
            Self::Gateway(gateway) => gateway.chain(),
            Self::Chain(chain) => chain.clone(),
        }
    }
}

impl From<Gateway> for ChainSource {
    fn from(gateway: Gateway) -> Self {
        Self::Gateway(gateway)
    }
}

impl From<&Gateway> for ChainSource {
    fn from(gateway: &Gateway) -> Self {
        Self::Gateway(gateway.clone())
    }
}

impl From<Chain> for ChainSource {
    fn from(chain: Chain) -> Self {
        Self::Chain(chain)
    }
}

pub(super) type ContextOf = Arc<dyn Fn(&Parts) -> RequestContext + Send + Sync>;
pub(super) type ClientOf = Arc<dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync>;

/// Runs the HTTP hooks around a service (feature `tower`; with `axum` as the middleware of a
/// router).
///
/// ## Behavior
/// - `http_pre_request` runs before the service, with method, path, headers, and the client's
///   address where it is known. What plugins change of the headers is put into the request,
///   but for [protected](crate::ChainBuilder::protected_headers) ones.
/// - `http_post_request` runs on the response, with the request's headers as the service has
///   seen them. What plugins change of the response's headers is put into it.
/// - **A request that must stop gets a response** and does not reach the service, or the
///   service's response is thrown away: a denial with the plugin's status, a guard that cannot
///   be asked with 503 and `Retry-After`, one that does not answer in time with 504. See
///   [`Halted::into_http_response`](crate::Halted::into_http_response).
/// - The path is as it was sent, without the query. Put the layer around the whole router:
///   inside a nested one, a path may be without its beginning.
/// - A header that comes several times is one for plugins: its values, joined by `, ` (those
///   of `cookie` by `; `). Only headers that a plugin has changed are replaced, by the one
///   value; all others, such as `set-cookie`, keep all their values.
/// - Headers that frame a message (`content-length`, `transfer-encoding`, `connection`,
///   `keep-alive`, `proxy-connection`, `te`, `trailer`, `upgrade`) are left as they are. A changed header that HTTP does not know, such
///   as one with a line break, stops the request: 502.
/// - Headers that plugins tell the client ([`Report::http_headers`](crate::Report::http_headers))
///   of both hooks are put into the response, also into that of a denial. `set-cookie`, `vary`,
///   `link`, `via`, `warning`, `www-authenticate` and `proxy-authenticate` are added to those
///   that are there, others replace them. `content-type`, `-encoding`, `-language`, `-location`
///   and `-range` are left out: they are for whoever has written the body. So is a
///   `retry-after` that is neither seconds nor a date.
/// - [`RequestHooks`](crate::RequestHooks) is in the request's extensions, for the hooks on the
///   way. All hooks of a request see one configuration.
/// - Two layers around each other run their hooks each, for a request may have been changed
///   between them; those of one gateway share the contexts.
/// - Bodies are not touched. Where no plugin serves a hook, nothing is copied for it.
///
/// ```
/// use hookwire_gateway::{Gateway, HookLayer, RequestContext};
/// use hookwire::GlobalContext;
///
/// fn layer(gateway: &Gateway) -> HookLayer {
///     HookLayer::new(gateway).context(|parts| {
///         let tenant = parts.headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok());
///         let mut context = HookLayer::default_context(parts);
///         context.global_mut().tenant_id = tenant.map(str::to_owned);
///         context
///     })
/// }
/// ```
#[derive(Clone)]
pub struct HookLayer {
    pub(super) source: ChainSource,
    pub(super) context_of: ContextOf,
    pub(super) client_of: ClientOf,
}

impl HookLayer {
    /// The hooks of a [`Gateway`], or of one [`Chain`].
    #[must_use]
    pub fn new(source: impl Into<ChainSource>) -> Self {
        Self {
            source: source.into(),
            context_of: Arc::new(Self::default_context),
            client_of: Arc::new(default_client),
        }
    }

    /// How the contexts of a request begin: its id, tenant, user. Default:
    /// [`default_context`](Self::default_context).
    #[must_use]
    pub fn context(
        mut self,
        context_of: impl Fn(&Parts) -> RequestContext + Send + Sync + 'static,
    ) -> Self {
        self.context_of = Arc::new(context_of);
        self
    }

    /// Who sent a request. Default: with the feature `axum` the address that axum's
    /// `ConnectInfo<SocketAddr>` tells, or else nobody.
    ///
    /// ```
    /// # fn layer(gateway: &hookwire_gateway::Gateway) -> hookwire_gateway::HookLayer {
    /// use std::net::SocketAddr;
    ///
    /// hookwire_gateway::HookLayer::new(gateway)
    ///     .client(|parts| parts.extensions.get::<SocketAddr>().copied())
    /// # }
    /// ```
    #[must_use]
    pub fn client(
        mut self,
        client_of: impl Fn(&Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.client_of = Arc::new(client_of);
        self
    }

    /// A context with an id that no other request has, and the request's media type. The id is
    /// not the client's: replies are told apart by it.
    #[must_use]
    pub fn default_context(parts: &Parts) -> RequestContext {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));
        static REQUESTS: AtomicU64 = AtomicU64::new(0);
        let number = REQUESTS.fetch_add(1, Relaxed);
        let context = RequestContext::new(format!("{:016x}-{number:x}", *PROCESS));
        match parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
            Some(content_type) => context.with_content_type(content_type),
            None => context,
        }
    }
}

#[cfg(feature = "axum")]
use super::axum::client as default_client;

#[cfg(not(feature = "axum"))]
fn default_client(_: &Parts) -> Option<SocketAddr> {
    None
}

impl fmt::Debug for HookLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookLayer").field("source", &self.source).finish_non_exhaustive()
    }
}
