//! Starts a step's first process, or says in words why it cannot be.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, c_int};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::Access;
use rustix::io::Errno;
use staunch_bounded::fault_point;

use crate::runner::exit::How;
use crate::runner::wire::Order;

/// Where programs are looked for if the step's environment has no `PATH`.
const PATH_DEFAULT: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Starts processes; what is the same for all is made once.
pub(super) struct Spawner {
    null: OwnedFd,
    attributes: PosixSpawnAttr,
}

impl Spawner {
    /// `null` becomes the standard input of each step.
    pub(super) fn new(null: OwnedFd) -> io::Result<Self> {
        let mut attributes = PosixSpawnAttr::init()?;
        // A session of its own: no terminal of ours, and a group that can be signalled as one.
        let session = PosixSpawnFlags::from_bits_retain(c_int::from(libc::POSIX_SPAWN_SETSID));
        let signals = PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK;
        attributes.set_flags(session | signals)?;
        attributes.set_sigdefault(&ignored()?)?;
        attributes.set_sigmask(&SigSet::empty())?;
        Ok(Self { null, attributes })
    }

    /// Starts it. Returns the pid of the first process.
    ///
    /// # Errors
    /// [`How::NotStarted`]
    pub(super) fn spawn(&self, order: &Order<'_>, pipes: Option<[BorrowedFd<'_>; 2]>) -> Result<i32, How> {
        let Some([out, err]) = pipes else {
            return Err(How::not_started("no file descriptor is free for the step's output".into(), libc::EMFILE));
        };
        // We run one step at a time, so ours can be its directory: that spares the child a call, and tells a missing
        // directory from a missing program.
        rustix::process::chdir(order.directory).map_err(|error| directory_words(order.directory, error))?;
        let spawned = self.spawn_here(order, out, err);
        // A keeper without work must not hold a workspace.
        rustix::process::chdir("/").map_err(|error| directory_words(c"/", error))?;
        spawned
    }

    fn spawn_here(&self, order: &Order<'_>, out: BorrowedFd<'_>, err: BorrowedFd<'_>) -> Result<i32, How> {
        let program = resolve(order.argv[0], &order.env)?;
        let words = |error: nix::errno::Errno| program_words(&program, order, error as i32);
        fault_point!("keep.spawn").map_err(|_| words(nix::errno::Errno::EAGAIN))?;
        let mut actions = PosixSpawnFileActions::init().map_err(words)?;
        for (from, to) in [(self.null.as_fd(), 0), (out, 1), (err, 2)] {
            actions.add_dup2(from.as_raw_fd(), to).map_err(words)?;
        }
        let first = posix_spawn(program.as_ref(), &actions, &self.attributes, &order.argv, &order.env);
        first.map(nix::unistd::Pid::as_raw).map_err(words)
    }
}

/// The signals that this process ignores, and that a step must not: a step would be born deaf to them. Only these, since each one
/// named costs every step a system call.
fn ignored() -> io::Result<SigSet> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(u64::MAX);
    let mut set = SigSet::empty();
    for signal in Signal::iterator().filter(|signal| mask >> (*signal as i32 - 1) & 1 == 1) {
        set.add(signal);
    }
    Ok(set)
}

/// The file to execute: as it is if it has a `/`, else the first in `PATH` that may be executed.
fn resolve<'a>(program: &'a CStr, env: &[&CStr]) -> Result<Cow<'a, CStr>, How> {
    let name = program.to_bytes();
    if name.is_empty() {
        return Err(How::not_started("the name of the step's shell is empty".into(), libc::ENOENT));
    }
    if name.contains(&b'/') {
        return Ok(Cow::Borrowed(program));
    }
    let path = env.iter().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH=")).unwrap_or(PATH_DEFAULT);
    let mut refused = false;
    for directory in path.split(|byte| *byte == b':') {
        // An empty entry is the working directory, as in every shell.
        let directory = if directory.is_empty() { b"." } else { directory };
        let Ok(file) = CString::new([directory, b"/", name].concat()) else { continue };
        match rustix::fs::access(file.as_c_str(), Access::EXEC_OK) {
            Ok(()) if is_file(&file) => return Ok(Cow::Owned(file)),
            Ok(()) | Err(Errno::ACCESS) => refused = true,
            Err(_) => {}
        }
    }
    let name = shown(program);
    Err(if refused {
        How::not_started(
            format!("`{name}`: found in PATH, but not a file that may be executed (the step's shell)"),
            libc::EACCES,
        )
    } else {
        How::not_started(format!("`{name}`: not found in PATH={} (the step's shell)", shown_bytes(path)), libc::ENOENT)
    })
}

fn is_file(file: &CStr) -> bool {
    rustix::fs::stat(file).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file())
}

fn directory_words(directory: &CStr, error: Errno) -> How {
    let what = match error {
        Errno::NOENT => "no such directory",
        Errno::NOTDIR => "not a directory",
        Errno::ACCESS => "permission denied",
        _ => "cannot be entered",
    };
    let code = error.raw_os_error();
    let detail = if what == "cannot be entered" { format!(": {}", io::Error::from(error)) } else { String::new() };
    How::not_started(format!("`{}`: {what}{detail} (the step's working directory)", shown(directory)), code)
}

fn program_words(program: &CStr, order: &Order<'_>, errno: i32) -> How {
    let name = shown(program);
    let message = match errno {
        libc::ENOENT if is_file(program) => format!("`{name}`: the interpreter it names does not exist"),
        libc::ENOENT => format!("`{name}`: no such file or directory (the step's shell)"),
        libc::EACCES => format!("`{name}`: permission denied (the step's shell is not a file that may be executed)"),
        libc::ENOEXEC => format!("`{name}`: not a program for this machine, nor a script that begins with `#!`"),
        libc::E2BIG => too_big_words(order),
        libc::EAGAIN => "no more processes may be started now (the limit on processes is met)".into(),
        libc::ENOMEM => "there is no memory for another process now".into(),
        errno => format!("`{name}`: {}", io::Error::from_raw_os_error(errno)),
    };
    How::not_started(message, errno)
}

fn too_big_words(order: &Order<'_>) -> String {
    let size = |strings: &[&CStr]| strings.iter().map(|string| string.count_bytes() + 1).sum::<usize>();
    let longest = order.argv.iter().chain(&order.env).map(|string| string.count_bytes()).max().unwrap_or(0);
    format!(
        "arguments ({} bytes) and environment ({} bytes) are more than this system gives a process; \
         the longest single one has {longest} bytes, 131071 are allowed",
        size(&order.argv),
        size(&order.env),
    )
}

fn shown(text: &CStr) -> String {
    shown_bytes(text.to_bytes())
}

/// At most 200 characters, for a message.
fn shown_bytes(bytes: &[u8]) -> String {
    let text = OsStr::from_bytes(bytes).to_string_lossy();
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.into_owned(),
    }
}
