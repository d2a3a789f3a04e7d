//! A keeper, as the server sees it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, RecvFlags, Shutdown, SocketFlags, SocketType};
use rustix::process::{Pid, Signal};

use staunch_bounded::fault_point;

use super::live::Live;
use super::orphans::{self, Hired};
use super::wire::PACKET_BYTES_MAX;
use super::wire::{self, Report};

/// A hired keeper.
pub(super) struct Keeper {
    process: Hired,
    socket: OwnedFd,
    /// Names this keeper's file descriptors in events: a number is used once.
    pub(super) generation: u32,
    pub(super) state: State,
}

/// What a keeper is at.
pub(super) enum State {
    /// Waits for a step since then.
    Idle(Instant),
    /// Was told to run a step that is not entered yet.
    Ordered,
    /// Runs a step.
    Busy(Box<Live>),
    /// Was told to go; counts as hung after that.
    Leaving(Instant),
}

/// What came from a keeper.
pub(super) enum Heard {
    /// Its step is over.
    Report(Report),
    /// Nothing for now.
    Nothing,
    /// It is dead, or as good as dead.
    Lost,
}

impl Keeper {
    /// Starts one.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn hire(command: &[OsString], generation: u32) -> io::Result<Self> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| io::Error::other("no program is set that becomes a keeper"))?;
        fault_point!("keeper.socket")?;
        let (ours, its) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // The server's environment may hold secrets: a keeper needs none of it, and its steps must not see it there.
        let process = orphans::hire(
            Command::new(program).args(arguments).env_clear().stdin(Stdio::from(its)).stdout(Stdio::null()),
        )?;
        Ok(Self { process, socket: ours, generation, state: State::Idle(Instant::now()) })
    }

    /// Its socket.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Gives it a step with the write ends of its pipes.
    ///
    /// # Errors
    /// It is dead, or no memory or file descriptor is to be had.
    pub(super) fn order(&self, packet: &[u8], [out, err]: [BorrowedFd<'_>; 2]) -> io::Result<()> {
        fault_point!("keeper.order")?;
        if packet.len() <= PACKET_BYTES_MAX {
            return wire::send(&self.socket, packet, &[out, err]);
        }
        fault_point!("keeper.memfd")?;
        let mut file = File::from(rustix::fs::memfd_create("staunch-order", MemfdFlags::CLOEXEC)?);
        file.write_all(packet)?;
        wire::send(&self.socket, &[wire::START_BY_FILE], &[out, err, file.as_fd()])
    }

    /// Tells it to kill its step.
    ///
    /// # Errors
    /// It cannot be told: it is dead, or no memory is to be had.
    pub(super) fn kill_step(&self, force: bool) -> io::Result<()> {
        fault_point!("keeper.kill")?;
        wire::send(&self.socket, &[if force { wire::KILL_NOW } else { wire::KILL }], &[])?;
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            // Somebody may have stopped it. It is not reaped before it is dismissed, so the number is its own.
            rustix::process::kill_process(pid, Signal::CONT).ok();
        }
        Ok(())
    }

    /// Hears what it says.
    pub(super) fn hear(&self, buffer: &mut [u8]) -> Heard {
        let heard = fault_point!("keeper.report").map_err(io::Error::from);
        match heard.and_then(|()| wire::receive(&self.socket, buffer, RecvFlags::DONTWAIT, &mut Vec::new())) {
            Ok(0) => Heard::Lost,
            // Gibberish comes from something that is no keeper: it is replaced.
            Ok(length) => Report::decode(&buffer[..length]).map_or(Heard::Lost, Heard::Report),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            Err(_) => Heard::Lost,
        }
    }

    /// Tells it to go, which it does at once.
    pub(super) fn leave(&mut self, hung: Instant) {
        // It fails only if the other end is gone already.
        rustix::net::shutdown(&self.socket, Shutdown::Write).ok();
        self.state = State::Leaving(hung);
    }

    /// Kills it if it is not dead, and takes it from the process table. Returns the step it had.
    pub(super) fn dismiss(self) -> Option<Live> {
        drop(self.process);
        match self.state {
            State::Busy(live) => Some(*live),
            State::Idle(_) | State::Ordered | State::Leaving(_) => None,
        }
    }
}
