//! Where a password comes from: a file, or the terminal without showing it.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use staunch_server::wire::Secret;
use tokio::sync::oneshot;

use super::invoke::runtime;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::render::Terminal;
use crate::secret;

/// A line at a terminal is not longer than this, in bytes: the kernel's own bound (termios(3), canonical mode).
const LINE_BYTES_MAX: u64 = 4_096;

/// A password that exists.
pub(super) fn password(file: Option<&Path>, of: &str, terminal: &mut Terminal) -> Result<Secret, Failure> {
    match file {
        Some(file) => secret::from_file(file, terminal),
        None => ask(&[&format!("password of {of}: ")], terminal),
    }
}

/// A password to be set: typed twice, since nobody sees a slip.
pub(super) fn new_password(file: Option<&Path>, of: &str, terminal: &mut Terminal) -> Result<Secret, Failure> {
    match file {
        Some(file) => secret::from_file(file, terminal),
        None => ask(&[&format!("new password of {of}: "), "once more: "], terminal),
    }
}

/// Asks these questions and wants the same answer to each.
fn ask(questions: &[&str], terminal: &mut Terminal) -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("there is no password, and standard input is no terminal to ask for one")
            .hint("--password-file FILE reads it from a file, `--password-file -` from standard input"));
    }
    terminal.flush();
    let mut answers = Vec::new();
    runtime()?.block_on(async {
        // Heard before the echo goes, so that no signal leaves a terminal that shows nothing.
        let mut signals = Interrupts::new()?;
        let hidden = Hidden::new().map_err(|error| Failure::broken(format!("cannot hide what is typed: {error}")))?;
        for question in questions {
            show(question);
            answers.push(tokio::select! {
                answer = line() => answer?,
                signal = signals.next() => {
                    drop(hidden);
                    show("\n");
                    return Err(Failure::new(Exit::Interrupted, format!("{signal}: nothing was done")));
                }
            });
        }
        Ok(())
    })?;
    match answers.split_first() {
        Some((first, others)) if others.iter().all(|other| other == first) => Ok(first.clone()),
        _ => Err(Failure::usage("the two passwords differ: nothing was done")),
    }
}

/// To standard error: standard output may be a file.
fn show(text: &str) {
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

/// A line of standard input, read by a thread of its own: the signals must be heard meanwhile.
async fn line() -> Result<Secret, Failure> {
    let (sender, answer) = oneshot::channel();
    // Not joined: it ends with the line, or with the process.
    thread::Builder::new()
        .name("prompt".to_owned())
        .spawn(move || sender.send(read_line()).unwrap_or_default())
        .map_err(|error| Failure::broken(format!("cannot start a thread: {error}")))?;
    answer.await.map_err(|_| Failure::broken("the terminal could not be read"))?
}

fn read_line() -> Result<Secret, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes);
    read.map_err(|error| Failure::broken(format!("the terminal cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage("the password is not UTF-8"))?;
    match text.strip_suffix('\n') {
        Some("") | None => Err(Failure::usage("no password was given: nothing was done")),
        Some(line) => Ok(Secret::new(line)),
    }
}

/// While it lives, the terminal does not show what is typed. Ctrl-C and line editing work as ever.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn new() -> rustix::io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes -= LocalModes::ECHO;
        // The line's end still shows, so that the next question stands on its own line.
        hidden.local_modes |= LocalModes::ECHONL;
        // Flush: what was typed before the question was not the answer to it, and was shown.
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.before).unwrap_or_default();
    }
}
