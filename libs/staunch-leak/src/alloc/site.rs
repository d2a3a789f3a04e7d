//! Where blocks were allocated.

use std::fmt;

/// A place in the program where live blocks were allocated: one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Bytes live.
    pub bytes: u64,
    /// Blocks live.
    pub blocks: u64,
    /// Up to 20 frames, innermost first: name, file and line where they are known. Empty without the feature `sites`.
    pub frames: Vec<String>,
}

/// Beginnings of the names of functions between an allocation and whoever wanted it.
const PLUMBING: &[&str] = &[
    "alloc::",
    "<alloc::",
    "core::",
    "<core::",
    "std::",
    "<std::",
    "hashbrown::",
    "<hashbrown::",
    "__rust",
    "_rust",
    "__rustc",
    "backtrace::",
];

/// Parts of the paths of files that are not the program's own: the standard library's, and those of dependencies.
const FOREIGN: &[&str] = &["(/rustc/", "/registry/src/"];

/// The standard library's mark: what is outside of it is how the test came to run.
const END: &str = "__rust_begin_short_backtrace";

/// Frames that are shown.
const FRAMES_SHOWN: usize = 20;

impl Site {
    /// Without the frames of our own at the top, and those of the test harness at the bottom.
    pub(super) fn new(bytes: u64, blocks: u64, mut frames: Vec<String>) -> Self {
        if let Some(end) = frames.iter().position(|frame| frame.contains(END)) {
            frames.truncate(end);
        }
        let ours = |frame: &String| {
            frame.contains("staunch_leak::alloc::") || frame.contains("__rust") || frame.starts_with("backtrace::")
        };
        let first = frames.iter().position(|frame| !ours(frame)).unwrap_or(0);
        frames.drain(..first);
        frames.truncate(FRAMES_SHOWN);
        Self { bytes, blocks, frames }
    }

    /// The innermost frame that is not the standard library's: or a dependency's: who wanted the block.
    pub fn who(&self) -> &str {
        let is_plumbing = |frame: &str| {
            PLUMBING.iter().any(|start| frame.starts_with(start)) || FOREIGN.iter().any(|part| frame.contains(part))
        };
        let own = self.frames.iter().find(|frame| !is_plumbing(frame));
        own.or(self.frames.first()).map_or("somewhere (built without the feature `sites`)", String::as_str)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in {} blocks, allocated by {}", self.bytes, self.blocks, self.who())?;
        for frame in &self.frames {
            write!(f, "\n      {frame}")?;
        }
        Ok(())
    }
}
