//! A heap profile: taken by jemalloc into memory, read, given names, and written as pprof has it.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::SystemTime;

use rustix::fs::{MemfdFlags, memfd_create};
use staunch_server::pprof::Profile;

use super::{heap_v2, names, raw};

/// A dump is not larger than this, in bytes. It grows with the number of different stacks, which the program's text bounds: that of a
/// server that has seen everything is some 200 KiB.
const DUMP_BYTES_MAX: u64 = 16 << 20;

/// Held while a profile is taken: jemalloc stops all allocations for a moment, which nobody shall ask for twice at once.
static TURN: Mutex<()> = Mutex::new(());

/// A heap profile now, gzipped in the format of pprof. It holds addresses and names of functions, never what is in memory. Blocking, some
/// ten milliseconds.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] if another is being taken; or there is no memory file, or jemalloc fails.
pub(super) fn profile() -> io::Result<Vec<u8>> {
    let _turn = match TURN.try_lock() {
        Ok(turn) => turn,
        // Nothing in here is left half-done by a panic.
        Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
    };
    let dump = heap_v2::parse(&text()?)?;
    let frames = names::of(&dump.addresses())?;
    let mut profile = Profile::new(dump.period_bytes, SystemTime::now());
    profile.mapping = dump.program.clone();
    for stack in &dump.stacks {
        let addresses = names::cut(&stack.addresses, &frames);
        profile.add(addresses, stack.objects, stack.bytes, |address| frames.get(&address).cloned().unwrap_or_default());
    }
    profile.encode()
}

/// What jemalloc writes. The file has no name, so that nothing is left of it whatever happens.
fn text() -> io::Result<String> {
    let mut file = File::from(memfd_create(c"staunch-heap", MemfdFlags::CLOEXEC)?);
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    raw::dump(&path).map_err(|error| io::Error::other(format!("jemalloc takes no profile: {error}")))?;
    if file.metadata()?.len() > DUMP_BYTES_MAX {
        return Err(io::Error::other(format!("the profile is larger than {DUMP_BYTES_MAX} bytes")));
    }
    let mut bytes = Vec::new();
    (&mut file).take(DUMP_BYTES_MAX).read_to_end(&mut bytes)?;
    // A path among the mapped files may be anything.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
