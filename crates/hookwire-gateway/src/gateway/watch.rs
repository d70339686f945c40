//! Reloads when a configuration file changes.
//!
//! The folders are watched, not the file: an editor puts another file in its place, and
//! Kubernetes a link to another folder. What counts is what the file holds then.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hookwire::PluginConfig;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::reload::erased;
use super::{Gateway, Reloader};

/// Whoever writes a file does so in several steps: it is read when this long nothing happened.
const QUIET: Duration = Duration::from_millis(200);

/// The longest that a change waits for quiet.
const LATEST: Duration = Duration::from_secs(2);

/// How long after a load that failed it is tried again, though the file holds the same: twice
/// as long each time, up to the other.
const RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Links that follow each other; the system allows as many.
const MAX_LINKS: usize = 40;

impl Gateway {
    /// Reloads when the file at `path` holds something else than before, as
    /// [`reload_on_sighup`](Self::reload_on_sighup) does at a signal.
    ///
    /// Noticed is a file that is written anew, one that takes its place by a rename, as editors
    /// do it, and a link, to the file or to a folder above it, that leads elsewhere, as in a
    /// Kubernetes volume. It is read when nothing has happened for 0.2 s, 2 s after a change at
    /// the latest. A change back to what was loaded last is none, nor is one of the time alone.
    /// A folder on the way may be away for a while.
    ///
    /// `load` is called for the first time at once, so that a change since the gateway's own
    /// first load is not missed; what runs already is not taken over again. A configuration that
    /// could not be loaded or was refused is tried again after 2 s, then at ever longer
    /// intervals, 5 minutes at most, for the file may not be what was wrong.
    ///
    /// On file systems that tell of no changes (some network mounts) it sees none: use the
    /// signal there. A file that is written in place may be read half written: put a new one in
    /// its place by a rename.
    ///
    /// ```no_run
    /// use hookwire_gateway::Gateway;
    ///
    /// # fn load() -> Result<Vec<hookwire::PluginConfig>, std::io::Error> { Ok(Vec::new()) }
    /// # fn start(gateway: &Gateway) -> std::io::Result<()> {
    /// let _reloader = gateway.reload_on_change("/etc/gateway/plugins.yaml", || async { load() })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The file's folder, or the nearest one above it that exists, cannot be watched.
    ///
    /// # Panics
    /// Outside a runtime with time enabled, unless the [builder](crate::GatewayBuilder) names
    /// one.
    pub fn reload_on_change<F, Fut, P, E>(
        &self,
        path: impl Into<PathBuf>,
        load: F,
    ) -> io::Result<Reloader>
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<P, E>> + Send + 'static,
        P: IntoIterator<Item = PluginConfig>,
        E: fmt::Display,
    {
        let mut watched = Watched::new(std::path::absolute(path.into())?)?;
        let (gateway, mut load) = (self.clone(), erased(load));
        Ok(self.reloader(async move {
            // Nothing can be taken over any more after a shutdown.
            while !gateway.inner.lifetime.is_closed() {
                let runs = gateway.reload_changes(&mut load, "a changed file").await;
                watched.wait(runs).await;
            }
        }))
    }
}

/// A file, by the folders that its path leads through.
struct Watched {
    path: PathBuf,
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    events: Arc<Notify>,
    /// What it held before it was loaded last; `None` if it could not be read.
    held: Option<Vec<u8>>,
    /// How long is waited after another failure.
    retry: Duration,
}

impl Watched {
    fn new(path: PathBuf) -> io::Result<Self> {
        let events = Arc::new(Notify::new());
        let notice = Arc::clone(&events);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own reading is no change. Of an error nothing is known, so it may be one.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                notice.notify_one();
            }
        });
        let watcher = watcher.map_err(io::Error::other)?;
        let folders = BTreeSet::new();
        let mut watched = Self { path, watcher, folders, events, held: None, retry: RETRY };
        watched.follow()?;
        // After the folders are watched: no change is missed in between.
        watched.held = watched.read();
        Ok(watched)
    }

    /// Waits until the file holds something else than before the last load, or until that is to
    /// be tried again, if what was loaded does not run.
    ///
    /// # Cancel safety
    /// A change that was seen and not returned is lost.
    async fn wait(&mut self, runs: bool) {
        // It may have changed while it was loaded: what it held is no measure then.
        let mut changed = self.read() != self.held;
        let retry = (!runs).then(|| Instant::now() + self.retry);
        self.retry = if runs { RETRY } else { LONGEST_RETRY.min(self.retry * 2) };
        loop {
            let due = match retry {
                Some(retry) => timeout_at(retry, self.events.notified()).await.is_err(),
                None => {
                    self.events.notified().await;
                    false
                }
            };
            if !due {
                let latest = Instant::now() + LATEST;
                let quiet = async { while timeout(QUIET, self.events.notified()).await.is_ok() {} };
                // Whether it is quiet or too late: now it is read.
                let _ = timeout_at(latest, quiet).await;
            }
            if let Err(error) = self.follow() {
                tracing::warn!(%error, "a folder of the plugins' configuration cannot be watched");
            }
            let holds = self.read();
            changed |= holds != self.held;
            if changed {
                self.retry = RETRY;
            }
            if changed || due {
                self.held = holds;
                return;
            }
        }
    }

    fn read(&self) -> Option<Vec<u8>> {
        std::fs::read(&self.path).ok()
    }

    /// Watches the folders through which the path leads now.
    fn follow(&mut self) -> io::Result<()> {
        loop {
            let folders = self::folders(&self.path);
            let mut outcome = Ok(());
            for folder in &folders {
                // One that was removed and made anew is not watched any more: watch all again.
                let watched = self.watcher.watch(folder, RecursiveMode::NonRecursive);
                outcome = outcome.and(watched.map_err(io::Error::other));
            }
            for left in self.folders.difference(&folders) {
                // It may be gone, and its watch with it.
                let _ = self.watcher.unwatch(left);
            }
            // What changed before the watch began nobody tells.
            let settled = self::folders(&self.path) == folders;
            self.folders = folders;
            if settled {
                return outcome;
            }
        }
    }
}

/// The folders whose entries decide what is at `path`: that of each link on the way, and that
/// of the file, or of the first folder on the way that is not there.
fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut rest: VecDeque<PathBuf> = path.components().map(to_path).collect();
    let mut here = PathBuf::new();
    let mut links = 0;
    while let Some(next) = rest.pop_front() {
        let at = here.join(&next);
        match std::fs::read_link(&at) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                folders.insert(here.clone());
                for component in target.components().rev() {
                    rest.push_front(to_path(component));
                }
            }
            _ if rest.is_empty() => drop(folders.insert(here.clone())),
            _ if next == Path::new("..") => drop(here.pop()),
            _ if !at.is_dir() => {
                folders.insert(here);
                return folders;
            }
            _ => here = at,
        }
    }
    folders
}

fn to_path(component: Component<'_>) -> PathBuf {
    PathBuf::from(component.as_os_str())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_folder_of_each_link_on_the_way_is_watched_and_that_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        // Without links of the machine's own on the way.
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("volume/..2026/deep")).unwrap();
        std::fs::create_dir(root.join("etc")).unwrap();
        std::fs::write(root.join("volume/..2026/plugins.yaml"), "").unwrap();
        symlink("..2026", root.join("volume/..data")).unwrap();
        symlink("..data/plugins.yaml", root.join("volume/plugins.yaml")).unwrap();
        symlink(root.join("volume"), root.join("etc/gateway")).unwrap();

        let names = |path: &str| -> Vec<String> {
            let short = |folder: PathBuf| folder.strip_prefix(&root).unwrap().display().to_string();
            folders(&root.join(path)).into_iter().map(short).collect()
        };
        assert_eq!(names("etc/gateway/plugins.yaml"), ["etc", "volume", "volume/..2026"]);
        assert_eq!(names("volume/..2026/deep/../plugins.yaml"), ["volume/..2026"]);
        assert_eq!(names("etc/absent.yaml"), ["etc"]);
        assert_eq!(names("etc/absent/deep/plugins.yaml"), ["etc"]);
        std::fs::remove_dir_all(root.join("volume/..2026")).unwrap();
        assert_eq!(names("etc/gateway/plugins.yaml"), ["etc", "volume"]);
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert!(!folders(&dir.path().join("a")).is_empty());
    }
}
