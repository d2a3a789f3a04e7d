//! The task that measures and acts.

use std::time::Duration;

use staunch_engine::{Engine, Level};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::alarm::Alarm;
use super::gauge::Ceiling;

/// How often it measures. A measure takes some tens of microseconds.
const TICK: Duration = Duration::from_millis(250);
/// While memory is scarce, what can be given back is given back this often.
const TRIM: Duration = Duration::from_secs(10);
/// A run that is cancelled has so long to give back what it held, before the next one goes.
const SHED: Duration = Duration::from_secs(5);
/// And goes only if it holds one of so many parts of what there is. Where somebody else in the cgroup, or this process itself, is who
/// holds it, the end of a small run would help nobody.
const SHED_SHARE: u64 = 100;

/// Measures until the stop, and acts.
pub(crate) async fn watch(engine: Engine, ceiling: Ceiling, stop: CancellationToken) {
    let mut alarm = Alarm::of_process();
    let mut sampler = Sampler { engine, ceiling, level: Level::Calm, alarmed: None, trimmed: None, shed: None };
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if alarm.raised() {
            sampler.alarmed = Some(Instant::now());
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sampler.sample() => {}
        }
    }
}

struct Sampler {
    engine: Engine,
    ceiling: Ceiling,
    level: Level,
    /// When the system last said that memory is scarce, of which our own part may know nothing.
    alarmed: Option<Instant>,
    trimmed: Option<Instant>,
    shed: Option<Instant>,
}

impl Sampler {
    /// Measures once.
    async fn sample(&mut self) {
        // What cannot be measured now stays as it was.
        let part = (self.ceiling.part)();
        let mut level = part.map_or(self.level, |part| self.level.next(part));
        if self.alarmed.is_some_and(|at| at.elapsed() < TRIM) {
            level = level.max(Level::Trim);
        }
        if level != self.level {
            let (from, to, part) = (self.level.word(), level.word(), part.unwrap_or_default());
            tracing::warn!(from, to, part, "memory pressure");
            self.level = level;
            self.engine.press(level);
        }
        if level >= Level::Trim && due(&mut self.trimmed, TRIM) {
            self.purge().await;
        }
        if level >= Level::Shed && due(&mut self.shed, SHED) {
            let least = self.ceiling.granted.bytes().unwrap_or(0) / SHED_SHARE;
            if self.engine.shed(least).await.is_none() {
                tracing::warn!(least, "memory is nearly gone, and no run holds as much of it as would help");
            }
        }
    }

    async fn purge(&self) {
        if let Some(purge) = self.ceiling.purge
            && self.engine.tasks().blocking(purge).await == Some(false)
        {
            tracing::warn!("the allocator does not give memory back");
        }
    }
}

/// Whether it is time again; notes that it was done.
fn due(last: &mut Option<Instant>, every: Duration) -> bool {
    let now = Instant::now();
    let due = last.is_none_or(|last| now.duration_since(last) >= every);
    if due {
        *last = Some(now);
    }
    due
}
