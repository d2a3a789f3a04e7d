//! `staunch doctor`.

use serde_json::json;
use staunch_server::wire::{Growth, Memory};

use super::invoke::client;
use crate::cli::{self, AllFlags};
use crate::config::{Config, Sources};
use crate::doctor::{Bundle, Finding, examine, write};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Ink, Terminal};

/// Examines the server: 0 if it is well, 1 if something was found, 2 if too little was seen to tell.
pub(super) fn run(arguments: &cli::Doctor, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    let memory = client.memory(true)?;
    let mut findings = examine(&memory);
    let ready = client.ready();
    if let Err(failure) = &ready {
        findings.insert(
            0,
            Finding {
                about: "not ready".to_owned(),
                measured: failure.message.clone(),
                threshold: "runs are accepted and executed".to_owned(),
                advice: "see the server's log; `/readyz?verbose=1` says what was looked at".to_owned(),
            },
        );
    }
    if let Some(path) = &arguments.bundle {
        let config = Config::load(&Sources::of_process(all.config.clone()))?;
        let ready = ready.unwrap_or_else(|failure| failure.message);
        let metrics = client.metrics()?;
        write(&Bundle { memory: &memory, metrics, ready, config: &config, findings: &findings }, path)?;
        terminal.say(format_args!("wrote {}", path.display()));
    }
    let exit = match (findings.is_empty(), memory.verdict) {
        (false, _) => Exit::Failed,
        (true, Growth::Insufficient) => Exit::CANNOT_TELL,
        (true, _) => Exit::Ok,
    };
    if arguments.json.json {
        let verdict = word(exit);
        terminal.json(&json!({ "verdict": verdict, "says": memory.says, "findings": findings }))?;
    } else {
        tell(&memory, &findings, exit, terminal);
    }
    Ok(exit)
}

fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Ok => "healthy",
        Exit::Failed => "findings",
        _ => "cannot_tell",
    }
}

fn tell(memory: &Memory, findings: &[Finding], exit: Exit, terminal: &mut Terminal) {
    let paint = terminal.out_paint();
    for finding in findings {
        let text = finding.to_string();
        let (head, rest) = text.split_once(':').unwrap_or((&text, ""));
        terminal.line(format_args!("{}:{rest}\n", paint.ink(Ink::Warn, head)));
    }
    let hours = memory.uptime_seconds / 3_600;
    let minutes = memory.uptime_seconds / 60 % 60;
    let seen = format!("watched for {hours} h {minutes} min and {} runs", memory.runs_ended);
    match exit {
        Exit::Ok => terminal.line(format_args!("{}: {}; {seen}", paint.ink(Ink::Good, "healthy"), memory.says)),
        Exit::Failed => {
            let count = match findings.len() {
                1 => "1 finding".to_owned(),
                count => format!("{count} findings"),
            };
            terminal.line(format_args!("{}: {}; {seen}", paint.ink(Ink::Bad, &count), memory.says));
        }
        _ => {
            terminal.line(format_args!("{}: {}; {seen}", paint.ink(Ink::Warn, "cannot tell"), memory.says));
            terminal.line("nothing is wrong as far as can be seen; ask again when the server has run for half an hour");
        }
    }
}
