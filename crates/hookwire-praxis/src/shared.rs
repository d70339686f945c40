//! Plugin handles that engines share.
//!
//! A host reloads by making a new engine and shutting the old one down afterwards, and an
//! engine makes a plugin anew for each route that overrides its settings. All that mean the
//! same plugin have one handle, with its connections, its breaker and its queue. Users are
//! counted; the last one closes it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookwire::{PluginConfig, PluginHandle};
use tokio::runtime::Handle;

use crate::runtime;

/// The handles that are in use, by what they were configured with.
#[derive(Default)]
pub(crate) struct Pool {
    /// Where connections live; the driver of this crate if the host has chosen none.
    runtime: Option<Handle>,
    shared: Mutex<Vec<Shared>>,
}

struct Shared {
    config: PluginConfig,
    handle: PluginHandle,
    users: usize,
}

impl Pool {
    pub(crate) fn on(runtime: Handle) -> Self {
        Self { runtime: Some(runtime), shared: Mutex::default() }
    }

    /// A share of the plugin's handle, which is made if nobody has it. Nothing is connected
    /// yet.
    pub(crate) fn lease(self: &Arc<Self>, config: &PluginConfig) -> io::Result<Lease> {
        let mut shared = self.lock();
        let at = shared.iter().position(|shared| shared.config == *config);
        let handle = match at.and_then(|at| shared.get_mut(at)) {
            Some(shared) => {
                shared.users += 1;
                shared.handle.clone()
            }
            None => {
                let runtime = self.runtime.clone().map_or_else(runtime::driver, Ok)?;
                let builder = PluginHandle::builder(config.clone()).runtime(runtime);
                let handle = builder.connect_lazy();
                let (config, handle_of_all) = (config.clone(), handle.clone());
                shared.push(Shared { config, handle: handle_of_all, users: 1 });
                handle
            }
        };
        Ok(Lease { pool: Arc::clone(self), handle, released: AtomicBool::new(false) })
    }

    /// True for the last user.
    fn release(&self, config: &PluginConfig) -> bool {
        let mut shared = self.lock();
        let Some(at) = shared.iter().position(|shared| shared.config == *config) else {
            return false;
        };
        // Whoever comes next finds either a handle in use, or none.
        match &mut shared[at].users {
            1 => {
                shared.swap_remove(at);
                true
            }
            users => {
                *users -= 1;
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Shared>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("handles", &self.lock().len()).finish_non_exhaustive()
    }
}

/// One user's share of a handle. Given back once: by [`release`](Self::release), or where it
/// is dropped.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    handle: PluginHandle,
    released: AtomicBool,
}

impl Lease {
    pub(crate) fn handle(&self) -> &PluginHandle {
        &self.handle
    }

    /// Gives it back. True for the last user, who is to shut the handle down: calls that are
    /// under way may still need it.
    pub(crate) fn release(&self) -> bool {
        !self.released.swap(true, Relaxed) && self.pool.release(self.handle.local_config())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // An engine that was never shut down; a handle that nobody holds closes by itself.
        self.release();
    }
}
