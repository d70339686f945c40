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
    /// The file's folder cannot be watched.
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
            loop {
                watched.changed().await;
                gateway.reload(&mut load, "a changed file").await;
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
    /// What it held; `None` if it could not be read.
    held: Option<Vec<u8>>,
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
        let mut watched = Self { path, watcher, folders: BTreeSet::new(), events, held: None };
        watched.follow()?;
        // After the folders are watched: no change is missed in between.
        watched.held = watched.read();
        Ok(watched)
    }

    /// Waits until the file holds something else.
    ///
    /// # Cancel safety
    /// A change that was seen and not returned is lost.
    async fn changed(&mut self) {
        loop {
            self.events.notified().await;
            let latest = Instant::now() + LATEST;
            let quiet = async { while timeout(QUIET, self.events.notified()).await.is_ok() {} };
            // Whether it is quiet or too late: now it is read.
            let _ = timeout_at(latest, quiet).await;
            if let Err(error) = self.follow() {
                tracing::warn!(%error, "a folder of the plugins' configuration cannot be watched");
            }
            let holds = self.read();
            if holds != self.held {
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
        let folders = folders(&self.path);
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
        self.folders = folders;
        outcome
    }
}

/// The folders whose entries decide what is at `path`: that of each link on the way, and that
/// of the file.
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
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert!(!folders(&dir.path().join("a")).is_empty());
    }
}
