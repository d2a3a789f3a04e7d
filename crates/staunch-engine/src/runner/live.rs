//! A step that a keeper runs: its pipes, its log, its captures.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use staunch_bounded::fault_point;
use staunch_flow::Outcome;
use staunch_store::logs::{LogWriter, Stream};
use staunch_store::{AttemptKey, StoreError};
use tokio::sync::oneshot;

use super::capture::Capture;
use super::config::RunnerConfig;
use super::exit::{Exit, How};
use super::wire::{Killed, Report};
use crate::fault;

/// Reads of a pipe in one turn, so that a step that floods its output does not starve the others.
const READS_A_TURN: usize = 4;
/// Reads of a pipe after the step's last process ended. What it wrote is in the pipe's buffer, 1 MiB at most; more comes only from an
/// outside process that still writes.
const READS_AT_END: usize = 32;

/// From a read to the flush of the log. A step that ends sooner never makes a file, and a flood is flushed a few hundred times a second.
const FLUSH_DELAY: Duration = Duration::from_millis(2);
/// A log of so few bytes that was never flushed is sealed in memory, which takes no time.
const SEAL_HERE_BYTES: u64 = 2 << 10;

/// A step that runs.
pub(super) struct Live {
    pub(super) id: u64,
    key: AttemptKey,
    started: Instant,
    streams: [Flow; 2],
    log: LogWriter,
    /// Since when something is read and not flushed.
    unflushed: Option<Instant>,
    /// Whether the log has a file by now.
    on_disk: bool,
    reply: oneshot::Sender<Exit>,
    /// Why somebody asked to kill it, first.
    pub(super) asked: Option<Outcome>,
    /// When its keeper counts as hung.
    pub(super) overdue: Option<Instant>,
}

struct Flow {
    stream: Stream,
    pipe: Option<OwnedFd>,
    /// The end to write, held until the step is over: its end would wake us just before its keeper does.
    held: Option<OwnedFd>,
    capture: Capture,
}

/// A pipe for a stream of a step.
pub(super) struct Pipe {
    /// Does not block.
    pub(super) read: OwnedFd,
    /// Blocks.
    pub(super) write: OwnedFd,
}

/// A step that is over, but for its log.
pub(super) struct Over {
    pub(super) exit: Exit,
    pub(super) reply: oneshot::Sender<Exit>,
    /// To be sealed.
    pub(super) log: LogWriter,
    /// Whether that takes a disk.
    pub(super) slow: bool,
}

impl Pipe {
    /// Both ends close on exec.
    ///
    /// # Errors
    /// No file descriptor is free.
    pub(super) fn new() -> io::Result<Self> {
        fault_point!("runner.pipe")?;
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK)?;
        Ok(Self { read, write })
    }
}

impl Live {
    /// `started` is from before its keeper was told: whatever the keeper measures began later.
    pub(super) fn new(
        id: u64,
        key: AttemptKey,
        started: Instant,
        log: LogWriter,
        reply: oneshot::Sender<Exit>,
        pipes: [Pipe; 2],
        config: &RunnerConfig,
    ) -> Self {
        let capture = || Capture::new(config.capture_bytes_max);
        let [out, err] = pipes.map(|pipe| (Some(pipe.read), Some(pipe.write)));
        let flow = |stream, (pipe, held)| Flow { stream, pipe, held, capture: capture() };
        Self {
            id,
            key,
            started,
            streams: [flow(Stream::Stdout, out), flow(Stream::Stderr, err)],
            log,
            unflushed: None,
            on_disk: false,
            reply,
            asked: None,
            overdue: None,
        }
    }

    /// Reads what the pipe of standard output (0) or standard error (1) holds, but not for too long.
    pub(super) fn pump(&mut self, which: usize, buffer: &mut [u8], config: &RunnerConfig) {
        self.read(which, buffer, READS_A_TURN, config);
        // The first output is seen at once by whoever waits for it; what follows may gather for a moment.
        if !self.on_disk && self.unflushed.is_some() && (config.is_watched)(self.key) {
            self.flush(config);
        }
    }

    /// When what was read is to be flushed into the log, if anything is unflushed.
    pub(super) fn flush_due(&self) -> Option<Instant> {
        self.unflushed.map(|since| since + FLUSH_DELAY)
    }

    /// Lets readers of the log see what was read so far.
    pub(super) fn flush(&mut self, config: &RunnerConfig) {
        self.unflushed = None;
        self.on_disk = true;
        let flushed = fault::failed(fault_point!("runner.log_flush")).and_then(|()| self.log.flush());
        self.note(flushed);
        (config.on_output)(self.key);
    }

    /// The log tells of a refusal once, marks the gap, and goes on when there is room again: so does the step.
    fn note(&self, written: Result<(), StoreError>) {
        if let Err(error) = written {
            tracing::warn!(run = %self.key.run, step = self.key.step.0, %error, "output of a step is lost");
        }
    }

    fn read(&mut self, which: usize, buffer: &mut [u8], reads_max: usize, config: &RunnerConfig) {
        for _ in 0..reads_max {
            let Some(pipe) = &self.streams[which].pipe else { break };
            let point = fault_point!("runner.read").map_err(|_| Errno::IO);
            match point.and_then(|()| rustix::io::read(pipe.as_fd(), &mut *buffer)) {
                Ok(0) => self.streams[which].pipe = None,
                Ok(length) => {
                    self.take(which, &buffer[..length], config);
                    // It gave less than it could: it is empty for now. At its end we are told once more.
                    if length < buffer.len() && reads_max != READS_AT_END {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => {
                    // Read again it would say so again, without end. The step hears that nobody listens.
                    self.note(Err(StoreError::Failed(format!("cannot read it: {error}"))));
                    self.streams[which].pipe = None;
                }
            }
        }
    }

    fn take(&mut self, which: usize, bytes: &[u8], config: &RunnerConfig) {
        let flow = &mut self.streams[which];
        flow.capture.push(bytes, &config.budget);
        let now = Instant::now();
        let ms = u32::try_from((now - self.started).as_millis()).unwrap_or(u32::MAX);
        let point = fault::failed(fault_point!("runner.log_append"));
        let written = point.and_then(|()| self.log.append(flow.stream, ms, bytes));
        self.note(written);
        self.unflushed.get_or_insert(now);
    }

    /// Takes the rest out of the pipes. All processes of the step are gone. If somebody holds a pipe open all the same, `patience` is how
    /// long it may be a keeper that is just being started: until it is its own program it holds a copy of all that was open.
    pub(super) fn finish(
        mut self,
        report: Report,
        patience: Duration,
        buffer: &mut [u8],
        config: &RunnerConfig,
    ) -> Over {
        let mut left_behind = report.left_behind;
        for which in 0..2 {
            self.streams[which].held = None;
            self.read(which, buffer, READS_AT_END, config);
            if !patience.is_zero() && self.await_end(which, patience) {
                self.read(which, buffer, READS_AT_END, config);
            }
            if self.streams[which].pipe.take().is_some() {
                let name = if which == 0 { "standard output" } else { "standard error" };
                left_behind.push(format!("its {name} is held open from outside"));
            }
        }
        let killed = match report.killed {
            Killed::Not => None,
            Killed::AtTimeout => Some(Outcome::TimedOut),
            Killed::Asked => Some(self.asked.unwrap_or(Outcome::Cancelled)),
        };
        let [stdout, stderr] = self.streams.map(|flow| flow.capture.finish());
        let bytes = stdout.bytes_total + stderr.bytes_total;
        let mut exit = Exit::nothing(report.how, killed);
        exit.duration = self.started.elapsed();
        (exit.stdout, exit.stderr, exit.left_behind) = (stdout, stderr, left_behind);
        exit.max_rss_bytes = report.max_rss_bytes;
        Over { exit, reply: self.reply, log: self.log, slow: self.on_disk || bytes > SEAL_HERE_BYTES }
    }

    /// Waits until a pipe that is still open is at its end. Whether it is.
    fn await_end(&self, which: usize, patience: Duration) -> bool {
        let Some(pipe) = &self.streams[which].pipe else { return false };
        let span = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
        // No event is asked for: a hang-up is told in any case.
        let mut look = [PollFd::new(pipe, PollFlags::empty())];
        rustix::event::poll(&mut look, Some(&span)).is_ok_and(|ready| ready > 0)
    }

    /// The report of a step whose keeper died.
    pub(super) fn lost(&self) -> Report {
        let killed = if self.asked.is_some() { Killed::Asked } else { Killed::Not };
        Report { how: How::KeeperLost, killed, max_rss_bytes: 0, left_behind: Vec::new() }
    }
}

impl Over {
    /// Seals the log, here and now, and tells whoever waits; if nobody does any more, the exit is dropped with all it holds.
    pub(super) fn seal(mut self) {
        let seal = || fault::failed(fault_point!("runner.log_seal")).and_then(|()| self.log.seal());
        // Whatever happens to its log, the step is over and somebody waits for it.
        let sealed = catch_unwind(AssertUnwindSafe(seal));
        self.exit.log = sealed.unwrap_or_else(|_| Err(StoreError::Failed("it panicked".to_owned())));
        self.reply.send(self.exit).ok();
    }
}
