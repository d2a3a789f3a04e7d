//! What of jemalloc cannot be said in safe Rust: its options, and three of its controls.
#![expect(unsafe_code, reason = "the options are a symbol that C reads, and these controls have no safe wrapper")]

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

use tikv_jemalloc_ctl::{Result, raw};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A pointer as C has it, to what lives and stays the same for ever.
#[repr(transparent)]
struct Options(*const c_char);

// SAFETY: it points to a constant, which nobody writes: any thread may read it.
unsafe impl Sync for Options {}

/// What jemalloc is told before it begins.
///
/// `prof` makes profiles possible and cannot be changed later. `prof_active:false`, because only a server takes any: neither a keeper nor a
/// command of a moment pays for samples. One is taken every 2 MiB then (`lg_prof_sample:21`): at 512 KiB, which is usual,
/// walking stacks took 2 % of the time that requests take (`cargo xtask bench accounting`).
///
/// The rest keeps an idle server small; measured on one, each in turn. `narenas:2` (0.5 MiB more than one, but a lock for each half of the
/// threads): what is free in one arena serves no other. `tcache_max:1024` (1.2 MiB): each thread keeps freed blocks at hand up to this size
/// only; larger ones are rarer than the lock that they take is dear. `dirty_decay_ms` and `muzzy_decay_ms`: what is free goes back to
/// the kernel in five seconds, if a thread of jemalloc's own sees to it, which [`super::begin`] starts.
#[cfg(not(staunch_unaccounted))]
const OPTIONS: &CStr =
    c"prof:true,prof_active:false,lg_prof_sample:21,narenas:2,tcache_max:1024,dirty_decay_ms:5000,muzzy_decay_ms:0";

/// The same without profiles: the build that counts nothing is not to pay for the readiness to sample either.
#[cfg(staunch_unaccounted)]
const OPTIONS: &CStr = c"prof:false,narenas:2,tcache_max:1024,dirty_decay_ms:5000,muzzy_decay_ms:0";

// SAFETY: jemalloc has a weak symbol of this name, `const char *`, and only reads it. This is such a pointer, to a string that ends in
// NUL. That the name is right, and the options are heeded, is what the tests below say.
#[unsafe(export_name = "malloc_conf")]
static MALLOC_CONF: Options = Options(OPTIONS.as_ptr());

/// Has allocations sampled from now on, or no more.
///
/// # Errors
/// This jemalloc was built or configured without profiles.
pub(super) fn sample(active: bool) -> Result<()> {
    // SAFETY: jemalloc(3) has `prof.active` as a `bool`.
    unsafe { raw::write(b"prof.active\0", active) }
}

/// Writes a heap profile into the file at `path`.
///
/// # Errors
/// The file cannot be written, or there are no profiles.
pub(super) fn dump(path: &CStr) -> Result<()> {
    // SAFETY: jemalloc(3) has `prof.dump` as a `const char *`, which it reads before it returns; this is one, and lives longer.
    unsafe { raw::write(b"prof.dump\0", path.as_ptr()) }
}

/// Gives unused pages of all arenas back to the kernel, now. Returns whether jemalloc did.
pub(super) fn purge() -> bool {
    // All of them: `MALLCTL_ARENAS_ALL` is 4096.
    let name = c"arena.4096.purge";
    // SAFETY: jemalloc(3) has it as a control without a value, neither read nor written, as the null pointers say.
    let code = unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0) };
    code == 0
}

#[cfg(test)]
mod tests {
    use tikv_jemalloc_ctl::{opt, profiling, raw};

    #[test]
    fn jemalloc_heeds_the_options() {
        assert!(profiling::prof::read().expect("told"));
        assert_eq!(profiling::lg_prof_sample::read().expect("told"), 21);
        assert_eq!(opt::narenas::read().expect("told"), 2);
        // SAFETY: jemalloc(3) has it as a `size_t`.
        assert_eq!(unsafe { raw::read::<usize>(b"opt.tcache_max\0") }.expect("told"), 1024);
        for (name, wanted) in [(b"opt.dirty_decay_ms\0", 5000_isize), (b"opt.muzzy_decay_ms\0", 0)] {
            // SAFETY: jemalloc(3) has both as `ssize_t`.
            assert_eq!(unsafe { raw::read::<isize>(name) }.expect("told"), wanted);
        }
        // SAFETY: jemalloc(3) has it as a `bool`.
        assert!(!unsafe { raw::read::<bool>(b"opt.prof_active\0") }.expect("told"));
    }
}
