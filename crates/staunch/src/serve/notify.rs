//! Tells systemd how the service stands (sd_notify(3)): one datagram, and nothing if nobody asked for it.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use staunch_bounded::fault_point;

/// How long a full socket is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends a state, such as `READY=1`, to `$NOTIFY_SOCKET` if that is set.
pub(super) fn notify(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(socket.as_encoded_bytes(), state) {
        tracing::warn!(%error, "systemd was not told {state}");
    }
}

fn send(socket: &[u8], state: &str) -> io::Result<()> {
    // A leading @ stands for the zero byte of an abstract name (unix(7)).
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => {
            SocketAddr::from_pathname(std::path::Path::new(std::str::from_utf8(socket).map_err(io::Error::other)?))?
        }
    };
    fault_point!("serve.notify")?;
    let from = UnixDatagram::unbound()?;
    // Whoever does not read its socket must not keep the server from starting, nor from stopping.
    from.set_write_timeout(Some(PATIENCE))?;
    from.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_arrives_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let name = format!("staunch-notify-test-{}", std::process::id());
        let by_name = SocketAddr::from_abstract_name(&name).expect("a short name");
        let sockets = [
            (UnixDatagram::bind(&path).expect("bound"), path.display().to_string()),
            (UnixDatagram::bind_addr(&by_name).expect("bound"), format!("@{name}")),
        ];
        for (socket, address) in sockets {
            send(address.as_bytes(), "READY=1").expect("sent");
            let mut buffer = [0; 32];
            let read = socket.recv(&mut buffer).expect("received");
            assert_eq!(&buffer[..read], b"READY=1");
        }
        assert!(send(b"/nowhere/at/all", "READY=1").is_err());
    }

    #[test]
    fn whoever_does_not_read_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).expect("bound");
        // The kernel queues a few (net.unix.max_dgram_qlen); the send after them would wait for a reader.
        let sent = (0..10_000).map(|_| send(path.as_os_str().as_encoded_bytes(), "READY=1"));
        let full = sent.filter_map(Result::err).next().expect("it is full at last");
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    }
}
