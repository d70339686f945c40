//! The demo's plugin server and its temporary directory.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookwire::config::UnixSocketBuilder;
use hookwire::server::PluginServer;
use hookwire::{PluginConfig, PluginHandle, UnixSocketConfig};

use crate::failure::Failure;
use crate::plugins;

/// A socket's path may have 103 bytes on some systems: `TMPDIR` can be too long.
const LONGEST_DIRECTORY: usize = 60;

/// Removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Scene {
    directory: PathBuf,
    socket: PathBuf,
    server: Option<PluginServer>,
}

impl Scene {
    pub(super) fn new() -> Result<Self, Failure> {
        let temporary = Some(std::env::temp_dir())
            .filter(|path| path.is_absolute() && path.as_os_str().len() <= LONGEST_DIRECTORY)
            .unwrap_or_else(|| "/tmp".into());
        let directory = temporary.join(format!("hookwire-demo-{:016x}", fastrand::u64(..)));
        // Nobody else may get at the socket, and a directory of this name that is
        // there already is an error.
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(Failure::io("make a temporary directory"))?;
        let socket = directory.join("plugins.sock");
        Ok(Self { directory, socket, server: None })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        let server = plugins::server().bind(&self.socket).await.map_err(Failure::server)?;
        self.server = Some(server);
        Ok(())
    }

    /// Ends the server as `kill -9` would: its connections are gone at once, and
    /// its socket file stays behind.
    pub(super) async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }

    pub(super) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown(Duration::from_secs(1)).await;
        }
    }

    /// A handle to one of the plugins, connected.
    pub(super) async fn connect(
        &self,
        plugin: &str,
        tune: impl FnOnce(UnixSocketBuilder) -> UnixSocketBuilder,
    ) -> Result<PluginHandle, Failure> {
        let socket = tune(UnixSocketConfig::builder(&self.socket));
        let plugin = PluginConfig::builder(plugin).unix_socket(socket);
        let config = plugin.timeout(Duration::from_secs(5)).build()?;
        Ok(PluginHandle::connect(config).await?)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
