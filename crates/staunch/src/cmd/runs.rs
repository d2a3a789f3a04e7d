//! `staunch runs`: lists runs, shows one.

use super::invoke::client;
use crate::cli::{AllFlags, Outcome, Runs, RunsCommand, RunsList, RunsShow, State};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Terminal, ago, run_heading, run_rows, step_rows};

/// Lists or shows.
pub(super) fn run(arguments: &Runs, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match &arguments.command {
        None => list(&arguments.list, all, terminal),
        Some(RunsCommand::List(arguments)) => list(arguments, all, terminal),
        Some(RunsCommand::Show(arguments)) => show(arguments, all, terminal),
    }
}

fn list(arguments: &RunsList, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(arguments.workflow.clone().map(|workflow| ("workflow", workflow)));
    query.extend(arguments.state.map(|state| ("state", state.word().to_owned())));
    query.extend(arguments.outcome.map(|outcome| ("outcome", outcome.word().to_owned())));
    let page = client(&arguments.server, all, terminal)?.runs(&query)?;
    if arguments.json.json {
        terminal.json(&page)?;
        return Ok(Exit::Ok);
    }
    let table = run_rows(&page.items, jiff::Timestamp::now());
    if table.is_empty() {
        terminal.say("no run fits");
    } else {
        let table = table.show(terminal.out_paint()).to_string();
        terminal.line(table);
    }
    Ok(Exit::Ok)
}

fn show(arguments: &RunsShow, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    let detail = client.run(&client.resolve(&arguments.run.id)?)?;
    if arguments.json.json {
        terminal.json(&detail)?;
        return Ok(Exit::Ok);
    }
    let run = &detail.run;
    let paint = terminal.out_paint();
    terminal.line(run_heading(&detail, paint));
    let since = ago(&run.created_at, jiff::Timestamp::now());
    terminal.line(format_args!("accepted {since} ({}), started by {}", run.created_at, run.trigger));
    if let Some(earlier) = &run.rerun_of {
        terminal.line(format_args!("repeats {earlier}"));
    }
    for (name, value) in &run.inputs {
        terminal.line(format_args!("input {name} = {value}"));
    }
    let (table, hidden) = step_rows(&detail);
    terminal.line(format_args!("\n{}", table.show(paint)));
    if hidden > 0 {
        terminal.line(format_args!("and {hidden} more that succeeded (--json shows all)"));
    }
    Ok(Exit::Ok)
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}
