//! The system's own alarm: systemd's protocol for memory pressure (systemd.io/PRESSURE), behind which stands what the kernel knows of
//! processes that wait for memory.
//!
//! `$MEMORY_PRESSURE_WATCH` names a file to be polled: for a priority event if it is a file of the kernel, for something to read if it
//! is a FIFO. `$MEMORY_PRESSURE_WRITE` is, in base64, what is to be written into it before. It is looked at with each sample, which is
//! soon enough: the kernel's own windows are ten times as long.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, PAD};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// What the system raises, if there is such a thing.
#[derive(Debug)]
pub(super) struct Alarm(Option<File>);

impl Alarm {
    /// The one that this process was given.
    pub(super) fn of_process() -> Self {
        let watch = std::env::var_os("MEMORY_PRESSURE_WATCH").filter(|path| !path.is_empty() && path != "/dev/null");
        let Some(path) = watch else { return Self(None) };
        let order = std::env::var("MEMORY_PRESSURE_WRITE").unwrap_or_default();
        let opened = open(&path, order.as_bytes());
        if let Err(error) = &opened {
            tracing::warn!(%error, "the system's alarm for memory pressure cannot be heard");
        }
        Self(opened.ok())
    }

    /// Whether it was raised since the last look. Never waits.
    pub(super) fn raised(&mut self) -> bool {
        let Some(file) = &mut self.0 else { return false };
        let mut look = [PollFd::new(file, PollFlags::PRI | PollFlags::IN)];
        // Interrupted: the next look tells.
        let told = poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
            .map_or(PollFlags::empty(), |_| look[0].revents());
        // A file of the kernel can always be read, which says nothing.
        let fifo = file.metadata().is_ok_and(|file| file.file_type().is_fifo());
        if fifo && told.contains(PollFlags::IN) {
            // What it says means nothing, but has to be taken.
            let mut bytes = [0; 256];
            while matches!(file.read(&mut bytes), Ok(1..)) {}
            return true;
        }
        if told.contains(PollFlags::ERR) {
            tracing::warn!("the system's alarm for memory pressure is lost");
            self.0 = None;
            return false;
        }
        told.contains(PollFlags::PRI)
    }
}

fn open(path: &OsStr, order: &[u8]) -> io::Result<File> {
    let order = GeneralPurpose::new(&STANDARD, PAD).decode(order).map_err(io::Error::other)?;
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    file.write_all(&order)?;
    Ok(file)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_fifo_is_heard_each_time_somebody_writes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pressure");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let mut alarm = Alarm(Some(open(path.as_os_str(), b"").unwrap()));
        let mut other = OpenOptions::new().write(true).open(&path).unwrap();
        for _ in 0..3 {
            assert!(!alarm.raised(), "nobody has written");
            other.write_all(b"now").unwrap();
            assert!(alarm.raised());
        }
        // What is to be written first is base64.
        assert!(open(path.as_os_str(), b"***").is_err());
        let written = directory.path().join("order");
        std::fs::write(&written, "").unwrap();
        drop(open(written.as_os_str(), b"c29tZSAyMDAwMDAgMjAwMDAwMA==").unwrap());
        assert_eq!(std::fs::read_to_string(written).unwrap(), "some 200000 2000000");
    }

    #[test]
    fn no_alarm_is_never_raised() {
        assert!(!Alarm(None).raised());
    }
}
