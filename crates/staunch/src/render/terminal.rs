//! The two streams of the process: results go to standard output, talk goes to standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use super::clean::plain;
use super::paint::{Ink, Paint};
use crate::cli::Color;
use crate::failure::Failure;

/// Where everything is printed. A reader that goes away (`staunch logs | head`) is no error: what follows is dropped.
pub(crate) struct Terminal {
    out: BufWriter<Stdout>,
    out_paint: Paint,
    talk_paint: Paint,
    talk_is_terminal: bool,
    gone: bool,
    /// Why what was printed is lost, if it is not that the reader had enough.
    lost: Option<io::Error>,
}

impl Terminal {
    /// The streams of this process.
    pub(crate) fn new(color: Color) -> Self {
        Self {
            out: BufWriter::new(io::stdout()),
            out_paint: Paint::of(color, &io::stdout()),
            talk_paint: Paint::of(color, &io::stderr()),
            talk_is_terminal: io::stderr().is_terminal(),
            gone: false,
            lost: None,
        }
    }

    /// The colors of standard output.
    pub(crate) fn out_paint(&self) -> Paint {
        self.out_paint
    }

    /// The colors of standard error.
    pub(crate) fn talk_paint(&self) -> Paint {
        self.talk_paint
    }

    /// Whether somebody watches standard error.
    pub(crate) fn is_watched(&self) -> bool {
        self.talk_is_terminal
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Hands on the rest.
    ///
    /// # Errors
    /// Part of the result is lost: the disk behind standard output is full, say.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.flush();
        let lost =
            |error| Failure::broken(format!("the output is not whole: standard output cannot be written: {error}"));
        self.lost.take().map_or(Ok(()), |error| Err(lost(error)))
    }

    /// Prints a line of the result.
    pub(crate) fn line(&mut self, text: impl Display) {
        self.try_out(|out| writeln!(out, "{text}"));
    }

    /// Prints bytes of the result as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.try_out(|out| out.write_all(bytes));
    }

    /// Prints a value of the result as one JSON document on one line.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::broken(error.to_string()))?;
        self.line(text);
        Ok(())
    }

    /// Whether something was printed that was not handed on.
    pub(crate) fn is_behind(&self) -> bool {
        !self.gone && !self.out.buffer().is_empty()
    }

    /// Hands on what was printed so far.
    pub(crate) fn flush(&mut self) {
        self.try_out(Write::flush);
    }

    /// Says something about the work. Nobody can be told if standard error is gone, so that is no error.
    pub(crate) fn say(&mut self, text: impl Display) {
        self.flush();
        // In one piece: standard error is not buffered, and a table would be a write for each of its gaps.
        io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap_or_default();
    }

    /// Says why a command failed.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        if !failure.message.is_empty() {
            let head = self.talk_paint.ink(Ink::Bad, "error:").to_string();
            // Parts of it may be a server's or a file's words.
            let message = failure.message.lines().map(plain).collect::<Vec<_>>().join("\n");
            self.say(format_args!("{head} {message}"));
        }
        if let Some(hint) = &failure.hint {
            let head = self.talk_paint.ink(Ink::Faint, "hint:").to_string();
            self.say(format_args!("{head} {hint}"));
        }
    }

    fn try_out(&mut self, write: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<()>) {
        // Any error means that what is printed reaches nobody: the reader left, or the disk behind a file is full. Work that
        // was asked for still goes on.
        if !self.gone
            && let Err(error) = write(&mut self.out)
        {
            self.gone = true;
            self.lost = Some(error).filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.flush();
    }
}
