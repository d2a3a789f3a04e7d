//! `staunch top`.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use staunch_server::wire::Memory;

use super::invoke::{client, runtime};
use crate::cli::{AllFlags, Top};
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::render::Terminal;
use crate::top::{Screen, draw};

/// How soon a key is heard, and an answer is shown.
const TURN: Duration = Duration::from_millis(100);
/// Looks are not closer together than this: a server is not there to be looked at.
const EVERY_MIN: Duration = Duration::from_millis(200);

/// Shows the server live until `q`, Esc or Ctrl-C.
pub(super) fn run(arguments: &Top, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let failure = Failure::usage("top needs a terminal to draw on, and standard input or output is none");
        return Err(failure.hint("`staunch memory`, or `staunch memory --json`, shows the same once"));
    }
    let client = client(&arguments.server, all, terminal)?;
    // What cannot be reached or may not be seen at all is said on a screen that stays.
    let first = client.memory(false)?;
    let mut screen =
        Screen { server: client.base().to_owned(), colors: terminal.out_paint().is_on(), ..Screen::default() };
    screen.take(first);
    let answers = ask(client, arguments.every.max(EVERY_MIN))?;
    let mut drawing =
        ratatui::try_init().map_err(|error| Failure::broken(format!("cannot draw on this terminal: {error}")))?;
    let shown = show(&mut screen, &answers, &mut drawing);
    ratatui::restore();
    shown
}

/// Draws and listens until it is told to stop.
fn show(
    screen: &mut Screen,
    answers: &Receiver<Result<Memory, Failure>>,
    drawing: &mut DefaultTerminal,
) -> Result<Exit, Failure> {
    let broken = |error: io::Error| Failure::broken(format!("the terminal is gone: {error}"));
    let runtime = runtime()?;
    let mut stop = runtime.block_on(async { Interrupts::new() })?;
    let mut news = true;
    loop {
        if std::mem::take(&mut news) {
            drawing.draw(|frame| draw(screen, frame)).map_err(broken)?;
        }
        if event::poll(TURN).map_err(broken)? {
            let event = event::read().map_err(broken)?;
            if is_quit(&event) {
                return Ok(Exit::Ok);
            }
            news = matches!(event, Event::Resize(..));
        }
        // A signal is heard as a key is: the screen is given back before the end.
        let signal = runtime.block_on(async { tokio::time::timeout(Duration::ZERO, stop.next()).await });
        if signal.is_ok() {
            return Ok(Exit::Interrupted);
        }
        match answers.try_recv() {
            Ok(answer) => {
                match answer {
                    Ok(memory) => screen.take(memory),
                    Err(failure) => screen.trouble = Some(failure.message),
                }
                news = true;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Err(Failure::broken("nobody asks the server any more")),
        }
    }
}

fn is_quit(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

/// Asks on a thread of its own, so that a server that does not answer keeps nobody from quitting. The thread ends when nobody
/// takes its answers any more, or with the process.
fn ask(client: Client, every: Duration) -> Result<Receiver<Result<Memory, Failure>>, Failure> {
    // One answer waits: an older one than the newest is worth nothing.
    let (sender, answers) = sync_channel(1);
    let work = move || {
        loop {
            thread::sleep(every);
            if sender.send(client.memory(false)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("staunch-top".to_owned())
        .spawn(work)
        .map_err(|error| Failure::broken(format!("cannot start a thread: {error}")))?;
    Ok(answers)
}
