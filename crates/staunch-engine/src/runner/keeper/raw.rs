//! The two system calls that no safe wrapper offers.

use std::{io, mem, ptr};

/// A child that ended.
pub(super) struct Ended {
    pub(super) pid: i32,
    pub(super) status: i32,
    pub(super) max_rss_bytes: u64,
}

/// Takes a child that ended from the process table. `None`: children are left, none has ended.
///
/// # Errors
/// `ECHILD`: no child is left.
#[expect(unsafe_code, reason = "only wait4 tells the peak memory of one child; no wrapper of it is safe")]
pub(super) fn take_ended() -> io::Result<Option<Ended>> {
    let mut status = 0;
    let mut usage = mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live memory of the right size, which wait4 only writes to; a rusage of zeroes is valid.
    let (pid, usage) = unsafe {
        let pid = libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (pid, usage.assume_init())
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(Ended { pid, status, max_rss_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) << 10 })),
    }
}

/// SIGCHLD to its default: whoever starts the server with SIGCHLD ignored would otherwise have us lose every exit code.
#[expect(unsafe_code, reason = "a disposition can only be set by sigaction, which is not safe in general")]
pub(super) fn reset_child_signal() -> io::Result<()> {
    // SAFETY: a sigaction of zeroes is SIG_DFL with an empty mask and no flags; no handler is installed, so nothing can be
    // called in signal context; the third pointer may be null.
    let result = unsafe {
        let default = mem::zeroed::<libc::sigaction>();
        libc::sigaction(libc::SIGCHLD, &raw const default, ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
