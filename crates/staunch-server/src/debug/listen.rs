//! Where the debug listener listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};

use crate::serve::{Door, is_loopback};

/// Where: an address that only this machine reaches, or a Unix socket that only this user opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebugListen {
    /// A loopback address.
    Loopback(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why a text is no such place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DebugListenError {
    /// It is neither.
    #[error("`{0}` is neither an address and a port, such as 127.0.0.1:7879, nor `unix:` and a path")]
    Unknown(String),
    /// Others than this machine reach it.
    #[error("{0} is not a loopback address: profiles are for this machine; reach it by ssh, or take a `unix:` socket")]
    Reachable(SocketAddr),
}

impl FromStr for DebugListen {
    type Err = DebugListenError;

    fn from_str(text: &str) -> Result<Self, DebugListenError> {
        let unknown = || DebugListenError::Unknown(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(unknown()) } else { Ok(Self::Unix(path.into())) };
        }
        let address: SocketAddr = text.parse().map_err(|_| unknown())?;
        if is_loopback(address.ip()) { Ok(Self::Loopback(address)) } else { Err(DebugListenError::Reachable(address)) }
    }
}

impl fmt::Display for DebugListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The socket of a [`DebugListen::Unix`], which goes when nobody listens any more.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it before; then that is done.
        drop(std::fs::remove_file(&self.0));
    }
}

impl DebugListen {
    /// Listens. Also returns where that is, which differs if any port would do.
    pub(super) async fn bind(&self) -> io::Result<(Door, Self)> {
        match self {
            Self::Loopback(address) => {
                let listener = TcpListener::bind(address).await?;
                let at = Self::Loopback(listener.local_addr()?);
                Ok((Door::Tcp(listener), at))
            }
            Self::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                Ok((Door::Unix(listener, file), self.clone()))
            }
        }
    }
}

/// Removes a socket that an earlier life left after a crash: one at which nobody listens. Anything else stays, and the bind fails.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err_and(refused) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_places_of_this_machine_are_taken() {
        for good in ["127.0.0.1:7879", "[::1]:0", "127.9.9.9:1", "unix:/run/staunch/debug.sock"] {
            assert_eq!(good.parse::<DebugListen>().unwrap().to_string(), good);
        }
        for wide in ["0.0.0.0:7879", "[::]:1", "192.0.2.7:80"] {
            assert!(matches!(wide.parse::<DebugListen>(), Err(DebugListenError::Reachable(_))), "{wide}");
        }
        for bad in ["", "localhost", "7879", "unix:", "127.0.0.1"] {
            assert!(matches!(bad.parse::<DebugListen>(), Err(DebugListenError::Unknown(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_socket_of_a_life_before_is_replaced_and_one_that_is_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("debug.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file behind");
        let listen = DebugListen::Unix(path.clone());
        let (door, at) = listen.bind().await.unwrap();
        assert_eq!(at, listen);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listen.bind().await.err().unwrap().kind(), io::ErrorKind::AddrInUse);
        drop(door);
        assert!(!path.exists(), "it goes with its listener");
        std::fs::write(&path, "a file of somebody").unwrap();
        assert!(listen.bind().await.is_err());
        assert!(path.exists());
    }
}
