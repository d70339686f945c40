//! The reference, as a child process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// Downloading and unpacking some 50 packages, on a bad day.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);
/// For starting, and for each case, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);
const CASE_LIMIT: Duration = Duration::from_secs(1);

/// A file of the workspace's tests.
fn shared(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference").join(name)
}

/// The virtual environment that the client's tests use, too; installed if need be. `None`
/// where it cannot be had, which fails under `CI=true`.
pub(crate) async fn venv() -> Option<PathBuf> {
    // That of `testing/drift`.
    if let Some(venv) = std::env::var_os("HOOKWIRE_REFERENCE_VENV") {
        return Some(venv.into());
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("reference-venv");
    let mut install = Command::new("python3");
    install.args([&shared("prepare_venv.py"), &venv, &shared("requirements.txt")]);
    match finish(install, INSTALL_LIMIT).await {
        Ok(()) => Some(venv),
        Err(why) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("the reference implementation is not available: {why}")
        }
        Err(why) => {
            use std::io::Write;
            // Not `eprintln`: the test runner shows that for failed tests only.
            let _ = writeln!(
                std::io::stderr(),
                "skipped, the reference implementation is not available: {why}"
            );
            None
        }
    }
}

/// What the reference answers to each case, asked by this script.
pub(crate) async fn run(venv: &Path, dir: &Path, driver: &str, cases: &[Value]) -> Vec<Value> {
    let (asked, answered) = (dir.join("cases"), dir.join("answers"));
    let lines: String = cases.iter().map(|case| format!("{case}\n")).collect();
    std::fs::write(&asked, lines).unwrap();
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential").join(driver);
    let mut python = Command::new(venv.join("bin/python"));
    python.args([&driver, &asked, &answered]);
    let count = u32::try_from(cases.len()).unwrap();
    finish(python, START_LIMIT + CASE_LIMIT * count).await.unwrap();
    let answers = std::fs::read_to_string(answered).unwrap();
    let answers: Vec<Value> =
        answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// Waits for a child, which ends with us or when its time is over.
async fn finish(mut command: Command, limit: Duration) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let ended = timeout(limit, child.wait_with_output()).await;
    let ended = ended.map_err(|_| format!("it takes longer than {limit:?}"))?;
    let output = ended.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(text.into_owned()) }
}
