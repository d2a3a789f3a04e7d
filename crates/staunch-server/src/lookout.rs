//! The lookout: what the process holds, looked at each second, and whether that grows.
//!
//! A census a second costs microseconds and goes into rings of fixed size; what costs more is looked at less often. Once a minute each
//! resource is judged. Nobody else needs to ask: `/metrics`, the API and the pages tell what is remembered here.

mod config;
mod high_water;
mod profiles;
mod rare;
mod reading;
mod resources;
mod sampler;
mod tell;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use staunch_engine::{Limits, Tasks};
use staunch_leak::census::{Cgroup, GroupEvents};
use staunch_leak::watch::{Sample, State, Verdict, Watch};

pub use config::WatchConfig;
pub(crate) use profiles::Kept;
pub(crate) use rare::Rare;
pub(crate) use reading::Reading;
pub(crate) use sampler::watch;

use crate::allocator::Allocator;
use crate::app::App;
use crate::process::Process;
use profiles::Profiles;
use resources::{Followed, Read};

/// Looks at the process, and remembers.
#[derive(Debug)]
pub(crate) struct Lookout {
    config: WatchConfig,
    allocator: Allocator,
    began: Instant,
    boot_seconds: f64,
    group: Option<Cgroup>,
    /// What had happened to the cgroup before this life.
    group_before: GroupEvents,
    followed: Arc<[Followed]>,
    // Only the sampler's task takes this one, so that it may hold it over a judgement of milliseconds.
    rings: Arc<Mutex<Watch>>,
    // Held to copy a few numbers, never over an await.
    seen: Mutex<Seen>,
    /// Whether the process could not be read the last time.
    blind: AtomicBool,
    profiles: Profiles,
}

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The last look at what costs more.
    pub(crate) rare: Option<Rare>,
    /// A verdict a resource, in their order; empty before the first.
    pub(crate) verdicts: Vec<Verdict>,
    /// When they were made, since the lookout began.
    pub(crate) judged: Option<Duration>,
    /// What looking costs.
    pub(crate) cost: Cost,
    /// Live bytes at the last census.
    live_bytes: Option<u64>,
    quiescent: bool,
}

/// What looking costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Censuses taken.
    pub(crate) taken: u64,
    /// How long all of them took.
    pub(crate) total: Duration,
    /// How long the last one took.
    pub(crate) last: Duration,
    /// How long all judgements took.
    pub(crate) judging: Duration,
    /// Bytes of the rings: the same for ever.
    pub(crate) rings_bytes: u64,
}

impl Lookout {
    /// Takes the memory for all that will ever be remembered.
    pub(crate) fn new(config: WatchConfig, allocator: Allocator, limits: &Limits) -> Self {
        let boot_seconds = Process::boot().unwrap_or_default();
        let process = Process::read(boot_seconds).inspect_err(say_blind).ok();
        let can_say = (allocator.read)().is_some();
        let followed = resources::all(&config, limits, process.as_ref(), can_say);
        let rings = Watch::new(followed.iter().map(|followed| followed.resource).collect());
        let cost = Cost { rings_bytes: rings.memory_bytes() as u64, ..Cost::default() };
        let group = Cgroup::of_process(&config.root);
        Self {
            group_before: group.as_ref().and_then(Cgroup::memory).map(|memory| memory.events).unwrap_or_default(),
            group,
            profiles: Profiles::new(config.profiles.clone()),
            config,
            allocator,
            began: Instant::now(),
            boot_seconds,
            followed: followed.into(),
            rings: Arc::new(Mutex::new(rings)),
            seen: Mutex::new(Seen { cost, ..Seen::default() }),
            blind: AtomicBool::new(false),
        }
    }

    /// What the kernel says of the process. That it says nothing is written down once a spell.
    fn process(&self) -> Option<Process> {
        let read = Process::read(self.boot_seconds);
        // Relaxed: it guards nothing but a line in the log.
        let was_blind = self.blind.swap(read.is_err(), Ordering::Relaxed);
        if was_blind { read.ok() } else { read.inspect_err(say_blind).ok() }
    }

    /// What is held at this moment.
    pub(crate) fn reading(&self, app: &App) -> Reading {
        Reading::take(self, app)
    }

    /// What was seen last.
    pub(crate) fn seen(&self) -> Seen {
        self.seen_now().clone()
    }

    /// The memory that the process may use now, if anything bounds it.
    pub(crate) fn granted(&self) -> Option<u64> {
        self.config.granted.bytes()
    }

    /// The heap profiles that are kept.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        self.profiles.kept()
    }

    /// Each resource's verdict, and whether it counts against the process.
    pub(crate) fn judged<'a>(&'a self, seen: &'a Seen) -> impl Iterator<Item = (&'a Verdict, bool)> {
        seen.verdicts
            .iter()
            .zip(self.followed.iter())
            .map(|(verdict, followed)| (verdict, followed.counts(verdict.state)))
    }

    /// A census: takes it, and puts it into the rings.
    fn census(&self, app: &App) {
        let began = Instant::now();
        let reading = Reading::take(self, app);
        let (at, runs, quiescent) = (self.hurried(reading.at), reading.runs_ended(), reading.is_quiescent(0));
        let mut rings = lock(&self.rings);
        for (place, followed) in self.followed.iter().enumerate() {
            if let Read::Often(read) = followed.read
                && let Some(value) = read(&reading)
            {
                rings.sample(place, Sample { at, runs, quiescent, value });
            }
        }
        drop(rings);
        let took = began.elapsed();
        let mut seen = self.seen_now();
        seen.live_bytes = reading.live_bytes();
        seen.quiescent = quiescent;
        seen.cost.taken += 1;
        seen.cost.total += took;
        seen.cost.last = took;
    }

    /// Puts a look at what costs more into the rings.
    fn remember(&self, rare: Rare, runs: u64) {
        let at = self.hurried(rare.at);
        let quiescent = self.seen_now().quiescent;
        let mut rings = lock(&self.rings);
        for (place, followed) in self.followed.iter().enumerate() {
            if let Read::Rarely(read) = followed.read
                && let Some(value) = read(&rare)
            {
                rings.sample(place, Sample { at, runs, quiescent, value });
            }
        }
        drop(rings);
        self.seen_now().rare = Some(rare);
    }

    /// Judges each resource, on a thread that may block, and says in the log what has changed.
    async fn judge(&self, tasks: &Tasks) {
        let (rings, followed, granted) = (Arc::clone(&self.rings), Arc::clone(&self.followed), self.granted());
        let judged = tasks.blocking(move || {
            let began = Instant::now();
            let mut rings = lock(&rings);
            // What is granted may have changed.
            for (place, _) in followed.iter().enumerate().filter(|(_, followed)| followed.of_memory) {
                rings.set_limit(place, granted);
            }
            (rings.verdicts(), began.elapsed())
        });
        let Some((verdicts, took)) = judged.await else { return };
        let mut seen = self.seen_now();
        seen.cost.judging += took;
        seen.judged = Some(self.began.elapsed());
        let before = std::mem::replace(&mut seen.verdicts, verdicts.clone());
        drop(seen);
        for (place, (verdict, followed)) in verdicts.iter().zip(self.followed.iter()).enumerate() {
            let was = before.get(place).map_or(State::Insufficient, |verdict| verdict.state);
            if followed.counts {
                report(was, verdict);
            }
        }
    }

    /// The time as the rings are to believe it.
    fn hurried(&self, at: Duration) -> Duration {
        at * self.config.hurry
    }

    fn seen_now(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

/// Says what has changed, once: a resource that grows for a week is one line when it begins and one when it ends.
fn report(was: State, verdict: &Verdict) {
    let (grew, grows) = (was >= State::Growing, verdict.state >= State::Growing);
    match (grew, grows) {
        (_, true) if was != verdict.state => tracing::warn!(resource = verdict.name, "{verdict}"),
        (true, false) => tracing::info!(resource = verdict.name, "{verdict}"),
        _ => {}
    }
}

/// A poisoned lock is as good as any: each step leaves what is behind it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say_blind(error: &io::Error) {
    tracing::warn!("what the process holds cannot be read: {error}");
}

#[cfg(test)]
mod tests;
