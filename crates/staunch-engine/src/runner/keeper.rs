//! The keeper: a process that runs one step at a time and lets nothing of it live on.

mod order;
mod raw;
mod spawn;
mod step;

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::fs::{Mode, OFlags};
use rustix::net::RecvFlags;
use staunch_bounded::fault_point;

use self::order::Post;
use self::spawn::Spawner;
use self::step::{Next, Step};
use super::wire;

/// Becomes a keeper: `staunch __keep` calls this and nothing else. Standard input is the socket to the server.
///
/// It must be called before the process has a second thread or a child.
pub fn keep() -> ExitCode {
    match Keeper::begin().and_then(|mut keeper| keeper.serve()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The server sees the end of the socket; the words are for whoever started a keeper by hand.
            writeln!(io::stderr(), "staunch keeper: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

/// What a keeper holds from step to step.
struct Keeper {
    socket: OwnedFd,
    children: SignalFd,
    spawner: Spawner,
    buffer: Vec<u8>,
}

impl Keeper {
    fn begin() -> io::Result<Self> {
        fault_point!("keep.begin")?;
        close_inherited()?;
        raw::reset_child_signal()?;
        // All are blocked: a keeper ends with its server or by KILL, not by a TERM that was meant for the server. Each
        // step starts with none blocked.
        SigSet::all().thread_block()?;
        let mut ended = SigSet::empty();
        ended.add(Signal::SIGCHLD);
        let children = SignalFd::with_flags(&ended, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // Fails if we lead a session already, which is just as good.
        rustix::process::setsid().ok();
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        rustix::process::chdir("/")?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self {
            socket: rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?,
            children,
            spawner: Spawner::new(null)?,
            buffer: vec![0; wire::PACKET_BYTES_MAX],
        })
    }

    /// Runs what it is told until the server is gone.
    fn serve(&mut self) -> io::Result<()> {
        loop {
            let mut fds = Vec::new();
            fault_point!("keep.hear")?;
            let length = wire::receive(&self.socket, &mut self.buffer, RecvFlags::empty(), &mut fds)?;
            if length == 0 {
                return Ok(());
            }
            let Some(post) = Post::read(&self.buffer[..length], fds)? else {
                // Somebody asked to kill a step that was over already.
                continue;
            };
            match self.run(post)? {
                Next::Serve => {}
                Next::Leave => return Ok(()),
            }
        }
    }

    fn run(&self, post: Post<'_>) -> io::Result<Next> {
        let Some(order) = post.order() else {
            return Err(io::Error::other("the server sent an order that is none"));
        };
        let spawned = self.spawner.spawn(&order, post.pipes());
        // The step holds the write ends now; ours would keep the pipes open.
        let spans = order.spans;
        drop(post);
        let (report, next) = match spawned {
            Ok(first) => Step::new(first, spans).run(self.socket.as_fd(), &self.children)?,
            Err(how) => (Some(step::not_started(how)), Next::Serve),
        };
        if let Some(report) = report {
            fault_point!("keep.report")?;
            match wire::send(&self.socket, &report.encode(), &[]) {
                // The server is gone, and nothing is left: the next read sees the end.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                sent => sent?,
            }
        }
        Ok(next)
    }
}

/// Closes what the server inherited from whoever started it, such as another program's lock file: no step may hold it open.
fn close_inherited() -> io::Result<()> {
    let mut inherited = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
        inherited.extend(number.filter(|number| *number > 2));
    }
    for number in inherited {
        // The directory just read is in the list too, and closed by now.
        nix::unistd::close(number).ok();
    }
    Ok(())
}
