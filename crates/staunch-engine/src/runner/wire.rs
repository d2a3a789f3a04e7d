//! What server and keeper say to each other: a message a packet, integers in native order (both are the same program).

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use std::{io, mem};

use rustix::io::{IoSlice, IoSliceMut, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::exit::How;
use super::start::Start;

/// The longest packet. Longer orders go by a file in memory.
pub(super) const PACKET_BYTES_MAX: usize = 64 << 10;
/// The longest order: above what `execve` takes on any Linux (6 MiB).
const ORDER_BYTES_MAX: usize = 8 << 20;

/// The longest time anybody waits for: a century, which no clock overflows at.
pub(super) const SPAN_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The first byte of a packet to a keeper.
pub(super) const START: u8 = 1;
/// A [`START`] stands in the file that comes along.
pub(super) const START_BY_FILE: u8 = 2;
/// TERM, grace, KILL.
pub(super) const KILL: u8 = 3;
/// KILL.
pub(super) const KILL_NOW: u8 = 4;

/// What a keeper is to run.
pub(super) struct Order<'a> {
    pub(super) spans: Spans,
    pub(super) directory: &'a CStr,
    pub(super) argv: Vec<&'a CStr>,
    pub(super) env: Vec<&'a CStr>,
}

/// How long a keeper waits, for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    /// From start to TERM.
    pub(super) timeout: Duration,
    /// From TERM to KILL.
    pub(super) grace: Duration,
    /// From the end of the first process to KILL for the others.
    pub(super) settle: Duration,
}

/// How a step ended, as its keeper saw it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) how: How,
    pub(super) killed: Killed,
    pub(super) max_rss_bytes: u64,
    pub(super) left_behind: Vec<String>,
}

/// Why a keeper killed its step first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Killed {
    /// It did not.
    Not = 0,
    /// The timeout ran out.
    AtTimeout = 1,
    /// The server asked.
    Asked = 2,
}

/// Writes an order into `packet`, which is cleared first.
///
/// # Errors
/// What of it no process can be given.
pub(super) fn encode_order(start: &Start, grace: Duration, settle: Duration, packet: &mut Vec<u8>) -> Result<(), How> {
    packet.clear();
    packet.push(START);
    for span in [start.timeout.unwrap_or(SPAN_MAX), grace, settle] {
        packet.extend_from_slice(&(span.min(SPAN_MAX).as_millis() as u64).to_ne_bytes());
    }
    packet.extend_from_slice(&(start.argv.len() as u64).to_ne_bytes());
    put(packet, &[start.directory.as_os_str()])?;
    if start.argv.is_empty() {
        return Err(How::not_started("there is no program to run".into(), libc::EINVAL));
    }
    for argument in &start.argv {
        put(packet, &[argument])?;
    }
    for (name, value) in &start.env {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            return Err(How::not_started(format!("{name:?} cannot be the name of a variable"), libc::EINVAL));
        }
        put(packet, &[name, OsStr::new("="), value])?;
    }
    if packet.len() > ORDER_BYTES_MAX {
        return Err(How::not_started(
            format!("arguments and environment take {} bytes, more than any process can be given", packet.len()),
            libc::E2BIG,
        ));
    }
    Ok(())
}

fn put(packet: &mut Vec<u8>, parts: &[&OsStr]) -> Result<(), How> {
    for part in parts {
        if part.as_bytes().contains(&0) {
            let what = part.to_string_lossy().chars().take(40).collect::<String>();
            return Err(How::not_started(format!("{what:?} contains a NUL byte"), libc::EINVAL));
        }
        packet.extend_from_slice(part.as_bytes());
    }
    packet.push(0);
    Ok(())
}

/// Reads an order. `None`: not one.
pub(super) fn decode_order(packet: &[u8]) -> Option<Order<'_>> {
    let rest = packet.strip_prefix(&[START])?;
    let (timeout, rest) = number(rest)?;
    let (grace, rest) = number(rest)?;
    let (settle, rest) = number(rest)?;
    let (arguments, rest) = number(rest)?;
    let mut strings = rest.split_inclusive(|byte| *byte == 0).map(CStr::from_bytes_with_nul);
    let directory = strings.next()?.ok()?;
    let mut argv = strings.collect::<Result<Vec<_>, _>>().ok()?;
    let arguments = usize::try_from(arguments).ok().filter(|count| (1..=argv.len()).contains(count))?;
    let env = argv.split_off(arguments);
    let spans = Spans {
        timeout: Duration::from_millis(timeout),
        grace: Duration::from_millis(grace),
        settle: Duration::from_millis(settle),
    };
    Some(Order { spans, directory, argv, env })
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_ne_bytes(*first), rest))
}

impl Report {
    /// As a packet.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (tag, value, message) = match &self.how {
            How::Code(code) => (0u8, *code, None),
            How::Signal(signal) => (1, *signal, None),
            How::NotStarted { message, errno, .. } => (2, *errno, Some(message)),
            How::KeeperLost => (3, 0, None),
        };
        let mut packet = vec![tag, self.killed as u8];
        packet.extend_from_slice(&value.to_ne_bytes());
        packet.extend_from_slice(&self.max_rss_bytes.to_ne_bytes());
        for text in message.into_iter().chain(&self.left_behind) {
            packet.extend_from_slice(text.as_bytes());
            packet.push(0);
        }
        packet
    }

    /// From a packet. `None`: not one.
    pub(super) fn decode(packet: &[u8]) -> Option<Self> {
        let ([tag, killed], rest) = packet.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_first_chunk::<4>()?;
        let (max_rss_bytes, rest) = number(rest)?;
        let value = i32::from_ne_bytes(*value);
        let mut texts = rest
            .split_inclusive(|byte| *byte == 0)
            .map(|text| String::from_utf8_lossy(text.strip_suffix(&[0]).unwrap_or(text)).into_owned());
        let how = match tag {
            0 => How::Code(value),
            1 => How::Signal(value),
            2 => How::not_started(texts.next()?, value),
            _ => How::KeeperLost,
        };
        let killed = match killed {
            0 => Killed::Not,
            1 => Killed::AtTimeout,
            _ => Killed::Asked,
        };
        Some(Self { how, killed, max_rss_bytes, left_behind: texts.collect() })
    }
}

/// Sends a packet with file descriptors. Never blocks.
///
/// # Errors
/// `sendmsg(2)`'s.
pub(super) fn send(socket: impl AsFd, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !along.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| rustix::net::sendmsg(&socket, &[IoSlice::new(packet)], &mut along, flags))?;
    Ok(())
}

/// Takes a packet of at most `buffer.len()` bytes with its file descriptors, which close on exec. 0 bytes: the other end is gone.
///
/// # Errors
/// `recvmsg(2)`'s; with [`RecvFlags::DONTWAIT`] also `EAGAIN`.
pub(super) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    flags: RecvFlags,
    fds: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut along = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let got = retry_on_intr(|| rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut along, flags))?;
    for message in along.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok(got.bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn report(how: How, killed: Killed, left_behind: Vec<String>) -> Report {
        Report { how, killed, max_rss_bytes: 123_456_789_012, left_behind }
    }

    #[test]
    fn a_report_comes_through_whole() {
        let names = vec!["sleep (7)".to_owned(), "and 3 more".to_owned()];
        for report in [
            report(How::Code(3), Killed::Not, names.clone()),
            report(How::Signal(15), Killed::AtTimeout, Vec::new()),
            report(How::not_started("`x`: no such file".into(), libc::ENOENT), Killed::Asked, names),
        ] {
            assert_eq!(Report::decode(&report.encode()).unwrap(), report);
        }
    }

    #[test]
    fn nonsense_is_neither_an_order_nor_a_report() {
        for packet in [&b""[..], b"\x01", b"hello, I am no keeper at all", &[START; 60], &[0; 13]] {
            assert!(decode_order(packet).is_none(), "{packet:?}");
            assert!(packet.len() >= 14 || Report::decode(packet).is_none(), "{packet:?}");
        }
    }

    #[test]
    fn packets_and_files_cross_a_socket_and_its_end_is_seen() {
        use rustix::net::{AddressFamily, SocketFlags, SocketType};
        let (ours, its) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (mut buffer, mut fds) = (vec![0; PACKET_BYTES_MAX], Vec::new());
        let error = receive(&its, &mut buffer, RecvFlags::DONTWAIT, &mut fds).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let long = vec![7; PACKET_BYTES_MAX];
        send(&ours, &long, &[ours.as_fd(), its.as_fd(), ours.as_fd()]).unwrap();
        assert_eq!(receive(&its, &mut buffer, RecvFlags::DONTWAIT, &mut fds).unwrap(), PACKET_BYTES_MAX);
        assert_eq!((buffer == long, fds.len()), (true, 3));
        drop(fds);
        drop(ours);
        assert_eq!(receive(&its, &mut buffer, RecvFlags::DONTWAIT, &mut Vec::new()).unwrap(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(order) = decode_order(&bytes) {
                prop_assert!(!order.argv.is_empty());
            }
            if let Some(report) = Report::decode(&bytes) {
                prop_assert!(report.left_behind.len() <= bytes.len());
            }
        }
    }
}
