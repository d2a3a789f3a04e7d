//! A step that a keeper runs: its pipes, its log, its captures.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use staunch_flow::Outcome;
use staunch_store::logs::{LogWriter, Stream};
use staunch_store::{AttemptKey, StoreError};
use tokio::sync::oneshot;

use super::capture::Capture;
use super::config::RunnerConfig;
use super::exit::{Exit, How};
use super::wire::{Killed, Report};

/// Reads of a pipe in one turn, so that a step that floods its output does not starve the others.
const READS_A_TURN: usize = 4;
/// Reads of a pipe after the step's last process ended. What it wrote is in the pipe's buffer, 1 MiB at most; more comes only from an
/// outside process that still writes.
const READS_AT_END: usize = 32;

/// A step that runs.
pub(super) struct Live {
    pub(super) id: u64,
    key: AttemptKey,
    started: Instant,
    streams: [Flow; 2],
    log: LogWriter,
    log_error: Option<StoreError>,
    reply: oneshot::Sender<Exit>,
    /// Why somebody asked to kill it, first.
    pub(super) asked: Option<Outcome>,
    /// When its keeper counts as hung.
    pub(super) overdue: Option<Instant>,
}

struct Flow {
    stream: Stream,
    pipe: Option<OwnedFd>,
    capture: Capture,
}

/// A step that is over, but for its log.
pub(super) struct Over {
    pub(super) exit: Exit,
    pub(super) reply: oneshot::Sender<Exit>,
    /// To be sealed, if there is anything in it.
    pub(super) log: Option<LogWriter>,
}

impl Live {
    pub(super) fn new(
        id: u64,
        key: AttemptKey,
        log: LogWriter,
        reply: oneshot::Sender<Exit>,
        [out, err]: [OwnedFd; 2],
        config: &RunnerConfig,
    ) -> Self {
        let flow = |stream, pipe| Flow { stream, pipe: Some(pipe), capture: Capture::new(config.capture_bytes_max) };
        Self {
            id,
            key,
            started: Instant::now(),
            streams: [flow(Stream::Stdout, out), flow(Stream::Stderr, err)],
            log,
            log_error: None,
            reply,
            asked: None,
            overdue: None,
        }
    }

    /// The pipe of standard output (0) or standard error (1), while it is open.
    pub(super) fn pipe(&self, which: usize) -> Option<&OwnedFd> {
        self.streams[which].pipe.as_ref()
    }

    /// Reads what a pipe holds, but not for too long.
    pub(super) fn pump(&mut self, which: usize, buffer: &mut [u8], config: &RunnerConfig) {
        self.read(which, buffer, READS_A_TURN, config);
    }

    fn read(&mut self, which: usize, buffer: &mut [u8], reads_max: usize, config: &RunnerConfig) {
        let mut wrote = false;
        for _ in 0..reads_max {
            let Some(pipe) = &self.streams[which].pipe else { break };
            match rustix::io::read(pipe.as_fd(), &mut *buffer) {
                Ok(0) => self.streams[which].pipe = None,
                Ok(length) => {
                    self.take(which, &buffer[..length], config);
                    wrote = true;
                    // It gave less than it could: it is empty for now. At its end we are told once more.
                    if length < buffer.len() && reads_max != READS_AT_END {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if wrote {
            (config.on_output)(self.key);
        }
    }

    fn take(&mut self, which: usize, bytes: &[u8], config: &RunnerConfig) {
        let flow = &mut self.streams[which];
        flow.capture.push(bytes, &config.budget);
        if self.log_error.is_none() {
            let ms = u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX);
            // The step goes on without a log: it is told in its exit.
            self.log_error = self.log.append(flow.stream, ms, bytes).err();
        }
    }

    /// Takes the rest out of the pipes. All processes of the step are gone.
    pub(super) fn finish(mut self, report: Report, buffer: &mut [u8], config: &RunnerConfig) -> Over {
        let mut left_behind = report.left_behind;
        for which in 0..2 {
            self.read(which, buffer, READS_AT_END, config);
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
        let silent = stdout.bytes_total + stderr.bytes_total == 0;
        let mut exit = Exit::nothing(report.how, killed);
        exit.duration = self.started.elapsed();
        (exit.stdout, exit.stderr, exit.left_behind) = (stdout, stderr, left_behind);
        exit.max_rss_bytes = report.max_rss_bytes;
        let log = match self.log_error {
            // The raw file stays, readable up to where the disk refused.
            Some(error) => {
                exit.log = Err(error);
                None
            }
            None => (!silent).then_some(self.log),
        };
        Over { exit, reply: self.reply, log }
    }

    /// The report of a step whose keeper died.
    pub(super) fn lost(&self) -> Report {
        let killed = if self.asked.is_some() { Killed::Asked } else { Killed::Not };
        Report { how: How::KeeperLost, killed, max_rss_bytes: 0, left_behind: Vec::new() }
    }
}

impl Over {
    /// Tells whoever waits; if nobody does any more, it is dropped with all it holds.
    pub(super) fn tell(self) {
        self.reply.send(self.exit).ok();
    }
}
