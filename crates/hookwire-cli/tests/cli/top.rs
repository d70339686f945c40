//! `hookwire top` where stdout is no terminal: lines, for scripts and logs.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{HOOKWIRE, Server, hookwire, lines, text};

const LIMIT: Duration = Duration::from_secs(60);

/// A command that runs until it is told to end; killed when dropped.
pub(crate) struct Top {
    child: Child,
    lines: Receiver<String>,
}

impl Top {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(HOOKWIRE)
            .args(["top", "--every", "0.05"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines(&mut child);
        Self { child, lines }
    }

    /// Waits for a line that is like this.
    pub(crate) fn line(&self, is_meant: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("a line like that");
            if is_meant(&line) {
                return line;
            }
        }
    }

    fn object(&self, is_meant: impl Fn(&Value) -> bool) -> Value {
        let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        read(&self.line(|line| is_meant(&read(line))))
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        // It ends within its limit, or the lines never do.
        while self.lines.recv_timeout(LIMIT).is_ok() {}
        self.child.wait().unwrap().code()
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn of_a_socket_it_shows_all_plugins_of_the_server_until_ctrl_c() {
    let server = Server::start();
    let top = Top::start(&[text(&server.socket())]);
    for plugin in ["Replace", "Deny", "Echo"] {
        let line = top.line(|line| {
            line.starts_with(&format!("plugin=\"{plugin}\" state=ready breaker=closed "))
                && !line.contains("p50=-")
        });
        assert!(line.contains(" unanswered=0"), "{line}");
        assert!(!line.contains("error="), "{line}");
    }
    assert_eq!(top.interrupt(), Some(0));
}

#[test]
fn of_a_gateways_file_it_shows_those_that_are_down_too_and_why() {
    let server = Server::start();
    let (socket, absent) = (server.socket(), server.dir.path().join("absent.sock"));
    let file = server.dir.path().join("gateway.yaml");
    let entry = |name: &str, path| json!({"name": name, "unix_socket": {"path": path}});
    let entries = json!({"plugins": [entry("Echo", &socket), entry("Guard", &absent)]});
    std::fs::write(&file, entries.to_string()).unwrap();

    let top = Top::start(&["--json", text(&file)]);
    let guard = top.object(|row| {
        let down = row["breaker"] == "open" && row["state"] == "transient_failure";
        row["plugin"] == "Guard" && down
    });
    assert_eq!(guard["p50_us"], json!(null));
    assert!(guard["unanswered"].as_u64() >= Some(1), "{guard}");
    let error = guard["error"]["message"].as_str().unwrap();
    assert!(error.contains(text(&absent)), "{error}");
    let echo = top.object(|row| row["plugin"] == "Echo" && row["p50_us"].is_number());
    assert!(echo["p99_us"].as_f64() >= echo["p50_us"].as_f64(), "{echo}");
    assert_eq!((&echo["state"], &echo["error"]), (&json!("ready"), &json!(null)));
    assert_eq!(top.interrupt(), Some(0));
}

#[test]
fn it_ends_by_itself_after_the_time_that_it_is_for() {
    let server = Server::start();
    let run = hookwire(&["top", text(&server.socket()), "--for", "0.5", "--every", "0.1"], "");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.lines().all(|line| line.starts_with("plugin=")), "{run:?}");
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let server = Server::start();
    let absent = server.dir.path().join("absent.yaml");
    let run = hookwire(&["top", text(&absent)], "");
    assert!(run.failure(2).contains("cannot be read"), "{run:?}");
    let empty = server.dir.path().join("empty.yaml");
    std::fs::write(&empty, "plugins: []").unwrap();
    let run = hookwire(&["top", text(&empty)], "");
    assert!(run.failure(1).contains("no plugin behind a socket"), "{run:?}");
}
