//! The lines of a run as they come.

use std::collections::BTreeMap;

use staunch_flow::Outcome;
use staunch_server::wire::{LogStream, RunDetail};

use super::clean::clean;
use super::line::Lines;
use super::paint::{Ink, Paint};
use super::progress::Progress;
use super::quantity::duration;
use super::terminal::Terminal;
use crate::news::News;

/// A name is cut to this many characters in front of a line.
const NAME_WIDTH_MAX: usize = 24;

/// Shows a run while it goes on: each line of a step behind the step's name, whole, never mixed with another's.
pub(crate) struct Live {
    steps: BTreeMap<String, StepLines>,
    width: usize,
    show: Show,
    progress: Option<Progress>,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Lines, starts and ends.
    All,
    /// Only the lines.
    Lines,
    /// Only a progress line, if somebody watches.
    Nothing,
}

/// One step's lines.
struct StepLines {
    name: String,
    number: usize,
    stdout: Lines,
    stderr: Lines,
}

impl Live {
    /// For a run, before its first news.
    pub(crate) fn new(detail: &RunDetail, show: Show, progress: bool) -> Self {
        let steps = detail.steps.iter().enumerate().map(|(number, step)| {
            let name = step.name.as_ref().unwrap_or(&step.id);
            let lines = StepLines { name: cut(name), number, stdout: Lines::default(), stderr: Lines::default() };
            (step.id.clone(), lines)
        });
        let steps: BTreeMap<String, StepLines> = steps.collect();
        let width = steps.values().map(|step| step.name.chars().count()).max().unwrap_or(0);
        let progress = progress.then(|| Progress::new(steps.len()));
        Self { steps, width, show, progress }
    }

    /// Shows one piece of news.
    pub(crate) fn news(&mut self, terminal: &mut Terminal, news: &News) {
        let Self { steps, width, show, progress } = self;
        match progress {
            Some(progress) => {
                progress.news(news);
                // Printed while the line is away, and wholly: what comes later would go behind it.
                progress.aside(|| {
                    show_news(steps, *width, *show, terminal, news);
                    terminal.flush();
                });
            }
            None => show_news(steps, *width, *show, terminal, news),
        }
    }

    /// Shows what a step has said without a line end, because nothing follows.
    pub(crate) fn finish_step(&mut self, terminal: &mut Terminal, step: &str) {
        if let Some(lines) = self.steps.get_mut(step) {
            lines.finish(terminal, self.width);
        }
    }

    /// Says something beside the news.
    pub(crate) fn say(&mut self, terminal: &mut Terminal, text: &str) {
        match &self.progress {
            Some(progress) => progress.aside(|| terminal.say(text)),
            None => terminal.say(text),
        }
    }

    /// Moves the progress line on.
    pub(crate) fn tick(&self) {
        if let Some(progress) = &self.progress {
            progress.tick();
        }
    }

    /// Whether there is a progress line.
    pub(crate) fn ticks(&self) -> bool {
        self.progress.is_some()
    }

    /// Shows what has no line end yet and takes the progress line away.
    pub(crate) fn finish(mut self, terminal: &mut Terminal) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
        for step in self.steps.values_mut() {
            step.finish(terminal, self.width);
        }
        terminal.flush();
    }
}

fn show_news(steps: &mut BTreeMap<String, StepLines>, width: usize, show: Show, terminal: &mut Terminal, news: &News) {
    if show == Show::Nothing {
        return;
    }
    match news {
        News::Output { step, stream, bytes } => {
            if let Some(step) = steps.get_mut(step) {
                step.push(terminal, width, *stream, bytes);
            }
        }
        News::Ended { step, .. } => {
            if let Some(lines) = steps.get_mut(step) {
                lines.finish(terminal, width);
            }
        }
        News::Retrying { step, attempt, delay } if show == Show::All => {
            let Some(lines) = steps.get(step) else { return };
            let said = format!("{}: attempt {} failed, trying again in {}", lines.name, attempt - 1, duration(*delay));
            terminal.say(terminal.talk_paint().ink(Ink::Warn, &said).to_string());
        }
        News::Settled { step, outcome, why } => {
            let Some(lines) = steps.get_mut(step) else { return };
            lines.finish(terminal, width);
            if show == Show::All {
                terminal.say(settled(terminal, &lines.name, *outcome, why.as_deref()));
            }
        }
        News::LeftOut { step, what } => {
            let name = step.as_ref().and_then(|step| steps.get(step)).map_or("-", |step| &step.name);
            terminal.line(format_args!("{name:<width$} | [... {what} ...]"));
        }
        News::Started { .. } | News::Retrying { .. } | News::Over(_) => {}
    }
}

/// The last lines of some output, as they may be shown. Each stream's lines are whole.
pub(crate) fn last_lines(news: &[News], lines_max: usize, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut stdout, mut stderr) = (Lines::default(), Lines::default());
    let mut show = |line: &[u8]| lines.push(clean(line, paint.is_on()));
    for news in news {
        if let News::Output { stream, bytes, .. } = news {
            match stream {
                LogStream::Stdout => stdout.push(bytes, &mut show),
                LogStream::Stderr => stderr.push(bytes, &mut show),
            }
        }
    }
    stdout.finish(&mut show);
    stderr.finish(&mut show);
    lines.split_off(lines.len().saturating_sub(lines_max))
}

/// A step's end in one line.
fn settled(terminal: &Terminal, name: &str, outcome: Outcome, why: Option<&str>) -> String {
    let ink = ink(outcome);
    let word = terminal.talk_paint().ink(ink, outcome.word()).to_string();
    match why {
        Some(why) => format!("{name}: {word}: {why}"),
        None => format!("{name}: {word}"),
    }
}

/// The color of an outcome.
pub(super) fn ink(outcome: Outcome) -> Ink {
    match outcome {
        Outcome::Succeeded => Ink::Good,
        Outcome::Skipped => Ink::Faint,
        Outcome::Cancelled => Ink::Warn,
        Outcome::Failed | Outcome::TimedOut | Outcome::Leaked | Outcome::Interrupted => Ink::Bad,
    }
}

impl StepLines {
    fn push(&mut self, terminal: &mut Terminal, width: usize, stream: LogStream, bytes: &[u8]) {
        let Self { name, number, stdout, stderr } = self;
        let lines = match stream {
            LogStream::Stdout => stdout,
            LogStream::Stderr => stderr,
        };
        lines.push(bytes, |line| print(terminal, (name, *number), width, stream, line));
    }

    fn finish(&mut self, terminal: &mut Terminal, width: usize) {
        let Self { name, number, stdout, stderr } = self;
        for (stream, lines) in [(LogStream::Stdout, stdout), (LogStream::Stderr, stderr)] {
            lines.finish(|line| print(terminal, (name, *number), width, stream, line));
        }
    }
}

fn print(terminal: &mut Terminal, (name, number): (&str, usize), width: usize, stream: LogStream, line: &[u8]) {
    let paint = terminal.out_paint();
    let pad = width.saturating_sub(name.chars().count());
    let bar = match stream {
        LogStream::Stdout => paint.ink(Ink::Faint, "|").to_string(),
        LogStream::Stderr => paint.ink(Ink::Bad, "|").to_string(),
    };
    let name = paint.ink(Ink::Step(number), name).to_string();
    terminal.line(format_args!("{name}{:pad$} {bar} {}", "", clean(line, paint.is_on())));
}

fn cut(name: &str) -> String {
    let clean = clean(name.as_bytes(), false);
    if clean.chars().count() <= NAME_WIDTH_MAX {
        return clean;
    }
    clean.chars().take(NAME_WIDTH_MAX - 1).chain(['…']).collect()
}
