//! The cycles: load, drain, sweep, compare.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::count::Reading;
use super::load;
use super::mix::{Load, Outcomes, Rounds};
use super::target::Target;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;

/// A server that ends no run for so long and has some is stuck.
const STUCK: Duration = Duration::from_secs(60);
/// Between two looks at a server that drains or settles.
const LOOK: Duration = Duration::from_millis(100);
/// The part of all cycles after which a server is restarted: most are left to be judged in one life.
const RESTART_AFTER: u32 = 4;

/// What is to be done.
pub(super) struct Plan {
    /// How long, in cycles or in time.
    pub(super) length: Length,
    /// Runs of each cycle.
    pub(super) runs: u32,
    /// Requests of each cycle.
    pub(super) requests: u32,
    /// What happens in each.
    pub(super) load: Load,
    /// How long the server may take to come to rest.
    pub(super) settle: Duration,
}

/// How long it goes on.
#[derive(Clone, Copy)]
pub(super) enum Length {
    /// So many cycles.
    Cycles(u32),
    /// As many as fit into this time.
    Time(Duration),
}

/// A cycle that is over.
pub(super) struct Cycle {
    /// From 1 on.
    pub(super) number: usize,
    /// Which life of the server, from 1 on.
    pub(super) life: usize,
    /// Runs of all cycles so far.
    pub(super) runs: u64,
    /// Requests of all cycles so far, those that runs need not counted.
    pub(super) requests: u64,
    /// How long it took.
    pub(super) took: Duration,
    /// What was held at its end.
    pub(super) reading: Reading,
}

impl Plan {
    /// Drives the server through all cycles; `each` is told of every one.
    ///
    /// # Errors
    /// The server dies, refuses, gets stuck, or does not what it was asked; or somebody wants to stop.
    pub(super) fn drive(
        &self,
        target: &mut Target,
        stop: &AtomicBool,
        mut each: impl FnMut(&[Cycle]) -> Result<(), Failure>,
    ) -> Result<Vec<Cycle>, Failure> {
        let begun = Instant::now();
        let mut cycles: Vec<Cycle> = Vec::new();
        let mut life = 1;
        let mut rounds = self.load.rounds();
        while self.goes_on(&cycles, begun.elapsed()) {
            let cycle_begun = Instant::now();
            let before = cycles.last().filter(|cycle| cycle.life == life).map(|cycle| &cycle.reading);
            let stormed = if before.is_none() { storm(target) } else { Ok(()) };
            let done = stormed.and_then(|()| self.cycle(target, &mut rounds, before, stop));
            let (runs, reading) = done.map_err(|failure| target.explain(failure))?;
            let (earlier, asked) = cycles.last().map_or((0, 0), |cycle| (cycle.runs, cycle.requests));
            cycles.push(Cycle {
                number: cycles.len() + 1,
                life,
                runs: earlier + runs,
                requests: asked + u64::from(self.requests),
                took: cycle_begun.elapsed(),
                reading,
            });
            each(&cycles)?;
            if let Target::Own(own) = target
                && life == 1
                && self.load.restart
                && self.restarts_now(&cycles, begun.elapsed())
            {
                own.restart()?;
                life += 1;
            }
        }
        Ok(cycles)
    }

    fn goes_on(&self, cycles: &[Cycle], elapsed: Duration) -> bool {
        match self.length {
            Length::Cycles(wanted) => cycles.len() < wanted as usize,
            // One more if it ends in time, should it take as long as the last one.
            Length::Time(span) => cycles.last().is_none_or(|last| elapsed + last.took <= span),
        }
    }

    fn restarts_now(&self, cycles: &[Cycle], elapsed: Duration) -> bool {
        match self.length {
            Length::Cycles(wanted) => cycles.len() >= (wanted / RESTART_AFTER) as usize,
            Length::Time(span) => elapsed >= span / RESTART_AFTER,
        }
    }

    /// One cycle: how many runs it made, and what was held at its end.
    fn cycle(
        &self,
        target: &Target,
        rounds: &mut Rounds,
        before: Option<&Reading>,
        stop: &AtomicBool,
    ) -> Result<(u64, Reading), Failure> {
        let (ended, outcomes) = {
            let client = target.client()?;
            (client.memory(false)?.runs_ended, Target::outcomes(&client)?)
        };
        let fresh = || target.client();
        let wanted = load::work(&target.for_load(&fresh), &rounds.jobs(self.runs), self.requests, stop)?;
        let runs: u64 = wanted.values().sum();
        let client = target.client()?;
        drain(&client, ended + runs, stop)?;
        compare(&outcomes, &wanted, &Target::outcomes(&client)?)?;
        let reading = self.settled(&client, before, target.is_own(), stop)?;
        Ok((runs, reading))
    }

    /// Looks until all counts are as they were after the cycle before, or the time is over. Without a cycle before, it takes the time.
    fn settled(
        &self,
        client: &Client,
        before: Option<&Reading>,
        own: bool,
        stop: &AtomicBool,
    ) -> Result<Reading, Failure> {
        let until = Instant::now() + self.settle;
        loop {
            let reading = Reading::of(&client.memory(true)?, own);
            let agrees = reading.quiet && before.is_some_and(|before| before.agrees(&reading));
            if agrees || Instant::now() >= until {
                return if reading.quiet { Ok(reading) } else { Err(restless()) };
            }
            pause(stop)?;
        }
    }
}

fn storm(target: &Target) -> Result<(), Failure> {
    let fresh = || target.client();
    load::storm(&target.for_load(&fresh))
}

/// Waits until so many runs have ended and nothing is in work.
fn drain(client: &Client, ended: u64, stop: &AtomicBool) -> Result<(), Failure> {
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let memory = client.memory(false)?;
        if memory.runs_ended >= ended && memory.quiescent {
            return Ok(());
        }
        if memory.runs_ended > seen {
            (seen, since) = (memory.runs_ended, Instant::now());
        } else if since.elapsed() >= STUCK {
            return Err(if memory.runs_ended >= ended { restless() } else { stuck(ended - memory.runs_ended) });
        }
        pause(stop)?;
    }
}

fn restless() -> Failure {
    // The exit code of what is inconclusive.
    Failure::new(Exit::Usage, "inconclusive: the server does not come to rest").hint(
        "somebody else asks it, or a client of its own stays; soak compares only what is held while nothing is in work",
    )
}

fn stuck(runs: u64) -> Failure {
    let seconds = STUCK.as_secs();
    Failure::new(Exit::TimedOut, format!("{runs} runs are left, and the server has ended none for {seconds} s"))
}

fn pause(stop: &AtomicBool) -> Result<(), Failure> {
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::new(Exit::Interrupted, "stopped"));
    }
    thread::sleep(LOOK);
    Ok(())
}

/// A load that did something else than it was to do proves nothing.
fn compare(before: &BTreeMap<String, u64>, wanted: &Outcomes, after: &BTreeMap<String, u64>) -> Result<(), Failure> {
    let mut due = before.clone();
    wanted.iter().for_each(|(outcome, runs)| *due.entry((*outcome).to_owned()).or_default() += runs);
    if due == *after {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        format!("inconclusive: the runs ended otherwise than they should: {after:?}, not {due:?}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_end_otherwise_are_no_proof() {
        let of = |pairs: &[(&str, u64)]| pairs.iter().map(|(word, runs)| ((*word).to_owned(), *runs)).collect();
        let before: BTreeMap<_, _> = of(&[("failed", 1)]);
        let wanted = Outcomes::from([("failed", 1), ("succeeded", 2)]);
        assert!(compare(&before, &wanted, &of(&[("failed", 2), ("succeeded", 2)])).is_ok());
        for after in [of(&[("failed", 2), ("succeeded", 3)]), of(&[("failed", 3), ("succeeded", 1)])] {
            let failure = compare(&before, &wanted, &after).expect_err("refused");
            assert_eq!(failure.exit, Exit::Usage);
        }
    }
}
