//! A log's blocks, wherever it lies.

use std::io;

use super::frame::BLOCK;
use super::layout::Kept;
use super::raw::{RawFile, starts_block};
use super::sealed::SealedFile;

/// Where the blocks of a log come from.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// There are none.
    Nowhere,
    /// From memory, out of the database.
    Inline(&'a [u8]),
    /// From the raw file.
    Raw(RawFile),
    /// From the sealed file.
    Sealed(SealedFile),
}

impl Source<'_> {
    /// Which blocks there are.
    pub(super) fn kept(&self) -> Kept {
        match self {
            Self::Nowhere => Kept::none(),
            Self::Inline(bytes) => Kept { hole: 0..0, count: (bytes.len() as u64).div_ceil(BLOCK) },
            Self::Raw(raw) => raw.kept().clone(),
            Self::Sealed(sealed) => sealed.kept().clone(),
        }
    }

    /// The bytes of a block, or `None` if it is gone. Holds one block, or one frame of a sealed file, at a time.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub(super) fn load(&mut self, block: u64) -> io::Result<Option<&[u8]>> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Inline(bytes) => {
                let from = usize::try_from(block * BLOCK).unwrap_or(usize::MAX).min(bytes.len());
                let to = from.saturating_add(BLOCK as usize).min(bytes.len());
                Ok(Some(&bytes[from..to]).filter(|bytes| starts_block(bytes, block)))
            }
            Self::Raw(raw) => raw.load(block),
            Self::Sealed(sealed) => sealed.load(block),
        }
    }
}
