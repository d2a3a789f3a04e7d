//! One step, from its first process to the end of its last.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;
use rustix::process::{Pid, Signal};
use staunch_bounded::fault_point;

use super::raw;
use crate::runner::exit::How;
use crate::runner::processes::{self, Process};
use crate::runner::wire::{self, Killed, Report, Spans};

/// Names of processes that are told; of the others only how many.
const NAMES_MAX: usize = 20;
/// The longest pause between two rounds of killing. A round is due when a child ends, too.
const ROUND_MAX: Duration = Duration::from_millis(50);
/// After so long of killing, what is left cannot be killed (another user's, or stuck in the kernel): it is told as it is, and the
/// keeper leaves, so that the rest falls to the server, which goes on.
const STUBBORN: Duration = Duration::from_secs(30);

/// What a keeper does after a step.
pub(super) enum Next {
    /// Wait for another.
    Serve,
    /// End: the server is gone, or something is left that would be taken for the next step's.
    Leave,
}

/// A step that runs.
pub(super) struct Step {
    first: i32,
    spans: Spans,
    how: Option<How>,
    killed: Killed,
    phase: Phase,
    server_gone: bool,
    max_rss_bytes: u64,
    left_behind: Vec<String>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Until the timeout.
    Running { until: Instant },
    /// After TERM.
    Grace { until: Instant },
    /// The first process ended, others have not.
    Settling { until: Instant },
    /// Until nobody is left.
    Killing { since: Instant, round: Instant, pause: Duration },
}

/// The report of a step that could not be started.
pub(super) fn not_started(how: How) -> Report {
    Report { how, killed: Killed::Not, max_rss_bytes: 0, left_behind: Vec::new() }
}

impl Step {
    /// `first` was just started.
    pub(super) fn new(first: i32, spans: Spans) -> Self {
        let until = Instant::now() + spans.timeout;
        Self {
            first,
            spans,
            how: None,
            killed: Killed::Not,
            phase: Phase::Running { until },
            server_gone: false,
            max_rss_bytes: 0,
            left_behind: Vec::new(),
        }
    }

    /// Sees it through. `None`: nobody is left to report to.
    ///
    /// # Errors
    /// The keeper cannot go on; its server then kills what is left.
    pub(super) fn run(mut self, socket: BorrowedFd<'_>, children: &SignalFd) -> io::Result<(Option<Report>, Next)> {
        loop {
            let (told, ended) = self.wait(socket, children)?;
            if told {
                self.hear(socket)?;
            }
            if ended && self.reap(children)? {
                return Ok(self.over());
            }
            let now = Instant::now();
            if let Phase::Killing { since, .. } = self.phase
                && now >= since + STUBBORN
            {
                return Ok(self.give_up());
            }
            self.advance(now);
        }
    }

    /// Waits until the server says something, a child ends, or the phase is over.
    fn wait(&self, socket: BorrowedFd<'_>, children: &SignalFd) -> io::Result<(bool, bool)> {
        let until = match self.phase {
            Phase::Running { until } | Phase::Grace { until } | Phase::Settling { until } => until,
            Phase::Killing { round, .. } => round,
        };
        fault_point!("keep.wait")?;
        let left = until.saturating_duration_since(Instant::now());
        // The kernel may not take a century: it looks again after a day.
        let left = left.min(Duration::from_secs(86_400));
        let span =
            Timespec { tv_sec: left.as_secs().try_into().unwrap_or(86_400), tv_nsec: left.subsec_nanos().into() };
        // A socket at its end is always ready: nobody is asked any more.
        let interest = if self.server_gone { PollFlags::empty() } else { PollFlags::IN };
        let children = children.as_fd();
        let mut fds = [PollFd::from_borrowed_fd(children, PollFlags::IN), PollFd::from_borrowed_fd(socket, interest)];
        let watched = if self.server_gone { &mut fds[..1] } else { &mut fds[..] };
        match rustix::event::poll(watched, Some(&span)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok((!self.server_gone && !fds[1].revents().is_empty(), !fds[0].revents().is_empty()))
    }

    fn hear(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let mut word = [0; 8];
        let length = match wire::receive(socket, &mut word, RecvFlags::DONTWAIT, &mut Vec::new()) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // A reset is an end as well.
            Err(_) => 0,
        };
        match word[..length] {
            [] => {
                self.server_gone = true;
                self.begin_killing(Instant::now());
            }
            [wire::KILL, ..] => self.begin_grace(Killed::Asked),
            [wire::KILL_NOW, ..] => {
                self.mark(Killed::Asked);
                self.begin_killing(Instant::now());
            }
            _ => return Err(io::Error::other("the server said something that means nothing during a step")),
        }
        Ok(())
    }

    /// Takes the dead. Returns whether nobody is left.
    fn reap(&mut self, children: &SignalFd) -> io::Result<bool> {
        // Read before the dead are taken, so that the next death makes it ready again. There is one at most: a signal that is pending
        // already does not count twice.
        fault_point!("keep.reap")?;
        children.read_signal()?;
        loop {
            match raw::take_ended() {
                Ok(None) => return Ok(false),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(true),
                Err(error) => return Err(error),
                Ok(Some(ended)) => {
                    self.max_rss_bytes = self.max_rss_bytes.max(ended.max_rss_bytes);
                    if ended.pid == self.first {
                        self.how = Some(how(ended.status));
                        self.first_ended();
                    }
                }
            }
        }
    }

    fn first_ended(&mut self) {
        let settled = Instant::now() + self.spans.settle;
        self.phase = match self.phase {
            Phase::Running { .. } => Phase::Settling { until: settled },
            Phase::Grace { until } => Phase::Settling { until: until.min(settled) },
            phase => phase,
        };
    }

    fn advance(&mut self, now: Instant) {
        match self.phase {
            Phase::Running { until } if now >= until => self.begin_grace(Killed::AtTimeout),
            Phase::Grace { until } | Phase::Settling { until } if now >= until => self.begin_killing(now),
            Phase::Killing { since, round, pause } if now >= round => {
                // It fails if no file descriptor or memory is to be had: the next round may do better.
                processes::kill_all(|| self.descendants()).ok();
                self.phase = Phase::Killing { since, round: Instant::now() + pause, pause: (pause * 2).min(ROUND_MAX) };
            }
            _ => {}
        }
    }

    fn begin_grace(&mut self, why: Killed) {
        self.mark(why);
        if !matches!(self.phase, Phase::Running { .. }) {
            if matches!(self.phase, Phase::Settling { .. }) {
                self.begin_killing(Instant::now());
            }
            return;
        }
        self.signal_group(Signal::TERM);
        // So that a stopped one hears it.
        self.signal_group(Signal::CONT);
        self.phase = Phase::Grace { until: Instant::now() + self.spans.grace };
    }

    /// Signals the group of the first process, which must not be reaped yet: until then the number is its own.
    fn signal_group(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.first) {
            // It fails if all of the group are zombies: they end as it is.
            rustix::process::kill_process_group(group, signal).ok();
        }
    }

    fn begin_killing(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Killing { .. }) {
            return;
        }
        if self.how.is_some() && !self.server_gone {
            self.left_behind = self.names();
        }
        if self.how.is_none() {
            // All of the group at once, however fast it forks.
            self.signal_group(Signal::KILL);
        }
        self.phase = Phase::Killing { since: now, round: now, pause: Duration::from_millis(1) };
        // The first round is not put off to the next turn: a server may just have died.
        self.advance(now);
    }

    fn mark(&mut self, why: Killed) {
        // The first reason stays, and a step whose first process has ended was not killed: its rest is left behind.
        if self.killed == Killed::Not && self.how.is_none() {
            self.killed = why;
        }
    }

    fn descendants(&self) -> io::Result<Vec<Process>> {
        fault_point!("keep.look")?;
        let own = rustix::process::getpid().as_raw_nonzero().get();
        Ok(processes::descendants(&processes::all()?, &[own]))
    }

    fn names(&self) -> Vec<String> {
        let mut alive = self.descendants().unwrap_or_default();
        alive.retain(Process::lives);
        alive.sort_by_key(|process| (process.started, process.pid.as_raw_nonzero()));
        let mut names: Vec<String> = alive.iter().take(NAMES_MAX).map(Process::label).collect();
        if alive.len() > NAMES_MAX {
            names.push(format!("and {} more", alive.len() - NAMES_MAX));
        }
        names
    }

    fn over(self) -> (Option<Report>, Next) {
        if self.server_gone {
            return (None, Next::Leave);
        }
        (Some(self.report()), Next::Serve)
    }

    fn give_up(mut self) -> (Option<Report>, Next) {
        self.left_behind = self.names().into_iter().map(|name| format!("{name}, cannot be killed")).collect();
        let told = !self.server_gone;
        (told.then(|| self.report()), Next::Leave)
    }

    fn report(self) -> Report {
        Report {
            // The first process itself cannot be killed.
            how: self.how.unwrap_or(How::Signal(libc::SIGKILL)),
            killed: self.killed,
            max_rss_bytes: self.max_rss_bytes,
            left_behind: self.left_behind,
        }
    }
}

fn how(status: i32) -> How {
    if libc::WIFSIGNALED(status) { How::Signal(libc::WTERMSIG(status)) } else { How::Code(libc::WEXITSTATUS(status)) }
}
