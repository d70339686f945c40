//! What is at a socket's path, before anybody connects.

use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use serde::Serialize;

use super::finding::Finding;

/// Who owns the socket, and who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
    #[serde(serialize_with = "octal")]
    pub(crate) mode: u32,
}

fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

/// What a look at the path has brought.
pub(crate) struct Look {
    pub(crate) owner: Option<Owner>,
    pub(crate) findings: Vec<Finding>,
    /// Whether there is anything to connect to.
    pub(crate) is_socket: bool,
}

/// Looks at the path of a plugin that may guard, which this `setting` names.
pub(crate) fn look(path: &Path, setting: &str, guards: bool, trusts_path: bool) -> Look {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let finding = absent(path, setting, &error, guards);
            return Look { owner: None, findings: vec![finding], is_socket: false };
        }
    };
    let owner =
        Owner { user: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777 };
    if !metadata.file_type().is_socket() {
        let finding = Finding::broken(
            guards,
            "not_a_socket",
            format!("{} is {}, no socket", path.display(), kind(metadata.file_type())),
            format!("correct `{setting}`; or remove what is there and restart the plugin's server"),
        );
        return Look { owner: Some(owner), findings: vec![finding], is_socket: false };
    }
    let mut findings = Vec::new();
    let me = rustix::process::geteuid().as_raw();
    findings.extend(permissions(owner, me, guards));
    if !trusts_path {
        let directory =
            path.parent().and_then(|directory| Some((directory, fs::metadata(directory).ok()?)));
        findings.extend(directory.and_then(|(path, metadata)| directory_of(path, &metadata)));
    }
    Look { owner: Some(owner), findings, is_socket: true }
}

fn absent(path: &Path, setting: &str, error: &io::Error, guards: bool) -> Finding {
    let missing = path.ancestors().skip(1).filter(|above| fs::symlink_metadata(above).is_err());
    match error.kind() {
        io::ErrorKind::NotFound if fs::symlink_metadata(path).is_ok() => Finding::broken(
            guards,
            "no_socket",
            format!("{} is a symbolic link to nothing", path.display()),
            format!("start the plugin's server where it points to, or correct `{setting}`"),
        ),
        io::ErrorKind::NotFound => {
            let what = missing.last().map_or_else(
                || format!("there is no {}", path.display()),
                |above| format!("there is no directory {}", above.display()),
            );
            Finding::broken(
                guards,
                "no_socket",
                what,
                format!("start the plugin's server, or correct `{setting}`"),
            )
        }
        _ => Finding::broken(
            guards,
            "permission",
            format!("{} cannot be looked at: {error}", path.display()),
            "run this as the gateway's user, and let it pass through the directories above",
        ),
    }
}

fn kind(file_type: FileType) -> &'static str {
    match file_type {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_file() => "a regular file",
        _ => "a file of another kind",
    }
}

/// Connecting needs the right to write. Root may always, so what others may is told instead.
fn permissions(owner: Owner, me: u32, guards: bool) -> Option<Finding> {
    let Owner { user, group, mode } = owner;
    let advice = format!(
        "run the gateway as user {user}, or let it write to the socket (chmod, or the server's own setting)"
    );
    match mode & 0o222 {
        0 => Some(Finding::broken(
            guards,
            "permission",
            format!("nobody but root may connect: the socket has mode {mode:04o}"),
            advice,
        )),
        0o200 if me != user && me != 0 => Some(Finding::broken(
            guards,
            "permission",
            format!("only user {user} may connect, and this is user {me}: mode {mode:04o}"),
            advice,
        )),
        0o200 if me == 0 && user != 0 => Some(Finding::warn(
            "permission",
            format!("only root and user {user} may connect: the socket has mode {mode:04o}"),
            advice,
        )),
        0o220 if me == 0 && user != 0 => Some(Finding::note(
            "permission",
            format!("only root, user {user} and group {group} may connect: mode {mode:04o}"),
            "see that the gateway runs as one of them",
        )),
        _ => None,
    }
}

/// While a server restarts its socket is gone, and who may write to the directory may put
/// another one there.
fn directory_of(path: &Path, metadata: &Metadata) -> Option<Finding> {
    let mode = metadata.mode() & 0o7777;
    let who = match mode & 0o022 {
        0 => return None,
        0o020 => format!("group {}", metadata.gid()),
        _ => "anybody".to_owned(),
    };
    Some(Finding::warn(
        "directory",
        format!("{who} can put another socket into {}, which has mode {mode:04o}", path.display()),
        "give the socket a directory that only its server's user can write to, and set `trust_path: true`",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn told(mode: u32, me: u32) -> Option<(Level, String)> {
        let finding = permissions(Owner { user: 1000, group: 100, mode }, me, true)?;
        Some((finding.level, finding.message))
    }

    #[test]
    fn a_socket_that_only_its_owner_may_write_to_is_for_nobody_else() {
        assert_eq!(told(0o600, 1000), None);
        let (level, message) = told(0o600, 1001).unwrap();
        assert_eq!(level, Level::Fail);
        assert_eq!(message, "only user 1000 may connect, and this is user 1001: mode 0600");
        assert_eq!(told(0o600, 0).unwrap().0, Level::Warn, "root may, the gateway may be another");
    }

    #[test]
    fn a_socket_that_nobody_may_write_to_is_for_root_alone() {
        for me in [0, 1000, 1001] {
            let (level, message) = told(0o555, me).unwrap();
            assert_eq!(level, Level::Fail);
            assert_eq!(message, "nobody but root may connect: the socket has mode 0555");
        }
    }

    #[test]
    fn a_socket_that_all_may_write_to_is_no_finding() {
        for me in [0, 1000, 1001] {
            assert_eq!(told(0o777, me), None);
            assert_eq!(told(0o666, me), None);
        }
        assert_eq!(told(0o660, 0).unwrap().0, Level::Note);
    }
}
