//! Who listens: the server of this test, or nobody any more.

use std::net::SocketAddr;

/// The inode of the socket that listens there, whichever process has it: a port that was given back may be another test's by now,
/// but an inode is not used again.
pub(crate) fn listening(at: SocketAddr) -> Option<String> {
    let SocketAddr::V4(at) = at else { panic!("it is bound to 127.0.0.1") };
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(at.ip().octets()), at.port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 0A is the state of a socket that listens.
        match fields[..] {
            [_, local, _, "0A", _, _, _, _, _, inode, ..] if local == wanted => Some(inode.to_owned()),
            _ => None,
        }
    })
}
