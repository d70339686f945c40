//! A probe as orchestrators have them, by grpc's own package for health checks.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::Receiver;

use serde_json::Value;

use super::{ANSWER_LIMIT, OwnedChild, file, install, installed, lines};

/// The probe as a child process, killed when dropped.
pub(crate) struct Probe {
    _child: OwnedChild,
    told: Receiver<String>,
}

impl Probe {
    pub(crate) fn start(server: SocketAddr) -> Option<Self> {
        static VENV: OnceLock<Result<std::path::PathBuf, String>> = OnceLock::new();
        let requirements = ["probe/requirements.txt"];
        let venv = installed(VENV.get_or_init(|| install("probe-venv", &requirements)))?;
        let mut command = Command::new(venv.join("bin/python"));
        command
            .args([file("probe/probe.py").as_os_str(), server.to_string().as_ref()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = OwnedChild(command.spawn().expect("the probe starts"));
        let told = lines(&mut child.0);
        Some(Self { _child: child, told })
    }

    /// What it tells next.
    pub(crate) fn next(&self) -> Value {
        let line = self.told.recv_timeout(ANSWER_LIMIT).expect("another line");
        serde_json::from_str(&line).expect("JSON")
    }
}
