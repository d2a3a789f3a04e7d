//! Which run is cancelled when memory is nearly gone.

use std::collections::HashMap;

use staunch_store::RunId;
use tokio::sync::oneshot;

use super::{Dispatch, Held};
use crate::active::{Change, Stopping};
use crate::engine::Inner;
use crate::event::Command;
use crate::runner;

/// What the loop is asked: to cancel one run.
pub(crate) struct Shed {
    /// What the processes of each run hold, in bytes.
    pub(crate) held: HashMap<RunId, u64>,
    /// Runs that hold less stay.
    pub(crate) least: u64,
    /// Who asks: is told which run it was.
    pub(crate) reply: oneshot::Sender<Option<RunId>>,
}

/// A run that could be cancelled.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// The run.
    run: RunId,
    /// What it holds in this process and in its own, in bytes.
    bytes: u64,
    /// Its steps that run.
    steps: u64,
    /// How far it was told to stop already.
    stopping: Stopping,
}

impl Inner {
    /// Cancels the run that is most over its share and holds `least` bytes or more. Returns which; `None` if no such run goes on.
    pub(crate) async fn shed(&self, least: u64) -> Option<RunId> {
        let looked = self.tasks.blocking(runner::memory_by_run).await?;
        let (held, least) = looked.map(|held| (held, least)).unwrap_or_else(|error| {
            tracing::warn!(%error, "what runs hold cannot be seen; the one with the largest plan goes");
            (HashMap::new(), 0)
        });
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Shed(Shed { held, least, reply })).await.ok()?;
        answer.await.ok().flatten()
    }
}

impl Dispatch {
    pub(super) fn on_shed(&mut self, shed: Shed) {
        let chosen = choose(&self.candidates(&shed.held), shed.least);
        if let Some((Candidate { run, bytes, steps, .. }, force)) = chosen {
            tracing::error!(%run, bytes, steps, force, "memory is nearly gone: the run that holds the most for its steps is cancelled");
            self.inner.pressure.note_shed();
            self.change(run, Change::Shed { force });
        }
        // The asker may be gone; that is its business.
        let _ = shed.reply.send(chosen.map(|(candidate, _)| candidate.run));
    }

    /// The runs of which steps run.
    fn candidates(&self, held: &HashMap<RunId, u64>) -> Vec<Candidate> {
        let candidate = |(run, one): (&RunId, &Held)| {
            let Held::Active(active) = one else { return None };
            let steps = active.attempts.len() as u64;
            let bytes = held.get(run).copied().unwrap_or(0) + active.plan.bytes() as u64;
            (steps > 0).then_some(Candidate { run: *run, bytes, steps, stopping: active.stopping })
        };
        self.runs.iter().filter_map(candidate).collect()
    }
}

/// The one with the most bytes for each of its steps: no file declares what its run may hold yet, so that each step has the same share.
/// One that was told to stop and has not yet is killed, if there is no other.
/// Who holds less than `least` is not to blame.
fn choose(candidates: &[Candidate], least: u64) -> Option<(Candidate, bool)> {
    let candidates = || candidates.iter().copied().filter(|one| one.bytes >= least);
    let most = |some: &mut dyn Iterator<Item = Candidate>| {
        // Bytes a step, compared without dividing; between equals the newer run goes, which has lost less.
        some.max_by(|a, b| {
            let (left, right) = (u128::from(a.bytes) * u128::from(b.steps), u128::from(b.bytes) * u128::from(a.steps));
            left.cmp(&right).then(a.run.cmp(&b.run))
        })
    };
    let going = most(&mut candidates().filter(|one| one.stopping < Stopping::Cancelled));
    let stopping = || most(&mut candidates().filter(|one| one.stopping == Stopping::Cancelled));
    going.map(|one| (one, false)).or_else(|| stopping().map(|one| (one, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: u64, steps: u64, stopping: Stopping) -> Candidate {
        Candidate { run: RunId::generate(), bytes, steps, stopping }
    }

    #[test]
    fn the_most_for_its_steps_goes_first_and_then_what_does_not_stop() {
        let wide = run(800, 8, Stopping::No);
        let fat = run(300, 1, Stopping::TimedOut);
        let told = run(9_000, 1, Stopping::Cancelled);
        let forced = run(90_000, 1, Stopping::Forced);
        let chosen = |some: &[Candidate]| choose(some, 0).map(|(one, force)| (one.run, force));
        assert_eq!(chosen(&[wide, fat, told, forced]), Some((fat.run, false)));
        assert_eq!(chosen(&[wide, told, forced]), Some((wide.run, false)));
        assert_eq!(chosen(&[told, forced]), Some((told.run, true)));
        assert_eq!(chosen(&[forced]), None);
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn who_holds_too_little_to_help_stays() {
        let (small, large, told) =
            (run(99, 1, Stopping::No), run(400, 8, Stopping::No), run(100, 1, Stopping::Cancelled));
        let chosen = |some: &[Candidate]| choose(some, 100).map(|(one, force)| (one.run, force));
        // More for its one step than the other for each of eight, and still not enough.
        assert_eq!(chosen(&[small, large]), Some((large.run, false)));
        assert_eq!(chosen(&[small]), None);
        assert_eq!(chosen(&[small, told]), Some((told.run, true)), "at the bound");
    }

    #[test]
    fn between_equals_the_newer_goes() {
        let (old, new) = (run(10, 1, Stopping::No), run(20, 2, Stopping::No));
        let newer = old.run.max(new.run);
        assert_eq!(choose(&[old, new], 0).map(|(one, _)| one.run), Some(newer));
        assert_eq!(choose(&[new, old], 0).map(|(one, _)| one.run), Some(newer));
    }
}
