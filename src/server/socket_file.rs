//! The socket file: made for those it is for, removed by nobody but its maker.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Connections that may wait to be accepted. The reference takes 100.
pub(super) const BACKLOG: u32 = 1024;

/// What a path pointed to at some time.
type FileId = (u64, u64);

/// A socket file that this process made; removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// `None` once it is no longer ours to remove.
    id: Option<FileId>,
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, unless somebody else's has taken its place.
    pub(super) fn remove(&mut self) {
        if let Some(id) = self.id.take()
            && let Err(error) = remove_if(&self.path, id)
        {
            tracing::warn!(path = shown(&self.path), %error, "cannot remove the socket file");
        }
    }

    pub(super) fn leave_behind(&mut self) {
        self.id = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Listens on `path`, in place of a socket file that nobody listens on.
pub(super) async fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path).await?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => in_use(path),
        io::ErrorKind::NotFound => told(path, &error, "its directory does not exist"),
        _ => told(path, &error, &error.to_string()),
    };
    let socket = UnixSocket::new_stream().map_err(failed)?;
    socket.bind(path).map_err(failed)?;
    let id = file_id(path).map_err(failed)?;
    let file = SocketFile { path: path.to_owned(), id: Some(id) };
    // Nobody can connect before `listen`, so nobody is ahead of the mode.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    Ok((socket.listen(BACKLOG).map_err(failed)?, file))
}

/// Removes the socket file of a server that is gone; leaves anything else alone.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(told(path, &error, &error.to_string())),
    };
    if !metadata.file_type().is_socket() {
        let error = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(told(path, &error, "there is a file that is not a socket; it was not touched"));
    }
    match UnixStream::connect(path).await.map_err(|error| (error.kind(), error)) {
        // With a full backlog there is nothing to wait for, but somebody is there.
        Ok(_) | Err((io::ErrorKind::WouldBlock, _)) => Err(in_use(path)),
        Err((io::ErrorKind::NotFound, _)) => Ok(()),
        Err((io::ErrorKind::ConnectionRefused, _)) => {
            remove_if(path, (metadata.dev(), metadata.ino())).map_err(|error| {
                told(path, &error, &format!("the old socket file cannot be removed: {error}"))
            })
        }
        Err((_, error)) => {
            Err(told(path, &error, &format!("cannot tell whether somebody listens: {error}")))
        }
    }
}

fn remove_if(path: &Path, id: FileId) -> io::Result<()> {
    match file_id(path) {
        Ok(found) if found == id => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn file_id(path: &Path) -> io::Result<FileId> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

fn in_use(path: &Path) -> io::Error {
    told(path, &io::ErrorKind::AddrInUse.into(), "somebody listens there already")
}

fn told(path: &Path, error: &io::Error, reason: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {}: {reason}", shown(path)))
}

/// A path for people. What would forge a line of a log, or command a terminal, is escaped.
fn shown(path: &Path) -> String {
    let mut shown = String::new();
    for char in path.to_string_lossy().chars() {
        if char.is_control() {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}
