//! Gives steps to keepers.

use std::io;
use std::os::fd::AsFd as _;
use std::time::Instant;

use rustix::event::epoll::{self, EventData, EventFlags};
use staunch_bounded::fault_point;
use staunch_flow::Outcome;

use super::{Floor, HUNG, token};
use crate::runner::exit::{Exit, How};
use crate::runner::inbox::Waiting;
use crate::runner::live::{Live, Pipe};
use crate::runner::running;
use crate::runner::staff::{Keeper, State};
use crate::runner::wire::{self, SPAN_MAX};

/// An order that a keeper has.
struct Placed {
    /// The keeper's.
    place: usize,
    /// Just before it was told.
    started: Instant,
    /// What the step writes into.
    pipes: [Pipe; 2],
}

impl Floor {
    /// Starts a step on the caller's thread, if a keeper is free for it: that spares the way through the runner's thread. Returns it
    /// if not.
    pub(in crate::runner) fn begin_here(&mut self, waiting: Waiting) -> Option<Waiting> {
        let free = self.active < self.steps_max() && self.idle().is_some();
        if !free || self.closing.is_some() || !self.waiting.is_empty() || self.inbox.has_starts() {
            return Some(waiting);
        }
        self.begin(waiting);
        self.note();
        // The thread may sleep for longer than this step lets it.
        if let Some(deadline) = self.next_deadline()
            && self.alarm.is_none_or(|alarm| deadline < alarm)
        {
            self.inbox.post(|_| ());
        }
        None
    }

    fn steps_max(&self) -> usize {
        self.config.steps_max.max(1)
    }

    /// Starts what may start.
    pub(super) fn admit(&mut self) {
        if self.closing.is_some() {
            for waiting in self.waiting.drain(..) {
                waiting.reply.send(Exit::nothing(running::stopping(), Some(Outcome::Interrupted))).ok();
            }
        }
        while self.active < self.steps_max()
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.begin(waiting);
        }
    }

    fn begin(&mut self, waiting: Waiting) {
        let Waiting { id, start, reply } = waiting;
        let (grace, settle) = (self.config.grace, self.config.settle);
        let placed = wire::encode_order(&start, grace, settle, &mut self.packet).and_then(|()| self.place());
        let Placed { place, started, pipes } = match placed {
            Ok(placed) => placed,
            Err(how) => {
                reply.send(Exit::nothing(how, None)).ok();
                return;
            }
        };
        let mut live = Live::new(id, start.key, started, start.log, reply, pipes, &self.config);
        live.overdue = start.timeout.map(|timeout| {
            let span = timeout.saturating_add(grace).saturating_add(settle).saturating_add(HUNG);
            Instant::now() + span.min(SPAN_MAX)
        });
        if let Some(keeper) = &mut self.keepers[place] {
            keeper.state = State::Busy(Box::new(live));
        }
        self.active += 1;
        self.inbox.stats().steps_started_total += 1;
    }

    /// Gives the order in `packet` to a keeper.
    fn place(&mut self) -> Result<Placed, How> {
        let without = |what: &str, error: io::Error| How::without(what, &error);
        let pipe = || Pipe::new().map_err(|error| without("no pipe for the step's output", error));
        let (out, err) = (pipe()?, pipe()?);
        loop {
            let (place, fresh) = match self.idle() {
                Some(place) => (place, false),
                None => (self.hire().map_err(|error| without("no keeper for the step can be started", error))?, true),
            };
            let Some(keeper) = &mut self.keepers[place] else { continue };
            let generation = keeper.generation;
            keeper.state = State::Ordered;
            let started = Instant::now();
            match keeper.order(&self.packet, [out.write.as_fd(), err.write.as_fd()]) {
                Ok(()) => {}
                // It was killed while it had nothing to do, and we have not heard yet: another then.
                Err(error) if !fresh && matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => {
                    self.dismiss(place);
                    continue;
                }
                Err(error) => {
                    let how = without("the step's keeper cannot be told", error);
                    self.dismiss(place);
                    return Err(how);
                }
            }
            for (pipe, which) in [(&out.read, 1), (&err.read, 2)] {
                let data = EventData::new_u64(token(place, generation, which));
                let point = fault_point!("runner.watch").map_err(io::Error::from);
                let watched = point.and_then(|()| Ok(epoll::add(&self.epoll, pipe, data, EventFlags::IN)?));
                if let Err(error) = watched {
                    // It may run already: with its keeper gone the sweep gets it.
                    let how = without("the step's output cannot be watched", error);
                    self.dismiss(place);
                    return Err(how);
                }
            }
            return Ok(Placed { place, started, pipes: [out, err] });
        }
    }

    /// The keeper that was idle for the shortest time, so that the others may retire.
    fn idle(&self) -> Option<usize> {
        let since = |keeper: &Keeper| match keeper.state {
            State::Idle(since) => Some(since),
            State::Busy(_) | State::Ordered | State::Leaving(_) => None,
        };
        let idle = self.keepers.iter().enumerate().filter_map(|(at, keeper)| Some((since(keeper.as_ref()?)?, at)));
        idle.max().map(|(_, at)| at)
    }

    fn hire(&mut self) -> io::Result<usize> {
        self.generation = self.generation.wrapping_add(1);
        self.hired = Some(Instant::now());
        let keeper = Keeper::hire(&self.config.keeper, self.generation)?;
        let place = self.keepers.iter().position(Option::is_none).unwrap_or_else(|| {
            self.keepers.push(None);
            self.keepers.len() - 1
        });
        let data = EventData::new_u64(token(place, self.generation, 0));
        let point = fault_point!("runner.watch_keeper").map_err(io::Error::from);
        let watched = point.and_then(|()| Ok(epoll::add(&self.epoll, keeper.socket(), data, EventFlags::IN)?));
        if let Err(error) = watched {
            keeper.dismiss();
            return Err(error);
        }
        self.keepers[place] = Some(keeper);
        Ok(place)
    }
}
