//! Stacks: taken as addresses, named only when somebody reads them.

/// Frames of a stack that are kept: the twenty that are shown, and room for ours above them, which are told by name.
const FRAMES: usize = 28;

/// The return addresses of a stack, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Stack {
    /// Those from `depth` on are 0.
    addresses: [usize; FRAMES],
    depth: usize,
}

impl Stack {
    pub(super) const EMPTY: Self = Self { addresses: [0; FRAMES], depth: 0 };
}

#[cfg(feature = "sites")]
mod walk {
    use super::{FRAMES, Stack};

    /// Frames at the top that are certainly ours, as they are never inlined: `here` and whoever in `live` called it.
    const OURS: usize = 2;

    impl Stack {
        /// The caller's stack.
        #[inline(never)]
        pub(in super::super) fn here() -> Self {
            let mut stack = Self::EMPTY;
            let mut skip = OURS;
            backtrace::trace(|frame| {
                if skip > 0 {
                    skip -= 1;
                    return true;
                }
                if let Some(slot) = stack.addresses.get_mut(stack.depth) {
                    *slot = frame.ip() as usize;
                    stack.depth += 1;
                }
                stack.depth < FRAMES
            });
            stack
        }

        /// Its frames by name, file and line; inlined calls are frames too. Slow the first time: the program's debug
        /// information is read then.
        pub(in super::super) fn frames(&self) -> Vec<String> {
            let mut names = Vec::new();
            for address in &self.addresses[..self.depth] {
                // A return address is that of the next instruction; the call is before it.
                let call = std::ptr::without_provenance_mut(address.saturating_sub(1));
                backtrace::resolve(call, |symbol| {
                    let name = symbol.name().map_or_else(|| "?".to_owned(), |name| format!("{name:#}"));
                    names.push(match (symbol.filename(), symbol.lineno()) {
                        (Some(file), Some(line)) => format!("{name} ({}:{line})", file.display()),
                        _ => name,
                    });
                });
            }
            names
        }
    }
}

#[cfg(not(feature = "sites"))]
impl Stack {
    pub(super) fn here() -> Self {
        Self::EMPTY
    }

    pub(super) fn frames(&self) -> Vec<String> {
        Vec::new()
    }
}
