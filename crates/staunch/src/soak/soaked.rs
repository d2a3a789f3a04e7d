//! A soak from its flags to its verdict.

use std::time::{Duration, Instant};

use super::count::Reading;
use super::drive::{Cycle, Length, Plan};
use super::judge::{Judged, Verdict, judge, last_line, overall};
use super::mix::Load;
use super::own::Own;
use super::show::Show;
use super::stop::Stop;
use super::target::Target;
use super::{report, workflows};
use crate::cli::Soak;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::Terminal;

/// What is inconclusive ends by this: the table of exit codes calls 2 a wrong use, and so few cycles or such an allocator are one.
const INCONCLUSIVE: Exit = Exit::Usage;

/// Runs that are kept of each workflow, at most.
const KEPT_MAX: u32 = 50;
/// There are about so many kinds of a load: a cycle makes this part of its runs of each.
const KINDS: u32 = 10;

/// What was done, and what came of it.
pub(super) struct Soaked {
    /// What was asked.
    pub(super) mix: String,
    /// Bytes that a run may cost.
    pub(super) bound: f64,
    /// Leaks that were injected, in words.
    pub(super) leaks: String,
    /// How long all took.
    pub(super) took: Duration,
    /// Every cycle.
    pub(super) cycles: Vec<Cycle>,
    /// Each resource.
    pub(super) judged: Vec<Judged>,
}

impl Soaked {
    /// The worst.
    pub(super) fn verdict(&self) -> Verdict {
        overall(&self.judged)
    }

    /// The same in words.
    pub(super) fn last_line(&self) -> String {
        last_line(&self.judged)
    }

    fn exit(&self) -> Exit {
        match self.verdict() {
            Verdict::Clean => Exit::Ok,
            Verdict::Leak => Exit::Failed,
            Verdict::Inconclusive => INCONCLUSIVE,
        }
    }
}

/// Soaks a server: that of `foreign`, or one of its own.
///
/// # Errors
/// The server cannot be had, dies, or does not close cleanly. A leak is no error here but an exit code.
pub(crate) fn run(arguments: &Soak, foreign: Option<Client>, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if let Some(directory) = &arguments.write_workflows {
        workflows::write(directory)?;
        terminal.say(format_args!("wrote {} workflows into {}", workflows::ALL.len(), directory.display()));
        return Ok(Exit::Ok);
    }
    let load = Load::of(&arguments.mix, foreign.is_none())?;
    if let Some(path) = &arguments.report {
        report::begin(path)?;
    }
    let stop = Stop::listen()?;
    let kept = (arguments.runs / (2 * KINDS)).clamp(1, KEPT_MAX);
    let mut target = match foreign {
        Some(client) => Target::Foreign(client),
        None => Target::Own(Own::start(kept, arguments.inject_leak.clone())?),
    };
    target.check()?;
    let plan = Plan {
        length: arguments.span.map_or(Length::Cycles(arguments.cycles), Length::Time),
        runs: arguments.runs,
        requests: arguments.requests,
        load,
        settle: arguments.settle.unwrap_or_else(|| target.settles_in()),
    };
    let begun = Instant::now();
    let mut show = Show::new(arguments.json.json, plan.length);
    let cycles = plan.drive(&mut target, stop.flag(), |cycles| show.cycle(cycles, terminal))?;
    // Before the verdict: a server that leaves something at its close has leaked, whatever was counted before.
    target.close()?;
    let soaked = Soaked {
        mix: plan.load.words(),
        bound: arguments.bound,
        leaks: arguments.inject_leak.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        took: begun.elapsed(),
        judged: judge(&lives(&cycles), arguments.bound),
        cycles,
    };
    // First: a report that cannot be written after all must not take the verdict along.
    show.end(&soaked, terminal)?;
    if let Some(path) = &arguments.report {
        report::write(&soaked, path)?;
    }
    Ok(soaked.exit())
}

/// The readings of each life of the server.
fn lives(cycles: &[Cycle]) -> Vec<Vec<Reading>> {
    let of_one = |life: &[Cycle]| life.iter().map(|cycle| cycle.reading.clone()).collect();
    cycles.chunk_by(|one, next| one.life == next.life).map(of_one).collect()
}
