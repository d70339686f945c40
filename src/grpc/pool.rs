//! Ways to servers, each once: plugins whose way is equal have one connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::remote::{Key, Remote};
use super::subchannel::Subchannel;

/// Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<HashMap<Key, Weak<Subchannel>>>>);

impl Pool {
    /// The one way to this server, if it is known what decides it.
    pub(crate) fn subchannel(&self, remote: &Remote) -> Option<Arc<Subchannel>> {
        let key = remote.key.clone()?;
        let mut ways = self.lock();
        if let Some(way) = ways.get(&key).and_then(Weak::upgrade) {
            return Some(way);
        }
        // Servers come and go with their names.
        ways.retain(|_, way| way.strong_count() > 0);
        let connector = Arc::clone(&remote.connector);
        let way = Arc::new(Subchannel::shared(connector, remote.paths.check.clone()));
        ways.insert(key, Arc::downgrade(&way));
        Some(way)
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        let ways: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        ways.iter().filter(|way| way.is_open()).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Weak<Subchannel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
