//! What the engine says in its log, heard; and what panics say.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// More than a scenario says.
const LINES_MAX: usize = 200;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Hears warnings and errors.
struct Ear;

/// Hears what the engine and panics say from now on, for as long as the process lives. Nothing is printed.
pub(crate) fn listen() {
    tracing::subscriber::set_global_default(Ear).expect("nobody else listens");
    std::panic::set_hook(Box::new(|panic| say(format!("panic: {panic}"))));
}

/// Panics are printed again.
pub(crate) fn speak() {
    drop(std::panic::take_hook());
}

/// What was said since it was last taken.
pub(crate) fn take() -> Vec<String> {
    std::mem::take(&mut *lines())
}

/// Whether anything was said that was not taken yet.
pub(crate) fn anything() -> bool {
    !lines().is_empty()
}

/// Says what was taken once more.
pub(crate) fn again(line: String) {
    say(line);
}

fn say(line: String) {
    let mut lines = lines();
    if lines.len() < LINES_MAX {
        lines.push(line);
    }
}

fn lines() -> MutexGuard<'static, Vec<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All fields of an event, in a line.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{field}={value:?} ").expect("a string takes all");
    }
}

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("staunch")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        say(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
