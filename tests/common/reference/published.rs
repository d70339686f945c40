//! The reference server with plugins that other people have published.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::{REQUIREMENTS, ReferenceServer, file, install, installed};

impl ReferenceServer {
    /// A server with the plugins of `published/plugins.yaml`, with nothing remembered.
    pub(crate) fn published() -> Option<Self> {
        static VENV: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let requirements = [REQUIREMENTS, "published/requirements.txt"];
        let venv = installed(VENV.get_or_init(|| install("published-venv", &requirements)))?;
        let plugins = file("published/plugins.yaml");
        let plugins = plugins.to_str().expect("a path that is text");
        Some(Self::start_in(venv, &[("PLUGINS_CONFIG_PATH", plugins)]))
    }
}
