//! Follows a run that was just accepted, and reports how it ended.

use staunch_server::wire::{Accepted, RunDetail, Step};

use crate::cli::{Json, Wait};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{Followed, follow, is_failed};
use crate::interrupt::Interrupts;
use crate::render::{Ink, Live, Show, Terminal, last_lines, run_heading, step_rows};
use crate::report::Report;

/// Lines of a failed step that are shown again.
const TAIL_LINES: u32 = 20;

/// Failed steps whose last lines are shown again.
const TAILS_MAX: usize = 3;

/// How to watch.
#[derive(Clone, Copy)]
pub(super) struct Watching {
    /// How long, and how loud.
    pub(super) wait: Wait,
    /// Whether one object is printed instead of lines.
    pub(super) json: Json,
}

/// Says that a run was accepted, without waiting for it.
pub(super) fn accepted(new: &Accepted, json: Json, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if json.json {
        terminal.json(new)?;
    } else {
        terminal.line(&new.id);
        terminal.say(format_args!("follow it with: staunch logs {} -f", new.id));
    }
    Ok(Exit::Ok)
}

/// Follows a run to its end and reports. `signals` ask it to stop.
pub(super) async fn watch(
    run: &Followed,
    watching: Watching,
    signals: Interrupts,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let Watching { wait, json } = watching;
    let silent = json.json || wait.quiet;
    let show = if silent { Show::Nothing } else { Show::All };
    let detail = run.detail().await?;
    let live = Live::new(&detail, show, terminal.is_watched() && !wait.quiet);
    let ending = follow(run, run.news(&detail, !silent)?, live, terminal, wait.timeout, signals).await?;
    if json.json {
        terminal.json(&Report::from(&ending.detail))?;
    } else if !(wait.quiet && ending.exit == Exit::Ok) {
        summarize(run, &ending.detail, terminal).await;
    }
    Ok(ending.exit)
}

/// The table of steps, and what the failed ones said last.
async fn summarize(run: &Followed, detail: &RunDetail, terminal: &mut Terminal) {
    let paint = terminal.talk_paint();
    let (table, hidden) = step_rows(detail);
    if !table.is_empty() {
        terminal.say(format_args!("\n{}", table.show(paint)));
    }
    if hidden > 0 {
        terminal.say(format_args!("and {hidden} more that succeeded"));
    }
    let failed: Vec<&Step> = detail.steps.iter().filter(|step| is_failed(step)).collect();
    for step in failed.iter().take(TAILS_MAX) {
        // What cannot be read is not worth a second failure: the run's own end is what counts.
        let said = run.tail(detail, step, TAIL_LINES).await.unwrap_or_default();
        let lines = last_lines(&said, TAIL_LINES as usize, paint);
        if !lines.is_empty() {
            let head = format!("last lines of {}:", step.id);
            terminal.say(format_args!("\n{}", paint.ink(Ink::Bad, &head)));
            lines.iter().for_each(|line| terminal.say(format_args!("  {line}")));
        }
    }
    terminal.say(format_args!("\n{}", run_heading(detail, paint)));
    if let (Followed::Remote(..), false) = (run, failed.is_empty()) {
        terminal.say(format_args!("run it again with: staunch rerun {} --failed", detail.run.id));
    }
}
