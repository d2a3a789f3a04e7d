//! A store in forty lines of memory, and random traces on which a real one must agree with it.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use staunch_flow::{Outcome, RunOutcome, StepIndex};
use staunch_store::{
    AttemptKey, ClaimRequest, Claimed, Committed, Incarnation, NewAttempt, NewEvent, Renewal, Retention, RunId,
    RunState,
};

use super::subject::{LIMITS, Make, Subject, TTL, block_on, end_of, new_run, plan_ended, step_forward};

/// Workers that come and go.
const WORKERS: usize = 3;

/// One call. Numbers pick among what is there, by remainder.
#[derive(Clone, Debug)]
enum Call {
    Submit { delays: Vec<u16> },
    Join(usize),
    Renew(usize),
    Leave(usize),
    Reap,
    Claim { worker: usize, slots: u32, kills: u32 },
    Finish { pick: usize, next: Vec<u16>, along: bool, wrong_epoch: bool, wrong_version: bool, ends: bool },
    Kill { pick: usize },
    Advance(u16),
    Sweep { age_ms: u16, max: u32 },
}

/// What the model knows of a run.
#[derive(Debug)]
struct Run {
    id: RunId,
    version: u64,
    journal: usize,
    names: Vec<&'static str>,
    state: RunState,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    over: BTreeMap<(u32, u32), (u32, u32, Outcome)>,
    next_step: u32,
    swept: bool,
}

/// An attempt in flight.
#[derive(Clone, Debug)]
struct Ready {
    n: u64,
    run: usize,
    step: u32,
    due_at: i64,
    worker: Option<usize>,
    epoch: u32,
    losses: u32,
    kill: Option<Outcome>,
}

/// The whole store.
#[derive(Debug, Default)]
struct Model {
    now: i64,
    counter: u64,
    leases: BTreeMap<usize, i64>,
    runs: Vec<Run>,
    ready: Vec<Ready>,
    stale: u64,
}

/// What a claim says that a model can know: step, epoch, losses, kill, version, freshness.
type Said = (RunId, u32, u32, u32, Option<Outcome>, u64, bool);

fn said(claimed: &Claimed) -> Said {
    let Claimed { key, epoch, losses, kill, version, fresh, .. } = claimed;
    (key.run, key.step.0, *epoch, *losses, *kill, *version, *fresh)
}

impl Model {
    fn alive(&self, worker: usize) -> bool {
        self.leases.get(&worker).is_some_and(|until| *until > self.now)
    }

    fn make_ready(&mut self, run: usize, delay_ms: u16) -> u32 {
        let step = self.runs[run].next_step;
        self.runs[run].next_step += 1;
        self.counter += 1;
        let due_at = self.now + i64::from(delay_ms);
        let (n, worker, kill) = (self.counter, None, None);
        self.ready.push(Ready { n, run, step, due_at, worker, epoch: 0, losses: 0, kill });
        step
    }

    fn submit(&mut self, id: RunId, delays: &[u16]) {
        self.runs.push(Run {
            id,
            version: 1,
            journal: 0,
            names: vec![],
            state: RunState::Queued,
            started_at: None,
            ended_at: None,
            over: BTreeMap::new(),
            next_step: 0,
            swept: false,
        });
        for delay in delays {
            self.make_ready(self.runs.len() - 1, *delay);
        }
    }

    fn bury(&mut self, worker: usize) -> u32 {
        self.leases.remove(&worker);
        let mut freed = 0;
        for row in self.ready.iter_mut().filter(|row| row.worker == Some(worker)) {
            row.worker = None;
            row.losses += 1;
            let wait = if row.losses == 1 || row.kill.is_some() { 0 } else { 1_000 << (row.losses - 1).min(15) };
            row.due_at = self.now + wait.min(30_000);
            freed += 1;
        }
        freed
    }

    /// Hands out the attempt at this place.
    fn take(&mut self, place: usize, worker: usize) -> Said {
        let row = &mut self.ready[place];
        row.worker = Some(worker);
        row.epoch += 1;
        let run = &mut self.runs[row.run];
        if row.kill.is_none() {
            if run.state == RunState::Queued {
                run.state = RunState::Running;
                run.started_at = Some(self.now);
                run.names.push("run.started");
            }
            run.names.push("step.started");
        }
        (run.id, row.step, row.epoch, row.losses, row.kill, run.version, run.journal == 0)
    }

    fn claim(&mut self, worker: usize, slots: u32, kills: u32) -> (Vec<Said>, Option<i64>, bool) {
        if !self.alive(worker) {
            return (vec![], None, false);
        }
        let free = |row: &&Ready| row.worker.is_none();
        let mut kill: Vec<_> = self.ready.iter().filter(free).filter(|r| r.kill.is_some()).collect();
        let mut due: Vec<_> =
            self.ready.iter().filter(free).filter(|r| r.kill.is_none() && r.due_at <= self.now).collect();
        kill.sort_by_key(|r| (r.due_at, r.run, r.step));
        due.sort_by_key(|r| (r.due_at, r.run, r.step));
        let more = kill.len() > kills as usize || due.len() > slots as usize;
        let taken: Vec<u64> =
            kill.iter().take(kills as usize).chain(due.iter().take(slots as usize)).map(|r| r.n).collect();
        let mut said = Vec::new();
        for n in taken {
            if let Some(place) = self.ready.iter().position(|r| r.n == n) {
                said.push(self.take(place, worker));
            }
        }
        let later = self.ready.iter().filter(free).filter(|r| r.kill.is_none() && r.due_at > self.now);
        (said, later.map(|r| r.due_at - self.now).min(), more)
    }

    /// Where a claim still stands, if it does.
    fn held(&self, worker: usize, key: AttemptKey, epoch: u32) -> Option<usize> {
        let at = |r: &Ready| self.runs[r.run].id == key.run && r.step == key.step.0;
        self.ready.iter().position(|r| at(r) && r.worker == Some(worker) && r.epoch == epoch && self.alive(worker))
    }

    fn sweep(&mut self, age_ms: u16, max: u32) -> (Vec<RunId>, bool) {
        let before = self.now - i64::from(age_ms);
        let old = |run: &Run| !run.swept && run.ended_at.is_some_and(|at| at < before);
        let mut places: Vec<usize> = (0..self.runs.len()).filter(|i| old(&self.runs[*i])).collect();
        places.sort_by_key(|i| (self.runs[*i].ended_at, *i));
        let more = places.len() > max as usize;
        places.truncate(max as usize);
        places.iter().for_each(|i| self.runs[*i].swept = true);
        (places.into_iter().map(|i| self.runs[i].id).collect(), more)
    }
}

/// A real store beside its model.
struct Pair {
    real: Subject,
    model: Model,
    workers: [Incarnation; WORKERS],
    /// Every claim ever handed out and not finished: the old ones are stale.
    hands: Vec<(usize, Claimed)>,
}

impl Pair {
    async fn call(&mut self, call: Call) {
        match call {
            Call::Submit { delays } => self.submit(&delays).await,
            Call::Join(w) => {
                let freed = (0..WORKERS).map(|other| self.model.bury(other)).sum::<u32>();
                self.model.leases.insert(w, self.model.now + TTL.as_millis() as i64);
                assert_eq!(self.real.store.join(self.workers[w], TTL).await.unwrap(), freed);
            }
            Call::Renew(w) => self.renew(w).await,
            Call::Leave(w) => {
                self.model.leases.remove(&w);
                self.model.ready.iter_mut().filter(|r| r.worker == Some(w)).for_each(|r| r.worker = None);
                self.real.store.leave(self.workers[w]).await.unwrap();
            }
            Call::Reap => {
                let dead: Vec<_> = (0..WORKERS).filter(|w| !self.model.alive(*w)).collect();
                let freed = dead.into_iter().map(|w| self.model.bury(w)).sum::<u32>();
                assert_eq!(self.real.store.reap(u32::MAX).await.unwrap(), freed);
            }
            Call::Claim { worker, slots, kills } => {
                let request = ClaimRequest { worker: self.workers[worker], slots, kills_max: kills };
                let real = self.real.store.claim(request).await.unwrap();
                let next_due = real.next_due.map(|d| d.as_millis() as i64);
                let got = (real.claimed.iter().map(said).collect(), next_due, real.more);
                assert_eq!(got, self.model.claim(worker, slots, kills));
                self.hands.extend(real.claimed.into_iter().map(|c| (worker, c)));
            }
            Call::Finish { .. } => self.finish(call).await,
            Call::Kill { pick } => self.kill(pick).await,
            Call::Advance(ms) => {
                self.model.now += i64::from(ms);
                self.real.advance(Duration::from_millis(u64::from(ms)));
            }
            Call::Sweep { age_ms, max } => {
                let age_max = Some(Duration::from_millis(u64::from(age_ms)));
                let keep = Retention { age_max, ..Retention::default() };
                let swept = self.real.store.sweep(&keep, max).await.unwrap();
                assert_eq!((swept.runs, swept.more), self.model.sweep(age_ms, max));
            }
        }
    }

    async fn submit(&mut self, delays: &[u16]) {
        let mut run = new_run("w", &[]);
        run.ready = (0..).zip(delays).map(|(step, ms)| attempt(step, *ms)).collect();
        self.model.submit(run.id, delays);
        self.real.store.submit(run, None).await.unwrap();
    }

    async fn renew(&mut self, w: usize) {
        let wanted = if self.model.alive(w) {
            self.model.leases.insert(w, self.model.now + TTL.as_millis() as i64);
            let mut held: Vec<_> = self.model.ready.iter().filter(|r| r.worker == Some(w)).collect();
            held.sort_by_key(|r| (r.due_at, r.run, r.step));
            let key = |r: &Ready| AttemptKey { run: self.model.runs[r.run].id, step: StepIndex(r.step), attempt: 1 };
            Renewal::Held { kill: held.iter().filter_map(|r| r.kill.map(|why| (key(r), why))).collect() }
        } else {
            Renewal::Lost
        };
        assert_eq!(self.real.store.renew(self.workers[w], TTL).await.unwrap(), wanted);
    }

    async fn finish(&mut self, call: Call) {
        let Call::Finish { pick, next, along, wrong_epoch, wrong_version, ends } = call else { return };
        if self.hands.is_empty() {
            return;
        }
        let place = pick % self.hands.len();
        let (w, claimed) = self.hands[place].clone();
        let at = self.model.runs.iter().position(|r| r.id == claimed.key.run).unwrap();
        let next = if ends { vec![] } else { next };
        let mut end = end_of(&claimed, self.workers[w]);
        end.epoch += u32::from(wrong_epoch);
        let mut commit = step_forward(claimed.key.run, self.model.runs[at].version + u64::from(wrong_version));
        let plan = Some(plan_ended(claimed.key.step.0, 1));
        commit.events = vec![NewEvent { name: "step.ended", body: json!({}), plan }];
        commit.outcome = ends.then_some(RunOutcome::Succeeded);
        let first = self.model.runs[at].next_step;
        commit.ready = (first..).zip(&next).map(|(step, ms)| attempt(step, *ms)).collect();
        if along {
            commit.ready.iter_mut().for_each(|r| r.claim_for = Some(self.workers[w]));
        }
        let held = self.model.held(w, claimed.key, end.epoch);
        let outcome = end.outcome;
        commit.ended = vec![end];
        match (self.real.store.commit(commit).await.unwrap(), held) {
            (Committed::Stale { attempt }, None) => {
                assert_eq!(attempt, claimed.key);
                self.model.stale += 1;
            }
            (Committed::Conflict, Some(_)) => assert!(wrong_version),
            (Committed::Recorded { version, last_event, claimed: also }, Some(row)) => {
                assert!(!wrong_version);
                self.hands.remove(place);
                let row = self.model.ready.remove(row);
                let run = &mut self.model.runs[at];
                run.over.insert((row.step, 1), (row.epoch, row.losses, outcome));
                run.version += 1;
                run.journal += 1;
                run.names.push("step.ended");
                let mut wanted = Vec::new();
                for ms in &next {
                    self.model.make_ready(at, *ms);
                    if along && *ms == 0 {
                        wanted.push(self.model.take(self.model.ready.len() - 1, w));
                    }
                }
                if ends {
                    self.model.ready.retain(|r| r.run != at);
                    self.model.runs[at].state = RunState::Ended;
                    self.model.runs[at].ended_at = Some(self.model.now);
                }
                assert_eq!(also.iter().map(said).collect::<Vec<_>>(), wanted);
                let run = &self.model.runs[at];
                assert_eq!((version, last_event), (run.version, run.names.len() as u64));
                self.hands.extend(also.into_iter().map(|c| (w, c)));
            }
            (real, held) => panic!("{real:?}, but the model has it at {held:?}"),
        }
    }

    async fn kill(&mut self, pick: usize) {
        if self.model.ready.is_empty() {
            return;
        }
        let place = pick % self.model.ready.len();
        let row = &mut self.model.ready[place];
        let run = &mut self.model.runs[row.run];
        let mut commit = step_forward(run.id, run.version);
        commit.kill = vec![(StepIndex(row.step), 1, Outcome::Cancelled)];
        row.kill = Some(Outcome::Cancelled);
        if row.worker.is_none() {
            row.due_at = self.model.now;
        }
        run.version += 1;
        self.real.recorded(commit).await;
    }

    /// All that readers see is what the model says.
    async fn agree(&self) {
        for (at, run) in self.model.runs.iter().enumerate() {
            if run.swept {
                assert!(self.real.store.run(run.id).await.unwrap().is_none());
                assert!(self.real.attempts(run.id).await.is_empty());
                continue;
            }
            let row = self.real.row(run.id).await;
            let times = (row.started_at.map(|t| t.0), row.ended_at.map(|t| t.0));
            assert_eq!((row.state, times), (run.state, (run.started_at, run.ended_at)));
            assert_eq!(self.real.told(run.id).await, run.names);
            let journal = self.real.store.journal(run.id).await.unwrap().unwrap();
            assert_eq!((journal.version, journal.events.len()), (run.version, run.journal));
            let mut wanted: BTreeMap<_, _> = run
                .over
                .iter()
                .map(|(key, (epoch, losses, how))| (*key, (*epoch, *losses, Some(*how), None)))
                .collect();
            for r in self.model.ready.iter().filter(|r| r.run == at) {
                let due_at = r.worker.is_none().then_some(r.due_at);
                wanted.insert((r.step, 1), (r.epoch, r.losses, None, due_at));
            }
            let rows = self.real.attempts(run.id).await;
            let seen = |a: &staunch_store::AttemptRow| {
                ((a.key.step.0, a.key.attempt), (a.epoch, a.losses, a.outcome, a.due_at.map(|t| t.0)))
            };
            assert!(rows.iter().map(seen).eq(wanted), "{rows:?}");
        }
        let usage = self.real.store.usage().await.unwrap();
        let count = |state| self.model.runs.iter().filter(|r| !r.swept && r.state == state).count() as u64;
        assert_eq!(usage.runs["queued"], count(RunState::Queued));
        assert_eq!(usage.runs["running"], count(RunState::Running));
        assert_eq!(usage.runs["ended"], count(RunState::Ended));
        assert_eq!(usage.attempts_in_flight, self.model.ready.len() as u64);
        assert_eq!(usage.stale_total, self.model.stale);
    }
}

fn attempt(step: u32, delay_ms: u16) -> NewAttempt {
    let delay = Duration::from_millis(u64::from(delay_ms));
    NewAttempt { step: StepIndex(step), attempt: 1, delay, claim_for: None }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let worker = 0..WORKERS;
    let delay = prop_oneof![3 => Just(0_u16), 1 => 1..5_000_u16];
    let flag = |one_in: u8| (0..one_in).prop_map(|n| n == 0);
    let finish = (any::<usize>(), prop::collection::vec(delay.clone(), 0..3), flag(2), flag(8), flag(8), flag(5))
        .prop_map(|(pick, next, along, wrong_epoch, wrong_version, ends)| Call::Finish {
            pick,
            next,
            along,
            wrong_epoch,
            wrong_version,
            ends,
        });
    let call = prop_oneof![
        3 => prop::collection::vec(delay, 1..4).prop_map(|delays| Call::Submit { delays }),
        2 => worker.clone().prop_map(Call::Join),
        1 => worker.clone().prop_map(Call::Renew),
        1 => worker.clone().prop_map(Call::Leave),
        1 => Just(Call::Reap),
        6 => (worker, 0..4_u32, 0..3_u32).prop_map(|(worker, slots, kills)| Call::Claim { worker, slots, kills }),
        6 => finish,
        2 => any::<usize>().prop_map(|pick| Call::Kill { pick }),
        2 => prop_oneof![0..2_000_u16, Just(30_000_u16)].prop_map(Call::Advance),
        1 => (0..10_000_u16, 0..3_u32).prop_map(|(age_ms, max)| Call::Sweep { age_ms, max }),
    ];
    prop::collection::vec(call, 1..80)
}

/// Plays random traces on a store and on the model: every answer is the same, and so is all that readers see.
pub(crate) fn traces_agree(make: Make) {
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    let played = TestRunner::new(config).run(&calls(), |trace| {
        block_on(async {
            let real = make(LIMITS);
            real.publish("w").await;
            let now = real.store.workflows().await.unwrap()[0].updated_at.0;
            let workers = std::array::from_fn(|_| Incarnation::generate());
            let model = Model { now, ..Model::default() };
            let mut pair = Pair { real, model, workers, hands: Vec::new() };
            for call in trace {
                pair.call(call).await;
            }
            pair.agree().await;
        });
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
}
