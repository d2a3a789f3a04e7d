//! A password that is asked for at a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::teller::{Row, Teller};

const LONG: Duration = Duration::from_secs(30);

const MAKES: &[Row] = &[(
    "POST /api/v1/users",
    201,
    "",
    r#"{"name":"ada","role":"admin","disabled":false,"created_at":"2030-01-01T00:00:00Z","password_changed_at":"2030-01-01T00:00:00Z"}"#,
)];

/// Somebody who sits at a terminal of their own, with a command running there.
struct Seat {
    child: Child,
    keys: File,
    /// This side of the terminal stays open, so that what the command did to it can still be seen.
    terminal: File,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

impl Seat {
    fn at(bed: &Bed, arguments: &[&str]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
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
    fn sees(&mut self, text: &str) {
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

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// Whether what is typed shows.
    fn echoes(&self) -> bool {
        tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the end; the exit code and all that was shown.
    fn end(&mut self) -> (Option<i32>, String) {
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

fn create(server: &Teller) -> [&str; 7] {
    ["user", "create", "ada", "--role", "admin", "--server", &server.url]
}

#[test]
fn it_is_asked_for_twice_and_never_shown() {
    let bed = Bed::new();
    let server = Teller::new(MAKES);
    let mut seat = Seat::at(&bed, &create(&server));
    seat.sees("new password of ada: ");
    assert!(!seat.echoes());
    // Line editing works: ^U forgets the line, DEL the last character.
    seat.types("wrong\x15a long passwordd\x7f\n");
    seat.sees("once more: ");
    seat.types("a long password\n");
    let (code, seen) = seat.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seat.echoes(), "as it was before");
    assert!(!seen.contains("long") && !seen.contains("wrong"), "{seen:?}");
    assert!(seen.contains("made ada, admin") && seen.contains("wants a login"), "{seen}");
    let body: Value = serde_json::from_str(&server.asked()[0].body).unwrap();
    assert_eq!(body, json!({ "name": "ada", "role": "admin", "password": "a long password" }));
}

#[test]
fn nothing_is_done_if_the_two_differ_or_there_is_none() {
    let bed = Bed::new();
    let server = Teller::new(MAKES);
    for (answers, why) in
        [(&["one password\n", "another one\n"][..], "differ"), (&["\n"], "no password"), (&["\x04"], "no password")]
    {
        let mut seat = Seat::at(&bed, &create(&server));
        for (answer, question) in answers.iter().zip(["new password of ada: ", "once more: "]) {
            seat.sees(question);
            seat.types(answer);
        }
        let (code, seen) = seat.end();
        assert_eq!(code, Some(2), "{seen}");
        assert!(seen.contains(why) && seen.contains("nothing was done"), "{seen}");
        assert!(seat.echoes());
    }
    assert!(server.asked().is_empty());
}

#[test]
fn ctrl_c_and_a_signal_leave_a_terminal_that_shows_what_is_typed() {
    let bed = Bed::new();
    let server = Teller::new(MAKES);
    for ctrl_c in [true, false] {
        let mut seat = Seat::at(&bed, &create(&server));
        seat.sees("new password of ada: ");
        assert!(!seat.echoes());
        if ctrl_c {
            // In one stream with what was typed, so that it comes after it. A signal may overtake what the terminal has not taken in yet.
            seat.types("half a passw\x03");
        } else {
            kill_process(Pid::from_child(&seat.child), Signal::TERM).unwrap();
        }
        let (code, seen) = seat.end();
        assert_eq!(code, Some(130), "{seen}");
        assert!(seat.echoes() && !seen.contains("half"), "{seen:?}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn without_a_terminal_it_is_not_asked_for() {
    let bed = Bed::new();
    let server = Teller::new(MAKES);
    let done = bed.run(&create(&server)).exits(2);
    assert!(done.err.contains("--password-file"), "{}", done.err);
    let mut command = bed.command(&create(&server));
    let mut child = command
        .args(["--json", "--password-file", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a long password\n").unwrap();
    let done = child.wait_with_output().unwrap();
    let user: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((user["name"].as_str(), user["role"].as_str()), (Some("ada"), Some("admin")));
    assert_eq!(server.asked().len(), 1);
}
