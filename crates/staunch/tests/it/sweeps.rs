//! A whole server, started again and again: at each of its fault points it is told to stop, or the point fails, or it panics. Then the
//! process has ended with a code, nothing of it is left, and the next one starts on the same data directory.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use staunch_leak::Options;
use staunch_leak::fault::{Cut, all_cuts};

use crate::bed::{Bed, until};

/// Points of the binary and of the HTTP face; the rest has sweeps of its own.
const OURS: &str = "serve.,server.,listener.";

/// What a server said and how it ended.
struct Life {
    status: ExitStatus,
    said: String,
    /// Whether a request was answered as it should be.
    answered: bool,
    /// Whether the planned failure came.
    failed: bool,
}

/// A server process whose output goes to files, so that it can be looked at any time.
struct Server<'a> {
    bed: &'a Bed,
    child: Child,
    /// Where it tells how it stands.
    _notified: UnixDatagram,
}

impl<'a> Server<'a> {
    fn start(bed: &'a Bed, temporary: bool, plan: &str) -> Self {
        let arguments = ["serve", "--demo", "--listen", "127.0.0.1:0"];
        let mut command = if temporary { bed.command(&arguments) } else { bed.serving(&["--demo"]) };
        let file = |name: &str| File::create(bed.path(name)).unwrap();
        let path = bed.path("notify");
        drop(std::fs::remove_file(&path));
        let notified = UnixDatagram::bind(&path).unwrap();
        command.env("STAUNCH_FAULTS", plan).env("NOTIFY_SOCKET", path);
        command.env("STAUNCH_LIMITS_DRAIN_SECONDS", "0").env("STAUNCH_LIMITS_KILL_GRACE_SECONDS", "1");
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Self { bed, child, _notified: notified }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.bed.path(name)).unwrap()
    }

    fn has_failed(&self) -> bool {
        self.read("err").contains("\nfault ") || self.read("err").starts_with("fault ")
    }

    /// Waits until it listens or has ended. Where it listens, if it does.
    fn address(&mut self) -> Option<String> {
        let mut address = None;
        let mut ended = false;
        let (bed, child) = (self.bed, std::cell::RefCell::new(&mut self.child));
        until(|| {
            let is_over = child.borrow_mut().try_wait().unwrap().is_some();
            let out = std::fs::read_to_string(bed.path("out")).unwrap();
            is_over || out.contains("Ctrl-C stops the server.")
        });
        if let Ok(Some(_)) = self.child.try_wait() {
            ended = true;
        }
        if !ended {
            let out = self.read("out");
            let line = out.lines().find_map(|line| line.strip_prefix("listening on http://"));
            address = line.map(str::to_owned);
        }
        address
    }

    /// Lets it live: a run is asked for, then it is told to stop, if it was not yet.
    fn live(mut self) -> Life {
        let address = self.address();
        let answered = address.is_some_and(|address| submit(&address));
        if !self.has_failed() {
            // It may have ended meanwhile.
            kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap_or_default();
        }
        self.end(answered)
    }

    fn end(mut self, answered: bool) -> Life {
        let child = std::cell::RefCell::new(&mut self.child);
        until(|| child.borrow_mut().try_wait().unwrap().is_some());
        let status = self.child.wait().unwrap();
        let failed = self.has_failed();
        Life { status, said: self.read("out") + &self.read("err"), answered, failed }
    }
}

/// Asks for a run. Whether it was accepted; a refusal has a type.
fn submit(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = format!(
        "POST /api/v1/workflows/hello/runs HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let mut answer = String::new();
    // A server that is stopping may cut it at any place.
    let _sent = stream.write_all(request.as_bytes());
    let _read = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    assert!(status < "4" || answer.contains("application/problem+json"), "{answer}");
    status == "201"
}

/// What holds after each life, however it ended.
fn check(bed: &Bed, life: &Life) -> Result<(), String> {
    let said = &life.said;
    let code = life.status.code();
    if !bed.temporary().is_empty() {
        return Err(format!("temporary files are left: {:?}\n{said}", bed.temporary()));
    }
    if life.said.contains(": closing; ")
        && code == Some(0)
        && !said.contains("closed: tasks 0, children 0, budgets 0\n")
    {
        return Err(format!("it says nothing of an end\n{said}"));
    }
    Ok(())
}

/// Nothing outlives a server: its children become ours, and are seen.
fn options(bed: &Bed) -> Options {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    Options::default().without_memory().files_under(bed.path("tmp"))
}

staunch_leak::alone! {
    fn ground_g5_a_stop_at_any_point_ends_well_and_the_next_life_begins() {
        let bed = Bed::new();
        let swept = all_cuts(&options(&bed), "SIGTERM at the fault point", |n| {
            let life = Server::start(&bed, false, &format!("tell@{n}:{OURS}")).live();
            check(&bed, &life)?;
            let code = life.status.code();
            // Behind the first signal, which the test sends, it is the second, which stops at once.
            let at_once = code == Some(130) && life.said.contains("once more: stopped without closing");
            let ended = code == Some(0) && life.said.contains("closed: tasks 0, children 0, budgets 0\n");
            // Until it listens for signals one kills it, and there is nothing yet that it could leave.
            let early = life.status.signal() == Some(Signal::TERM.as_raw()) && life.said.contains(" serve.signals\n");
            if !(ended || early || at_once) {
                return Err(format!("it ended by {:?}\n{}", life.status, life.said));
            }
            if ended && bed.path("data/setup-link").exists() {
                return Err("the set-up link is left".to_owned());
            }
            Ok::<Cut, String>(if life.failed { Cut::Dropped } else { Cut::Completed })
        });
        let swept = swept.unwrap_or_else(|broken| panic!("{broken}"));
        assert!(swept.points >= 10, "{swept}");
    }

    fn ground_g5_whatever_fails_in_a_whole_server_is_told_and_leaves_nothing() {
        let bed = Bed::new();
        for manner in ["error", "panic"] {
            let swept = all_cuts(&options(&bed), manner, |n| {
                let life = Server::start(&bed, true, &format!("{manner}@{n}:{OURS}")).live_to_its_end();
                check(&bed, &life)?;
                let told = life.said.contains("on purpose") || life.said.contains("gives no random bytes");
                let noticed = !life.answered || !life.status.success() || told;
                if life.failed && !noticed {
                    return Err(format!("nobody was told\n{}", life.said));
                }
                if life.status.code().is_none() {
                    return Err(format!("it ended by {:?}\n{}", life.status, life.said));
                }
                Ok::<Cut, String>(if life.failed { Cut::Dropped } else { Cut::Completed })
            });
            let swept = swept.unwrap_or_else(|broken| panic!("{broken}"));
            assert!(swept.points >= 10, "{swept}");
        }
    }
}

impl Server<'_> {
    /// As [`Server::live`], but a failure of something else does not stop it.
    fn live_to_its_end(mut self) -> Life {
        let address = self.address();
        let answered = address.is_some_and(|address| submit(&address));
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap_or_default();
        self.end(answered)
    }
}

#[test]
fn what_is_left_at_the_end_is_counted_and_makes_the_exit_code() {
    let bed = Bed::new();
    let life = Server::start(&bed, true, "error@0:serve.left").live_to_its_end();
    assert_eq!(life.status.code(), Some(1), "{}", life.said);
    assert!(life.said.contains("closed: tasks 0, children 0, budgets 1\n"), "{}", life.said);
    assert!(life.said.contains("not all was given back: tasks 0, children 0, budgets 1"), "{}", life.said);
    assert!(bed.temporary().is_empty());
}

#[test]
fn a_task_that_hears_of_no_stop_is_waited_for_counted_and_named() {
    let bed = Bed::new();
    let life = Server::start(&bed, true, "error@0:closing.stays").live_to_its_end();
    assert_eq!(life.status.code(), Some(1), "{}", life.said);
    assert!(life.said.contains("closed: tasks 1, children 0, budgets 0\n"), "{}", life.said);
    assert!(life.said.contains("upkeep 1"), "{}", life.said);
    assert!(bed.temporary().is_empty());
}

#[test]
fn a_server_whose_listener_panics_ends_by_itself() {
    let bed = Bed::new();
    let mut server = Server::start(&bed, true, "panic@0:listener.accept");
    let address = server.address().unwrap();
    assert!(!submit(&address));
    let life = server.end(false);
    assert_eq!(life.status.code(), Some(1), "{}", life.said);
    assert!(life.said.contains("closed: tasks 0, children 0, budgets 0\n"), "{}", life.said);
    assert!(life.said.contains("the server stopped by itself"), "{}", life.said);
    assert!(bed.temporary().is_empty());
}
