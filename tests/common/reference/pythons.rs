//! The reference on every Python that is found: how a server stops is the business of
//! Python's asyncio, which has changed it from version to version.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{REQUIREMENTS, ReferenceServer, install_with, target, venv};

/// The oldest and the newest minor version of Python 3 that are looked for.
const MINORS: std::ops::RangeInclusive<u32> = 11..=19;

/// Its minor version, and a virtual environment that holds the reference package.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    pub(crate) version: String,
    venv: PathBuf,
}

impl ReferenceServer {
    /// A server on each Python from 3.11 up that is found on this machine, one after the
    /// other; which, is printed. None where the reference is not available at all.
    pub(crate) fn on_every_python(
        environment: &'static [(&'static str, &'static str)],
    ) -> impl Iterator<Item = (Self, &'static Python)> {
        pythons().iter().map(move |python| {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            tell(&format!("{test} on Python {}", python.version));
            (Self::start_in(python.venv.clone(), environment), python)
        })
    }
}

fn pythons() -> &'static [Python] {
    static PYTHONS: OnceLock<Vec<Python>> = OnceLock::new();
    // Tells for every test why it is skipped, or fails where it must not be.
    let Some(default) = venv() else { return &[] };
    PYTHONS.get_or_init(|| {
        let program = default.join("bin/python");
        let version = version_of(&program).expect("the Python that was installed with");
        let mut found = BTreeMap::from([(version.clone(), Python { version, venv: default })]);
        for program in candidates() {
            let Some(version) = version_of(&program) else { continue };
            if found.contains_key(&version) {
                continue;
            }
            let venv = target().join(format!("reference-venv-{version}"));
            match install_with(&program, &venv, &[REQUIREMENTS]) {
                Ok(()) => drop(found.insert(version.clone(), Python { version, venv })),
                Err(why) => tell(&format!("Python {version} is left out: {why}")),
            }
        }
        found.into_values().collect()
    })
}

/// Not `eprintln`: the test runner shows that for failed tests only.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Where a Python may be: on the path, and where pyenv and uv keep those that are not on it.
fn candidates() -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let home = |rest: &str| std::env::var_os("HOME").map(|home| Path::new(&home).join(rest));
    let roots = [
        std::env::var_os("PYENV_ROOT").map(|root| Path::new(&root).join("versions")),
        home(".pyenv/versions"),
        home(".local/share/uv/python"),
    ];
    for root in roots.into_iter().flatten() {
        let versions = fs::read_dir(root).into_iter().flatten().flatten();
        directories.extend(versions.map(|version| version.path().join("bin")));
    }
    let programs = MINORS.flat_map(|minor| {
        let name = format!("python3.{minor}");
        directories.iter().map(move |directory| directory.join(&name)).collect::<Vec<_>>()
    });
    programs.filter(|program| program.exists()).collect()
}

/// `3.12`, if this is a Python that runs. Names may lie: pyenv has them for versions that are
/// not chosen.
fn version_of(program: impl AsRef<OsStr>) -> Option<String> {
    const PRINT: &str = "import sys; print('%d.%d' % sys.version_info[:2])";
    let output = Command::new(program)
        .args(["-c", PRINT])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let minor: u32 = version.strip_prefix("3.")?.parse().ok()?;
    MINORS.contains(&minor).then_some(version)
}
