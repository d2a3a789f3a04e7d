//! Names of functions for addresses of this process, so that a profile can be read without its binary.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use staunch_server::pprof::Line;

/// The functions at each address: the one that was called first, then those it was inlined into.
pub(super) type Frames = BTreeMap<u64, Vec<Line>>;

/// Names that one address may have: deeper inlining is cut.
const LINES_MAX: usize = 16;
/// The allocator's own frames are the innermost, and not more than these.
const OWN_FRAMES_MAX: usize = 12;
/// What names of the allocator's own functions begin with.
const OWN: [&str; 8] =
    ["_rjem_", "prof_", "je_", "imalloc", "__rustc::__rust_", "__rust_", "<tikv_jemallocator::", "tikv_jemallocator::"];
/// What C calls the allocator by.
const OWN_EXACTLY: [&str; 7] = ["malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "mallocx", "rallocx"];

/// Looks all of them up, and forgets what that took: the symbols of the binary, some megabytes.
pub(super) fn of(addresses: &BTreeSet<u64>) -> io::Result<Frames> {
    let mut frames = Frames::new();
    for address in addresses {
        let place = usize::try_from(*address).map_err(io::Error::other)?;
        let mut lines = Vec::new();
        backtrace::resolve(std::ptr::without_provenance_mut(place), |symbol| {
            if lines.len() < LINES_MAX
                && let Some(name) = symbol.name()
            {
                let file = symbol.filename().map(|file| file.display().to_string()).unwrap_or_default();
                // Without the hash, which tells two versions of a function apart and nobody reads.
                lines.push(Line { function: format!("{name:#}"), file, line: symbol.lineno().unwrap_or(0).into() });
            }
        });
        frames.insert(*address, lines);
    }
    backtrace::clear_symbol_cache();
    Ok(frames)
}

/// A stack without the allocator's own frames, which are the innermost.
pub(super) fn cut<'a>(stack: &'a [u64], frames: &Frames) -> &'a [u64] {
    let own = |address: &u64| {
        let names = frames.get(address).into_iter().flatten().map(|line| line.function.as_str());
        names.into_iter().any(|name| OWN.iter().any(|own| name.starts_with(own)) || OWN_EXACTLY.contains(&name))
    };
    let last = stack.iter().take(OWN_FRAMES_MAX).rposition(own);
    &stack[last.map_or(0, |last| last + 1)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(function: &str) -> Vec<Line> {
        vec![Line { function: function.to_owned(), file: String::new(), line: 0 }]
    }

    #[test]
    fn the_allocators_own_frames_are_cut_and_no_others() {
        let frames: Frames = [
            (1, line("prof_backtrace_impl")),
            (2, line("unnamed_between")),
            (3, line("malloc")),
            (4, line("sqlite3MemMalloc")),
            (5, line("prof_like_but_far_out")),
        ]
        .into();
        assert_eq!(cut(&[1, 2, 3, 4], &frames), [4]);
        assert_eq!(cut(&[4, 9], &frames), [4, 9]);
        assert_eq!(cut(&[], &frames), [] as [u64; 0]);
        let far: Vec<u64> = std::iter::repeat_n(4, OWN_FRAMES_MAX).chain([5, 4]).collect();
        assert_eq!(cut(&far, &frames).len(), far.len());
    }

    #[test]
    fn an_address_of_ours_has_its_functions_name() {
        let here = cut as fn(&'static [u64], &Frames) -> &'static [u64] as usize as u64 + 1;
        let frames = of(&[here, 1].into()).expect("looked up");
        // Where there are line tables, the name is short and the file is known.
        assert!(frames[&here][0].function.ends_with("cut"), "{frames:?}");
        assert!(frames[&1].is_empty(), "{frames:?}");
    }
}
