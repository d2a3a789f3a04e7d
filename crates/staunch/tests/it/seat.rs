//! Somebody at a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::bed::Bed;

const LONG: Duration = Duration::from_secs(30);

/// Somebody who sits at a terminal of their own, with a command running there.
pub(crate) struct Seat {
    child: Child,
    keys: File,
    /// This side of the terminal stays open, so that what the command did to it can still be seen.
    terminal: File,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

impl Seat {
    pub(crate) fn at(bed: &Bed, arguments: &[&str]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        tcsetwinsize(&keys, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let end = || OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let terminal = end();
        let plain = bed.command(arguments);
        // A session of its own with this terminal, so that Ctrl-C on it means this command.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(plain.get_program()).args(plain.get_args()).current_dir(bed.path("here")).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keys = File::from(keys);
        let mut screen = keys.try_clone().unwrap();
        let (sender, shown) = sync_channel(1024);
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, terminal, shown, seen: String::new() }
    }

    /// Waits until the screen ends with this.
    pub(crate) fn sees(&mut self, text: &str) {
        let deadline = Instant::now() + LONG;
        while !self.seen.ends_with(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self
                .shown
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{text:?} is not at the end of {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Waits until this was shown, wherever.
    pub(crate) fn sees_somewhere(&mut self, text: &str) {
        let deadline = Instant::now() + LONG;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.shown.recv_timeout(left).unwrap_or_else(|_| panic!("{text:?} is not in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// Whether what is typed shows.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the end; the exit code and all that was shown.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + LONG;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < deadline, "it did not end; so far: {:?}", self.seen);
            thread::yield_now();
        };
        // What it wrote before it ended is on its way; a mark behind it says that all has come.
        writeln!(self.terminal, "~").unwrap();
        self.sees("~\r\n");
        (code, self.seen.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Only after a failed test is it still there.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
