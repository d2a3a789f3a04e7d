//! The one loop: whatever happens to a run happens here, one thing at a time.
//!
//! An attempt's life: claimed (recorded as started) → it runs → it ended → a [`Change`] of its run → a commit, guarded by the
//! run's version and the claim's epoch → recorded → what follows from it starts, and those who watch are woken. Written, then
//! done, then told: nothing starts that depends on something that is not on disk.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use staunch_bounded::fault_point;
use staunch_flow::Outcome;
use staunch_store::{ClaimRequest, Claimed, Claims, Incarnation, Renewal, RunId, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::active::{Active, Change, Stopping};
use crate::deadlines::Deadlines;
use crate::engine::{CancelError, Inner};
use crate::event::{Command, Event};
use crate::fault;
use crate::load::{Loaded, new_plan};

mod attempts;
mod commits;
mod plans;
mod shed;

pub(crate) use shed::Shed;

/// Attempts to be killed that one claim takes besides its slots.
const KILLS_PER_CLAIM: u32 = 64;

/// When the store fails, it is asked again after this long.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// The loop turns this often even if every slot is taken and nothing happens: so people can see that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// Ends of a run with many steps at once gather for so long before they are committed: each commit costs several pages and a sync.
const GATHER: Duration = Duration::from_millis(1);

/// Due attempts are asked for this often even if nobody said that there are any: a hint can get lost.
const POLL: Duration = Duration::from_secs(1);

type Pending = Pin<Box<dyn Future<Output = Event> + Send>>;

/// A run that the loop has something to do with.
enum Held {
    /// Its plan is being rebuilt; this waits for it.
    Loading { claims: Vec<Claimed>, changes: Vec<Change> },
    /// Its plan is here.
    Active(Box<Active>),
}

/// The loop's own state; nobody else sees it.
pub(crate) struct Dispatch {
    inner: Arc<Inner>,
    worker: Incarnation,
    runs: HashMap<RunId, Held>,
    /// Rebuilt plans for which the budget has no room until another run is let go.
    starved: VecDeque<Box<Loaded>>,
    pending: FuturesUnordered<Pending>,
    deadlines: Deadlines,
    /// Attempts under way.
    in_hand: u32,
    /// Slots set aside for claims that are under way.
    reserved: u32,
    /// Whether a claim is under way.
    claiming: bool,
    /// Whether attempts may be due.
    hungry: bool,
    /// Whether attempts may be waiting to be killed, which needs no slot.
    kills_due: bool,
    /// When the next attempt is due, or the poll.
    next_claim: Instant,
    next_renewal: Instant,
    /// No claims any more; what runs may end.
    draining: bool,
    /// What was stopped now is not recorded: it goes back to the queue.
    abandoning: bool,
}

impl Dispatch {
    pub(crate) fn new(inner: Arc<Inner>, worker: Incarnation) -> Self {
        let now = Instant::now();
        Self {
            next_renewal: now + inner.lease / 6,
            inner,
            worker,
            runs: HashMap::new(),
            starved: VecDeque::new(),
            pending: FuturesUnordered::new(),
            deadlines: Deadlines::default(),
            in_hand: 0,
            reserved: 0,
            claiming: false,
            hungry: true,
            kills_due: false,
            next_claim: now,
            draining: false,
            abandoning: false,
        }
    }

    /// A run with a time limit that an earlier life left behind.
    pub(crate) fn set_deadline(&mut self, run: RunId, at: Instant) {
        self.deadlines.set(run, at);
    }

    /// Turns until the token ends and nothing is in hand any more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, token: CancellationToken) {
        let drain = self.inner.limits.drain();
        let mut give_up = None;
        loop {
            self.feed_starved();
            self.claim_if_hungry();
            self.inner.turned(self.in_hand, self.runs.len());
            if self.draining && self.in_hand == 0 && self.pending.is_empty() {
                break;
            }
            let wake = self.next_wake(give_up);
            tokio::select! {
                Some(event) = self.pending.next(), if !self.pending.is_empty() => self.on_event(event),
                Some(command) = commands.recv() => self.on_command(command),
                () = self.inner.hint.notified() => self.hungry = true,
                () = tokio::time::sleep_until(wake) => self.on_time(Instant::now()),
                () = token.cancelled(), if !self.draining => {
                    self.draining = true;
                    give_up = Some(Instant::now() + drain);
                }
            }
            if give_up.is_some_and(|at| at <= Instant::now()) && !self.abandoning {
                self.abandon();
            }
        }
        commands.close();
        while let Some(command) = commands.recv().await {
            // Who asks for a run to be shed hears nothing, and knows that nobody is there to do it.
            if let Command::Cancel { reply, .. } = command {
                drop(reply.send(Err(CancelError::Stopping)));
            }
        }
    }

    fn next_wake(&self, give_up: Option<Instant>) -> Instant {
        let deadline = self.deadlines.next();
        let claim = (!self.draining && !self.claiming && self.free() > 0).then_some(self.next_claim);
        // After it gave up there is nothing to wait for at that time.
        let give_up = give_up.filter(|_| !self.abandoning);
        let beat = self.next_renewal.min(Instant::now() + BEAT);
        [deadline, claim, give_up].into_iter().flatten().fold(beat, Instant::min)
    }

    fn free(&self) -> u32 {
        let most = self.inner.pressure.steps(self.inner.limits.steps_active_max);
        most.saturating_sub(self.in_hand + self.reserved)
    }

    fn on_time(&mut self, now: Instant) {
        if self.next_claim <= now {
            self.hungry = true;
        }
        if self.next_renewal <= now {
            self.next_renewal = now + self.inner.lease / 6;
            let (inner, worker) = (Arc::clone(&self.inner), self.worker);
            self.set_going(async move {
                let renewed = fault::before(fault_point!("engine.renew"), inner.store.renew(worker, inner.lease)).await;
                Event::Renewed(renewed)
            });
        }
        while let Some(run) = self.deadlines.pop(now) {
            self.change(run, Change::Deadline);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Cancel { run, force, reply } => self.change(run, Change::Cancel { force, reply }),
            Command::Shed(shed) => self.on_shed(shed),
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Claimed { reserved, claims } => self.on_claimed(reserved, claims),
            Event::Loaded { run, loaded } => self.on_loaded(run, loaded),
            Event::Committed { commit, reserved, answer } => self.on_committed(commit, reserved, answer),
            Event::Gathered { run } => {
                if let Some(Held::Active(active)) = self.runs.get_mut(&run) {
                    active.gathering = false;
                }
                self.flush(run);
            }
            Event::Attempted { run, place, done } => self.on_attempted(run, place, done),
            Event::Renewed(renewal) => self.on_renewed(renewal),
            Event::Joined(Ok(())) => self.hungry = true,
            Event::Joined(Err(error)) => {
                tracing::error!(%error, "could not join the store again");
                self.join_again(STORE_RETRY);
            }
        }
    }

    fn set_going(&self, future: impl Future<Output = Event> + Send + 'static) {
        self.pending.push(Box::pin(future));
    }

    fn claim_if_hungry(&mut self) {
        let slots = self.free();
        let wanted = self.kills_due || self.hungry && slots > 0;
        if !wanted || self.claiming || self.draining {
            return;
        }
        self.hungry = false;
        self.kills_due = false;
        self.claiming = true;
        self.reserved += slots;
        let request = ClaimRequest { worker: self.worker, slots, kills_max: KILLS_PER_CLAIM };
        let (inner, all) = (Arc::clone(&self.inner), self.inner.pressure.lets_begin());
        self.set_going(async move {
            let store = &inner.store;
            let claim = async { if all { store.claim(request).await } else { store.claim_begun(request).await } };
            let claims = fault::before(fault_point!("engine.claim"), claim).await;
            let claims = fault::after(claims, || fault_point!("engine.claim_answer"));
            Event::Claimed { reserved: slots, claims }
        });
    }

    fn on_claimed(&mut self, reserved: u32, claims: Result<Claims, StoreError>) {
        self.claiming = false;
        self.reserved -= reserved;
        let Claims { claimed, next_due, more } = match claims {
            Ok(claims) => claims,
            Err(error) => {
                self.inner.store_failed(&error);
                self.next_claim = Instant::now() + STORE_RETRY;
                if matches!(error, StoreError::Unknown(_)) && !self.draining {
                    // Attempts may be ours by now that nobody told us of.
                    self.start_over();
                }
                return;
            }
        };
        self.next_claim = Instant::now() + next_due.unwrap_or(POLL).min(POLL);
        // With no slot free, an ended attempt will make it hungry again.
        self.hungry |= more && self.free() > claimed.len() as u32;
        for claim in claimed {
            self.inner.feed.wake(claim.key.run);
            self.take(claim);
        }
    }

    /// Takes a claimed attempt in hand.
    fn take(&mut self, claimed: Claimed) {
        let run = claimed.key.run;
        match self.runs.get_mut(&run) {
            Some(Held::Active(_)) => self.start(claimed),
            Some(Held::Loading { claims, .. }) => claims.push(claimed),
            None => match self.inner.catalog.revision(claimed.run.revision) {
                Some(workflow) if claimed.fresh => {
                    let mut plan = new_plan(workflow, &claimed.run);
                    plan.begin();
                    let loaded = Loaded {
                        head: Arc::clone(&claimed.run),
                        plan,
                        version: claimed.version,
                        started_at: None,
                        outcome: None,
                        stopping: Stopping::No,
                        ours: [(claimed.key.step, claimed.key.attempt)].into(),
                    };
                    self.runs.insert(run, Held::Loading { claims: vec![claimed], changes: Vec::new() });
                    self.on_loaded(run, Ok(Box::new(loaded)));
                }
                _ => {
                    self.runs.insert(run, Held::Loading { claims: vec![claimed], changes: Vec::new() });
                    self.load(run, Duration::ZERO);
                }
            },
        }
    }

    fn on_renewed(&mut self, renewal: Result<Renewal, StoreError>) {
        match renewal {
            Ok(Renewal::Held { kill }) => {
                for (key, because) in kill {
                    if let Some(Held::Active(active)) = self.runs.get(&key.run)
                        && let Some(hand) = active.attempts.get(&(key.step, key.attempt))
                    {
                        hand.stop.send_replace(Some((because, false)));
                    }
                }
            }
            Ok(Renewal::Lost) => {
                tracing::error!("the store declared this worker dead: its steps are killed, and it joins again");
                self.start_over();
            }
            Err(error) => {
                self.inner.store_failed(&error);
                self.next_renewal = Instant::now() + STORE_RETRY;
            }
        }
    }

    /// What the store says of our claims and what we hold is not the same: all is given up, and this worker joins under a new name,
    /// which frees what it held under the old one.
    fn start_over(&mut self) {
        for held in self.runs.values() {
            stop_all(held);
        }
        self.runs.clear();
        self.starved.clear();
        self.worker = Incarnation::generate();
        self.inner.set_worker(self.worker);
        self.join_again(Duration::ZERO);
    }

    fn join_again(&self, after: Duration) {
        let (inner, worker) = (Arc::clone(&self.inner), self.worker);
        self.set_going(async move {
            tokio::time::sleep(after).await;
            let joined = fault::before(fault_point!("engine.join_again"), inner.store.join(worker, inner.lease)).await;
            Event::Joined(joined.map(drop))
        });
    }

    /// The time to drain is over: what still runs is stopped and goes back to the queue without a loss.
    fn abandon(&mut self) {
        self.abandoning = true;
        for held in self.runs.values() {
            stop_all(held);
        }
    }
}

fn stop_all(held: &Held) {
    if let Held::Active(active) = held {
        for hand in active.attempts.values() {
            hand.stop.send_replace(Some((Outcome::Interrupted, false)));
        }
    }
}
