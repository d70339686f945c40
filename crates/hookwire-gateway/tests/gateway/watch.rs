//! Reloads when the file changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use hookwire::PluginConfig;
use hookwire_gateway::{Gateway, Reloader};
use serde_json::{Value, json};

use crate::world::{Served, start, until};

/// A file with the names of plugins, and a gateway that follows it.
struct Followed {
    served: Served,
    path: PathBuf,
    gateway: Gateway,
    _reloader: Reloader,
}

impl Followed {
    /// The file is at `path` in the server's folder.
    async fn start(prepare: impl FnOnce(&Path) -> PathBuf) -> Self {
        Self::start_after(prepare, |_| ()).await
    }

    /// With this done to the file once the gateway has started, before it is watched.
    async fn start_after(
        prepare: impl FnOnce(&Path) -> PathBuf,
        change: impl FnOnce(&Path),
    ) -> Self {
        let served = Served::start(&["A", "B", "C"]).await;
        let path = prepare(served.socket.parent().unwrap());
        let reads = Arc::new(AtomicUsize::new(0));
        let load = {
            let (path, entry) = (path.clone(), served.entry("A", json!({})));
            let reads = Arc::clone(&reads);
            move || {
                let (path, entry) = (path.clone(), entry.clone());
                let reads = Arc::clone(&reads);
                async move {
                    let read = fs::read(path);
                    reads.fetch_add(1, SeqCst);
                    let names: Vec<String> = serde_json::from_slice(&read?)?;
                    let socket = serde_json::to_value(entry)?["unix_socket"].clone();
                    let entry = |name| json!({"name": name, "unix_socket": socket});
                    let entries = Value::from_iter(names.into_iter().map(entry));
                    serde_json::from_value::<Vec<PluginConfig>>(entries)
                        .map_err(std::io::Error::from)
                }
            }
        };
        let gateway = start(load().await.unwrap()).await;
        change(&path);
        let _reloader = gateway.reload_on_change(&path, load).unwrap();
        // What is written from now on is not read half written.
        until("the first look", || reads.load(SeqCst) == 2).await;
        Self { served, path, gateway, _reloader }
    }

    /// The server's, for files of one's own.
    fn folder(&self) -> &Path {
        self.served.socket.parent().unwrap()
    }

    async fn runs(&self, names: &[&str]) {
        until("the reload", || self.gateway.chain().names() == names).await;
    }
}

fn plugins(folder: &Path) -> PathBuf {
    let path = folder.join("plugins.json");
    fs::write(&path, r#"["A"]"#).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_written_anew_is_noticed() {
    let followed = Followed::start(plugins).await;
    fs::write(&followed.path, r#"["A", "B"]"#).unwrap();
    followed.runs(&["A", "B"]).await;
    // Cut off in the middle: what runs stays.
    fs::write(&followed.path, r#"["A", "#).unwrap();
    until("the refusal", || followed.gateway.reload_stats().failed == 1).await;
    fs::write(&followed.path, "[]").unwrap();
    until("the refusal", || followed.gateway.reload_stats().failed == 2).await;
    followed.runs(&["A", "B"]).await;
    fs::write(&followed.path, r#"["B"]"#).unwrap();
    followed.runs(&["B"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_takes_its_place_by_a_rename_is_noticed_each_time() {
    let followed = Followed::start(plugins).await;
    for names in [["A", "B"], ["B", "C"], ["C", "A"]] {
        let new = followed.folder().join("new");
        fs::write(&new, serde_json::to_vec(&names).unwrap()).unwrap();
        fs::rename(new, &followed.path).unwrap();
        followed.runs(&names).await;
    }
    // An editor that moves the old one away first.
    fs::rename(&followed.path, followed.folder().join("plugins.json~")).unwrap();
    fs::write(&followed.path, r#"["C"]"#).unwrap();
    followed.runs(&["C"]).await;
}

/// As Kubernetes does it: the file is a link through `..data`, which leads to a folder that is
/// new each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_leads_elsewhere_is_noticed_each_time() {
    let volume = |folder: &Path, version: &str, names: &str| {
        let data = folder.join("volume").join(format!("..{version}"));
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("plugins.json"), names).unwrap();
        let new = folder.join("volume/..data_tmp");
        symlink(format!("..{version}"), &new).unwrap();
        fs::rename(new, folder.join("volume/..data")).unwrap();
    };
    let followed = Followed::start(|folder| {
        volume(folder, "1", r#"["A"]"#);
        let path = folder.join("volume/plugins.json");
        symlink("..data/plugins.json", &path).unwrap();
        path
    })
    .await;
    let folder = followed.folder();
    for (version, names) in [("2", ["A", "B"]), ("3", ["B", "C"]), ("4", ["C", "A"])] {
        volume(folder, version, &json!(names).to_string());
        let before = version.parse::<u32>().unwrap() - 1;
        fs::remove_dir_all(folder.join(format!("volume/..{before}"))).unwrap();
        followed.runs(&names).await;
    }
    // Written where the links lead to.
    fs::write(folder.join("volume/..4/plugins.json"), r#"["B"]"#).unwrap();
    followed.runs(&["B"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_files_and_a_file_that_holds_the_same_are_no_change() {
    let followed = Followed::start(plugins).await;
    fs::write(followed.folder().join("other"), "x").unwrap();
    fs::write(&followed.path, r#"["A"]"#).unwrap();
    fs::write(&followed.path, r#"["A", "B"]"#).unwrap();
    followed.runs(&["A", "B"]).await;
    let reloads = followed.gateway.reload_stats();
    assert_eq!((reloads.applied, reloads.failed), (2, 0), "the start, and the one change");
}

/// The start takes its time, and so do those who write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_between_the_first_load_and_the_watch_is_noticed() {
    let followed = Followed::start_after(plugins, |path| {
        fs::write(path, r#"["A", "B"]"#).unwrap();
    })
    .await;
    followed.runs(&["A", "B"]).await;
    let reloads = followed.gateway.reload_stats();
    assert_eq!((reloads.applied, reloads.failed), (2, 0), "the start, and the one change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_was_away_for_a_while_is_followed_again() {
    let followed = Followed::start(|folder| {
        fs::create_dir_all(folder.join("deep/etc")).unwrap();
        plugins(&folder.join("deep/etc"))
    })
    .await;
    for (gone, names) in [("deep/etc", ["A", "B"]), ("deep", ["B", "C"])] {
        let failed = followed.gateway.reload_stats().failed;
        fs::remove_dir_all(followed.folder().join(gone)).unwrap();
        // Noticed, and read in vain: longer than what is waited for.
        until("its end", || followed.gateway.reload_stats().failed > failed).await;
        fs::create_dir_all(followed.folder().join("deep/etc")).unwrap();
        fs::write(&followed.path, json!(names).to_string()).unwrap();
        followed.runs(&names).await;
    }
    fs::write(&followed.path, r#"["C"]"#).unwrap();
    followed.runs(&["C"]).await;
}

/// A variable that is missing, a disk that fails: nothing tells when that is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_failed_is_tried_again_though_the_file_holds_the_same() {
    let served = Served::start(&["A", "B"]).await;
    let path = plugins(served.socket.parent().unwrap());
    let gateway = start([served.entry("A", json!({}))]).await;
    let fails = Arc::new(AtomicBool::new(true));
    let entries = ["A", "B"].map(|name| served.entry(name, json!({})));
    let _reloader = gateway
        .reload_on_change(&path, {
            let fails = Arc::clone(&fails);
            move || {
                let fails = fails.load(SeqCst);
                let loaded = match fails {
                    true => Err(std::io::Error::other("not now")),
                    false => Ok(entries.clone()),
                };
                async { loaded }
            }
        })
        .unwrap();
    until("the failure", || gateway.reload_stats().failed > 0).await;
    fails.store(false, SeqCst);
    until("the reload", || gateway.chain().names() == ["A", "B"]).await;
    assert!(gateway.reload_stats().up_to_date);
}
