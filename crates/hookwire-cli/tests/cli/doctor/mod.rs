//! `hookwire doctor`: each broken setup is named in a line, with what to do, and fails where a
//! guard would not guard.

mod files;
mod grpc;
mod servers;
mod sockets;

use std::fs;
use std::path::{Path, PathBuf};

use hookwire::PluginResult;
use hookwire::server::{Handlers, PluginInfo, PluginServer};
use tempfile::TempDir;

use crate::harness::{Run, hookwire, text};

const GUARD: &str = "mode: sequential, on_error: fail, hooks: [tool_pre_invoke]";

/// A directory for a gateway's file and its plugins' sockets.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("p.sock")
    }

    /// A server whose only plugin is this one.
    async fn serve(&self, info: impl Into<PluginInfo>) -> PluginServer {
        serve_at(&self.socket(), info).await
    }

    /// What the doctor says of the one plugin `Guard`, with these keys, at this site's socket.
    async fn guard(&self, keys: &str) -> Diagnosis {
        self.guard_at(&self.socket(), keys).await
    }

    async fn guard_at(&self, socket: &Path, keys: &str) -> Diagnosis {
        self.entry(socket, keys, "").await
    }

    /// The same, with these keys in the section of its socket.
    async fn guard_with(&self, keys: &str, section: &str) -> Diagnosis {
        self.entry(&self.socket(), keys, section).await
    }

    async fn entry(&self, socket: &Path, keys: &str, section: &str) -> Diagnosis {
        let section = format!("unix_socket: {{path: '{}', {section}}}", text(socket));
        self.file(&format!("plugins:\n- {{name: Guard, {keys}, {section}}}\n")).await
    }

    async fn file(&self, yaml: &str) -> Diagnosis {
        self.file_with(yaml, &[]).await
    }

    async fn file_with(&self, yaml: &str, options: &'static [&'static str]) -> Diagnosis {
        let path = self.0.path().join("gateway.yaml");
        fs::write(&path, yaml).unwrap();
        let path = text(&path).to_owned();
        let run = |more: &'static [&'static str]| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || {
                hookwire(&[&["doctor", &path, "--timeout", "1"], options, more].concat(), "")
            })
        };
        let (plain, json) = tokio::join!(run(&[]), run(&["--json"]));
        let (plain, json) = (plain.unwrap(), json.unwrap());
        assert_eq!(plain.code, json.code, "{plain:?}\n{json:?}");
        for line in plain.stdout.lines() {
            let is_word = !line.trim().contains(' ');
            assert!(line.chars().count() <= 80 || is_word, "{line}");
        }
        Diagnosis { plain, json }
    }
}

async fn serve_at(socket: &Path, info: impl Into<PluginInfo>) -> PluginServer {
    let plugin =
        Handlers::new().on_json("tool_pre_invoke", |_, _| async { Ok(PluginResult::allow()) });
    PluginServer::builder().plugin(info, plugin).bind(socket).await.unwrap()
}

/// What the doctor says, as a table and as JSON.
struct Diagnosis {
    plain: Run,
    json: Run,
}

impl Diagnosis {
    /// The lines of the table, those that were broken joined again, without indentation.
    fn findings(&self) -> Vec<String> {
        let mut findings: Vec<String> = Vec::new();
        for line in self.plain.stdout.lines() {
            match (line.strip_prefix("            "), findings.last_mut()) {
                (Some(more), Some(last)) => {
                    last.push(' ');
                    last.push_str(more);
                }
                _ => findings.push(line.trim_start().to_owned()),
            }
        }
        findings
    }

    /// Asserts that a finding of this level has all parts, and the exit code that follows.
    fn tells(&self, level: &str, parts: &[&str]) {
        let findings = self.findings();
        let is_told = |finding: &&String| {
            finding.starts_with(level)
                && finding.contains(" -> ")
                && parts.iter().all(|part| finding.contains(part))
        };
        assert!(findings.iter().any(|finding| is_told(&finding)), "{parts:?} in {findings:#?}");
        let fails = findings.iter().any(|finding| finding.starts_with("FAIL"));
        assert_eq!(self.plain.code, Some(i32::from(fails)), "{findings:#?}");

        let report = self.json.json();
        assert_eq!(report["guards"], !fails);
        let level = level.to_lowercase();
        let plugins = report["plugins"].as_array().unwrap();
        let mut found = plugins.iter().flat_map(|plugin| plugin["findings"].as_array().unwrap());
        assert!(found.any(|finding| finding["level"] == level.as_str()), "{report}");
    }

    /// Asserts that a line of an entry that is not behind a socket begins and goes on so.
    fn tells_of_others(&self, level: &str, part: &str) {
        let lines = self.findings().join(" ");
        assert!(
            lines.starts_with(level) && lines.replace("       ", " ").contains(part),
            "{lines}"
        );
    }

    fn has_no_findings(&self) -> bool {
        !self.plain.stdout.contains(" -> ") && !self.json.stdout.contains("\"advice\"")
    }

    fn fails(&self, parts: &[&str]) {
        self.tells("FAIL", parts);
    }
}
