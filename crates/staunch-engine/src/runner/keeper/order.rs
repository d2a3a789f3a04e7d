//! An order and what came with it.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use staunch_bounded::fault_point;

use crate::runner::wire::{self, Order};

/// A packet that says what to run, with the pipes to run it on.
pub(super) struct Post<'a> {
    packet: Cow<'a, [u8]>,
    fds: Vec<OwnedFd>,
}

impl<'a> Post<'a> {
    /// From a packet. `None` if it says something else.
    ///
    /// # Errors
    /// The order's file cannot be read.
    pub(super) fn read(packet: &'a [u8], mut fds: Vec<OwnedFd>) -> io::Result<Option<Self>> {
        match packet.first() {
            Some(&wire::START) => Ok(Some(Self { packet: Cow::Borrowed(packet), fds })),
            Some(&wire::START_BY_FILE) => {
                let mut long = Vec::new();
                // Without the file the packet stays empty: no order, and the server hires another keeper.
                if fds.len() == 3
                    && let Some(file) = fds.pop()
                {
                    fault_point!("keep.read_order")?;
                    let mut file = File::from(file);
                    file.rewind()?;
                    file.read_to_end(&mut long)?;
                }
                Ok(Some(Self { packet: Cow::Owned(long), fds }))
            }
            _ => Ok(None),
        }
    }

    /// What to run. `None`: nonsense.
    pub(super) fn order(&self) -> Option<Order<'_>> {
        wire::decode_order(&self.packet)
    }

    /// The step's standard output and standard error. `None`: they did not come through, for want of file descriptors.
    pub(super) fn pipes(&self) -> Option<[BorrowedFd<'_>; 2]> {
        match self.fds.as_slice() {
            [out, err] => Some([out.as_fd(), err.as_fd()]),
            _ => None,
        }
    }
}
