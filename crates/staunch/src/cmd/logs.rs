//! `staunch logs`.

use std::io::Read;

use serde_json::{Value, json};
use staunch_server::wire::RunDetail;

use super::invoke::client;
use crate::cli::{AllFlags, Logs};
use crate::client::{Client, RemoteNews, Wanted, of_page};
use crate::exit::Exit;
use crate::failure::{Failure, nearest};
use crate::news::News;
use crate::render::{Live, Show, Terminal};

/// What is copied at once of a raw log, in bytes.
const RAW_BYTES: usize = 64 << 10;

/// Prints what steps said, and goes on while they say more if asked.
pub(super) fn run(arguments: &Logs, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    let run = client.resolve(&arguments.run.id)?;
    if let (Some(step), true) = (&arguments.step, arguments.raw) {
        return raw(&client, &run, step, terminal);
    }
    let mut detail = client.run(&run)?;
    if let Some(step) = &arguments.step {
        only(&mut detail, step)?;
    }
    let mut printer = Printer { json: arguments.json.json, live: Live::new(&detail, Show::Lines, false) };
    match (arguments.follow, &arguments.step) {
        (false, _) => print(&client, &detail, arguments.tail, &mut printer, terminal)?,
        (true, step) => follow(client, &detail, step.clone(), &mut printer, terminal)?,
    }
    printer.live.finish(terminal);
    Ok(Exit::Ok)
}

/// Prints news, as lines or as JSON.
struct Printer {
    json: bool,
    live: Live,
}

impl Printer {
    fn news(&mut self, terminal: &mut Terminal, news: &News) -> Result<(), Failure> {
        if !self.json {
            self.live.news(terminal, news);
            return Ok(());
        }
        match news {
            News::Output { step, stream, bytes } => {
                terminal.json(&json!({ "step": step, "stream": stream, "text": String::from_utf8_lossy(bytes) }))
            }
            News::LeftOut { step, what } => {
                terminal.json(&json!({ "step": step, "stream": Value::Null, "left_out": what }))
            }
            _ => Ok(()),
        }
    }
}

/// The run as if it had only this step.
fn only(detail: &mut RunDetail, step: &str) -> Result<(), Failure> {
    if !detail.steps.iter().any(|other| other.id == step) {
        let near = nearest(step, detail.steps.iter().map(|step| step.id.as_str()));
        return Err(Failure::not_found(format!("the run has no step `{step}`")).did_you_mean(near));
    }
    detail.steps.retain(|other| other.id == step);
    Ok(())
}

fn raw(client: &Client, run: &str, step: &str, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut log = client.raw_log(run, step)?;
    let mut buffer = vec![0; RAW_BYTES];
    while !terminal.is_gone() {
        match log.read(&mut buffer).map_err(|error| Failure::broken(format!("the log breaks off: {error}")))? {
            0 => break,
            read => terminal.bytes(&buffer[..read]),
        }
    }
    Ok(Exit::Ok)
}

fn print(
    client: &Client,
    detail: &RunDetail,
    tail: Option<u32>,
    printer: &mut Printer,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    for step in &detail.steps {
        // The last lines are those of the last attempt; the whole log is that of all.
        let begun = step.attempts.iter().filter(|attempt| attempt.started_at.is_some());
        let wanted = begun.clone().skip(if tail.is_some() { begun.count().saturating_sub(1) } else { 0 });
        for attempt in wanted {
            let mut query = vec![("attempt", attempt.attempt.to_string())];
            query.extend(tail.map(|lines| ("tail", lines.to_string())));
            print_attempt(client, (&detail.run.id, &step.id), query, printer, terminal)?;
        }
    }
    Ok(())
}

fn print_attempt(
    client: &Client,
    (run, step): (&str, &str),
    mut query: Vec<(&'static str, String)>,
    printer: &mut Printer,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    while !terminal.is_gone() {
        let page = client.log(run, step, &query)?;
        for news in of_page(step, &page) {
            printer.news(terminal, &news)?;
        }
        if page.end || page.records.is_empty() {
            break;
        }
        query = vec![("cursor", page.next)];
    }
    printer.live.finish_step(terminal, step);
    Ok(())
}

fn follow(
    client: Client,
    detail: &RunDetail,
    step: Option<String>,
    printer: &mut Printer,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let wanted = match step {
        Some(step) => Wanted::Step(step),
        None => Wanted::All(detail.steps.iter().map(|step| step.id.clone()).collect()),
    };
    let mut source = RemoteNews::follow(client, &detail.run.id, wanted)?;
    while !terminal.is_gone() {
        // Lines are handed on together, but never while there is nothing else to do.
        let news = match source.take() {
            Some(news) => Some(news?),
            None => {
                terminal.flush();
                source.wait()?
            }
        };
        match news {
            None | Some(News::Over(_)) => break,
            Some(news) => printer.news(terminal, &news)?,
        }
    }
    Ok(())
}
