//! Where all keepers and all pipes come together.

mod close;
mod place;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use staunch_bounded::fault_point;
use staunch_flow::Outcome;

use self::close::Closing;
use super::config::RunnerConfig;
use super::exit::{Exit, How};
use super::inbox::{Inbox, Kill, Waiting};
use super::live::Live;
use super::orphans::Sweep;
use super::sealer::Sealer;
use super::staff::{Heard, Keeper, State};
use super::wire::{Report, SPAN_MAX};

/// What is read from a pipe at once, into the one buffer for all.
const BUFFER_BYTES: usize = 64 << 10;
/// A keeper that has not done what it was told so long after it should have is killed and replaced.
const HUNG: Duration = Duration::from_secs(15);
/// A keeper that was told to go has this long to end.
const LEAVE_MAX: Duration = Duration::from_secs(2);
/// A keeper that was started so long ago is its own program by now.
const HIRING_MAX: Duration = Duration::from_secs(5);
/// How long this thread waits for a pipe that a keeper being started may hold: some milliseconds on a busy machine.
const HELD_PATIENCE: Duration = Duration::from_millis(100);
/// Events taken in one turn.
const EVENTS_MAX: usize = 64;
/// The token of the inbox; keepers' tokens are made by [`token`].
const INBOX: u64 = u64::MAX;

/// Keepers, steps and pipes. It belongs to the runner's thread, which lets go of it only to sleep: then a caller may start a step.
pub(super) struct Floor {
    config: RunnerConfig,
    inbox: Arc<Inbox>,
    epoll: Arc<OwnedFd>,
    keepers: Vec<Option<Keeper>>,
    waiting: VecDeque<Waiting>,
    /// Steps that run or whose log is being sealed: at most `steps_max`.
    active: usize,
    /// Steps whose keeper died, until all of their processes are gone too.
    lost: Vec<Live>,
    /// When the newest keeper was started.
    hired: Option<Instant>,
    sweep: Option<Sweep>,
    sealer: Option<Sealer>,
    closing: Option<Closing>,
    /// When the thread wakes by itself.
    alarm: Option<Instant>,
    generation: u32,
    buffer: Vec<u8>,
    packet: Vec<u8>,
}

/// Names a file descriptor of the keeper at a place: its socket (0), its step's standard output (1), standard error (2).
fn token(place: usize, generation: u32, which: u64) -> u64 {
    (place as u64) << 34 | u64::from(generation) << 2 | which
}

impl Floor {
    /// Empty.
    ///
    /// # Errors
    /// A file descriptor or a thread cannot be had.
    pub(super) fn new(config: RunnerConfig, inbox: Arc<Inbox>) -> io::Result<Self> {
        fault_point!("runner.epoll")?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, inbox.wake(), EventData::new_u64(INBOX), EventFlags::IN)?;
        let sealer = Sealer::start(config.steps_max.max(1), Arc::clone(&inbox))?;
        Ok(Self {
            config,
            inbox,
            epoll: Arc::new(epoll),
            keepers: Vec::new(),
            waiting: VecDeque::new(),
            active: 0,
            lost: Vec::new(),
            hired: None,
            sweep: None,
            sealer: Some(sealer),
            closing: None,
            alarm: None,
            generation: 0,
            buffer: vec![0; BUFFER_BYTES],
            packet: Vec::new(),
        })
    }

    /// The runner's thread: works until it is told to close and all is over. Returns how many children are left.
    pub(super) fn work(shared: &Mutex<Self>) -> usize {
        let done = catch_unwind(AssertUnwindSafe(|| Self::turns(shared)));
        done.unwrap_or_else(|_| {
            tracing::error!("the runner's thread panicked, which is a bug: no step can run any more");
            let mut floor = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let left = floor.abandon();
            (floor.config.on_panic)();
            left
        })
    }

    fn turns(shared: &Mutex<Self>) -> usize {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut floor = lock();
        let epoll = Arc::clone(&floor.epoll);
        while !floor.is_done() {
            floor.alarm = floor.next_deadline();
            let timeout = floor.alarm.map(timespec);
            drop(floor);
            events.clear();
            // Interrupted or out of memory: the deadlines still count.
            epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()).ok();
            floor = lock();
            for event in &events {
                floor.turn(event.data.u64());
            }
            floor.tick(Instant::now());
            floor.admit();
            floor.note();
        }
        floor.end()
    }

    fn turn(&mut self, token: u64) {
        if token == INBOX {
            self.open_inbox();
            return;
        }
        let (place, generation, which) = ((token >> 34) as usize, (token >> 2) as u32, token & 3);
        // The event may be about one that was dismissed in this same turn.
        let Some(keeper) = self.keepers.get_mut(place).and_then(Option::as_mut) else { return };
        if keeper.generation != generation {
            return;
        }
        if which > 0 {
            if let State::Busy(live) = &mut keeper.state {
                live.pump(which as usize - 1, &mut self.buffer, &self.config);
            }
            return;
        }
        match keeper.hear(&mut self.buffer) {
            Heard::Report(report) => self.finish(place, report),
            Heard::Nothing => {}
            Heard::Lost => self.dismiss(place),
        }
    }

    fn open_inbox(&mut self) {
        let posted = self.inbox.take();
        self.active -= posted.sealed;
        self.waiting.extend(posted.starts);
        for kill in posted.kills {
            self.kill(&kill);
        }
        if let Some(bound) = posted.close {
            self.begin_close(bound);
        }
    }

    fn kill(&mut self, kill: &Kill) {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.id == kill.id) {
            if let Some(waiting) = self.waiting.remove(at) {
                let message = "it was killed before it started".into();
                let how = How::NotStarted { message, errno: libc::ECANCELED, transient: false };
                waiting.reply.send(Exit::nothing(how, Some(kill.because))).ok();
            }
            return;
        }
        let grace = if kill.force { Duration::ZERO } else { self.config.grace };
        for keeper in self.keepers.iter_mut().flatten() {
            if let State::Busy(live) = &mut keeper.state
                && live.id == kill.id
            {
                live.asked.get_or_insert(kill.because);
                let overdue = Instant::now() + grace.saturating_add(HUNG).min(SPAN_MAX);
                live.overdue = Some(live.overdue.map_or(overdue, |earlier| earlier.min(overdue)));
                let told = keeper.kill_step(kill.force);
                if let State::Busy(live) = &mut keeper.state
                    && let Err(error) = told
                {
                    // It does not hear us: it goes at once, and its step with it.
                    tracing::warn!(%error, "a keeper could not be told to kill its step: it is killed itself");
                    live.overdue = Some(Instant::now());
                }
                return;
            }
        }
    }

    /// A step is over.
    fn finish(&mut self, place: usize, report: Report) {
        let Some(keeper) = &mut self.keepers[place] else { return };
        let State::Busy(live) = std::mem::replace(&mut keeper.state, State::Idle(Instant::now())) else {
            return;
        };
        self.settle(*live, report);
    }

    fn settle(&mut self, live: Live, report: Report) {
        let hiring = self.hired.is_some_and(|at| at.elapsed() < HIRING_MAX);
        let patience = if hiring { HELD_PATIENCE } else { Duration::ZERO };
        let over = live.finish(report, patience, &mut self.buffer, &self.config);
        if !over.exit.left_behind.is_empty() {
            self.inbox.stats().left_behind_total += 1;
        }
        let here = match &self.sealer {
            Some(sealer) if over.slow => sealer.seal(over),
            _ => Some(over),
        };
        if let Some(over) = here {
            // If the sealer is gone we do its work: better a pause than a lost log.
            self.active -= 1;
            over.seal();
        }
    }

    /// A keeper is gone, or has to go: what it leaves behind becomes our child and is swept.
    fn dismiss(&mut self, place: usize) {
        let Some(keeper) = self.keepers[place].take() else { return };
        let told = matches!(keeper.state, State::Leaving(_));
        if let Some(live) = keeper.dismiss() {
            self.inbox.stats().keepers_lost_total += 1;
            self.lost.push(live);
        }
        if !told {
            self.sweep.get_or_insert_with(|| Sweep::new(Instant::now()));
        }
    }

    fn tick(&mut self, now: Instant) {
        for place in 0..self.keepers.len() {
            let Some(keeper) = &mut self.keepers[place] else { continue };
            match &mut keeper.state {
                State::Idle(since)
                    if self.closing.is_some() || now >= *since + self.config.keeper_idle.min(SPAN_MAX) =>
                {
                    keeper.leave(now + LEAVE_MAX);
                }
                State::Busy(live) if live.overdue.is_some_and(|at| now >= at) => {
                    live.asked.get_or_insert(Outcome::TimedOut);
                    self.dismiss(place);
                }
                State::Busy(live) if live.flush_due().is_some_and(|at| now >= at) => live.flush(&self.config),
                State::Leaving(hung) if now >= *hung => self.dismiss(place),
                // Whoever ordered panicked before the step was entered here.
                State::Ordered => self.dismiss(place),
                _ => {}
            }
        }
        if let Some(sweep) = &mut self.sweep
            && now >= sweep.due()
        {
            let clean = sweep.go(now);
            if clean || sweep.is_stubborn(now) {
                for live in std::mem::take(&mut self.lost) {
                    let mut report = live.lost();
                    if !clean {
                        report.left_behind.push("processes that cannot be killed".into());
                    }
                    self.settle(live, report);
                }
            }
            if clean {
                self.sweep = None;
            }
        }
        if let Some(closing) = &mut self.closing
            && closing.force.take_if(|force| now >= *force).is_some()
        {
            self.kill_live(true);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let keeper = |keeper: &Keeper| match &keeper.state {
            State::Idle(since) => Some(*since + self.config.keeper_idle.min(SPAN_MAX)),
            State::Busy(live) => live.overdue.into_iter().chain(live.flush_due()).min(),
            State::Leaving(hung) => Some(*hung),
            State::Ordered => Some(Instant::now()),
        };
        let keepers = self.keepers.iter().flatten().filter_map(keeper).min();
        let sweep = self.sweep.as_ref().map(Sweep::due);
        let closing = self.closing.map(|closing| closing.force.unwrap_or(closing.end + LEAVE_MAX));
        [keepers, sweep, closing].into_iter().flatten().min()
    }

    fn note(&self) {
        let mut stats = self.inbox.stats();
        stats.keepers = self.keepers.iter().flatten().count() as u64;
        stats.steps_active = self.active as u64;
        stats.steps_waiting = self.waiting.len() as u64;
    }
}

fn timespec(until: Instant) -> rustix::event::Timespec {
    let left = until.saturating_duration_since(Instant::now()).min(Duration::from_secs(86_400));
    // Rounded up to the millisecond that epoll counts in, so that it does not wake too early and spin.
    rustix::event::Timespec { tv_sec: left.as_secs().try_into().unwrap_or(86_400), tv_nsec: left.subsec_nanos().into() }
}
