//! Who could put another socket in the place of the one at a path.
//!
//! That is whoever may rename what the path leads through. So each directory from the
//! root down must belong to a trusted user and be writable by no one else, and no part
//! of the path may be a symbolic link. From the root down, because what is found in a
//! directory is worth something only once that directory is known to be safe.
//!
//! A sticky directory such as `/tmp` keeps others from renaming what is not theirs,
//! which is enough above the socket's own directory. There it is not: while a server
//! restarts its socket is gone, and anybody could make one.

use std::fmt;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::{Refusal, one_of};

const STICKY: u32 = 0o1000;
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Looks at everything that `path` leads through, and at the socket itself.
///
/// What is not there, or cannot be looked at, is the system's error and no refusal.
pub(super) fn check(path: &Path, trusted: &[u32]) -> io::Result<()> {
    let parts: Vec<_> = path.ancestors().collect();
    for (above, path) in parts.into_iter().enumerate().rev() {
        let role = match above {
            0 => Role::Socket,
            1 => Role::Directory,
            _ => Role::Above,
        };
        let judged = Entry::read(path)?.judge(role, trusted);
        judged.map_err(|fault| Refusal::Path { path: path.to_owned(), fault })?;
    }
    Ok(())
}

/// What a part of the path has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Socket,
    /// The socket's own.
    Directory,
    Above,
}

/// What a part of the path is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: Kind,
    owner: u32,
    mode: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Socket,
    Directory,
    SymbolicLink,
    Other,
}

/// What is wrong with a part of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Kind { found: Kind, expected: Kind },
    Owner { found: u32, expected: String },
    Writable { mode: u32 },
}

impl Entry {
    fn read(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        let kind = Kind::from(metadata.file_type());
        Ok(Self { kind, owner: metadata.uid(), mode: metadata.mode() & 0o7777 })
    }

    fn judge(self, role: Role, trusted: &[u32]) -> Result<(), Fault> {
        let expected = if role == Role::Socket { Kind::Socket } else { Kind::Directory };
        if self.kind != expected {
            return Err(Fault::Kind { found: self.kind, expected });
        }
        if !trusted.contains(&self.owner) {
            return Err(Fault::Owner { found: self.owner, expected: one_of(trusted) });
        }
        let safe = match role {
            // Its mode says who may connect, and nothing about who listens.
            Role::Socket => true,
            Role::Directory => self.mode & WRITABLE_BY_OTHERS == 0,
            Role::Above => self.mode & WRITABLE_BY_OTHERS == 0 || self.mode & STICKY != 0,
        };
        if safe { Ok(()) } else { Err(Fault::Writable { mode: self.mode }) }
    }
}

impl From<FileType> for Kind {
    fn from(file_type: FileType) -> Self {
        if file_type.is_socket() {
            Self::Socket
        } else if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_symlink() {
            Self::SymbolicLink
        } else {
            Self::Other
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "a socket",
            Self::Directory => "a directory",
            Self::SymbolicLink => "a symbolic link",
            Self::Other => "a file of another kind",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { found, expected } => write!(f, "is {found}, expected {expected}"),
            Self::Owner { found, expected } => {
                write!(f, "belongs to user {found}, expected {expected}")
            }
            Self::Writable { mode } => {
                write!(f, "has mode {mode:04o}, expected no write access for group and others")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: u32 = 1000;
    const STRANGER: u32 = 1001;

    fn fault(kind: Kind, owner: u32, mode: u32, role: Role) -> Option<String> {
        let entry = Entry { kind, owner, mode };
        entry.judge(role, &[0, SERVER]).err().map(|fault| fault.to_string())
    }

    // Promise: P2
    #[test]
    fn a_socket_must_be_one_and_of_a_trusted_user_whatever_its_mode() {
        for mode in [0o600, 0o660, 0o777] {
            assert_eq!(fault(Kind::Socket, SERVER, mode, Role::Socket), None);
        }
        for (kind, name) in [
            (Kind::SymbolicLink, "a symbolic link"),
            (Kind::Directory, "a directory"),
            (Kind::Other, "a file of another kind"),
        ] {
            let told = format!("is {name}, expected a socket");
            assert_eq!(fault(kind, SERVER, 0o600, Role::Socket), Some(told));
        }
        let told = "belongs to user 1001, expected one of 0, 1000".to_owned();
        assert_eq!(fault(Kind::Socket, STRANGER, 0o600, Role::Socket), Some(told));
    }

    #[test]
    fn the_sockets_directory_is_writable_by_its_owner_only_sticky_or_not() {
        let judged = |mode| fault(Kind::Directory, SERVER, mode, Role::Directory);
        for mode in [0o700, 0o755, 0o1755, 0o2750] {
            assert_eq!(judged(mode), None, "{mode:o}");
        }
        for mode in [0o770, 0o702, 0o777, 0o1777, 0o1770] {
            let told =
                format!("has mode {mode:04o}, expected no write access for group and others");
            assert_eq!(judged(mode), Some(told));
        }
    }

    #[test]
    fn directories_above_may_be_sticky_like_tmp() {
        let judged = |mode| fault(Kind::Directory, 0, mode, Role::Above);
        assert_eq!(judged(0o1777), None);
        assert_eq!(judged(0o755), None);
        assert!(judged(0o777).is_some() && judged(0o775).is_some());
    }

    // Promise: P2
    #[test]
    fn every_directory_belongs_to_a_trusted_user_and_is_no_link() {
        for role in [Role::Directory, Role::Above] {
            let told = "belongs to user 1001, expected one of 0, 1000".to_owned();
            assert_eq!(fault(Kind::Directory, STRANGER, 0o755, role), Some(told));
            let told = "is a symbolic link, expected a directory".to_owned();
            assert_eq!(fault(Kind::SymbolicLink, 0, 0o777, role), Some(told));
        }
    }

    #[test]
    fn what_is_not_there_is_absent_and_not_refused() {
        let error = check(Path::new("/nothing/here.sock"), &[0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!super::super::is_refusal(&error));
    }
}
