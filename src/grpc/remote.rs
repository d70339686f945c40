//! One server, the way to it, and what decides that two ways are one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use super::connect::Security;
use crate::unix::connect::Connect;
use crate::unix::message::Method;

/// One server: its name for people, and the way to it.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) name: Arc<str>,
    pub(crate) connector: Arc<dyn Connect>,
    pub(crate) paths: Paths,
    /// What decides that another plugin's way is this one; `None`: nothing does.
    pub(crate) key: Option<Key>,
}

impl Remote {
    /// `scheme` and `authority` are what the server is told of itself; they decide nothing
    /// about how it is connected to.
    pub(crate) fn new(
        name: impl Into<Arc<str>>,
        scheme: Scheme,
        authority: &Authority,
        connector: Arc<dyn Connect>,
    ) -> Self {
        Self { name: name.into(), connector, paths: Paths::new(&scheme, authority), key: None }
    }

    /// The same, where other plugins may have the same way.
    pub(crate) fn keyed(name: impl Into<Arc<str>>, key: Key, connector: Arc<dyn Connect>) -> Self {
        let new = Self::new(name, key.scheme.clone(), &key.authority, connector);
        Self { key: Some(key), ..new }
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Remote").field(&self.name).finish()
    }
}

/// All that decides where a connection leads, who may be there, and how it is secured. What
/// else may differ between plugins is up to each call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Address {
        address: SocketAddr,
        /// What the server's certificate must be for, where the security names nothing else.
        host: Option<String>,
        security: Security,
    },
    Socket {
        path: PathBuf,
        trust_path: bool,
        peer_uids: Vec<u32>,
        peer_gids: Vec<u32>,
    },
}

/// Where the methods of the protocol are on one server.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    invoke_hook: Uri,
    get_config: Uri,
    get_configs: Uri,
    pub(crate) check: Uri,
}

impl Paths {
    fn new(scheme: &Scheme, authority: &Authority) -> Self {
        let at = |path| {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(scheme.clone());
            parts.authority = Some(authority.clone());
            parts.path_and_query = Some(PathAndQuery::from_static(path));
            // All three parts are there, so this cannot fail.
            Uri::from_parts(parts).unwrap_or_default()
        };
        Self {
            invoke_hook: at("/cpex.PluginService/InvokeHook"),
            get_config: at("/cpex.PluginService/GetPluginConfig"),
            get_configs: at("/cpex.PluginService/GetPluginConfigs"),
            check: at("/cpex.Health/Check"),
        }
    }

    /// `empty`: the message is, which asks for all configurations.
    pub(crate) fn of(&self, method: Method, empty: bool) -> &Uri {
        match method {
            Method::InvokeHook => &self.invoke_hook,
            Method::GetConfig if empty => &self.get_configs,
            Method::GetConfig | Method::Check => &self.get_config,
            Method::Connect => &self.check,
        }
    }
}
