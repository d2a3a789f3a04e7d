//! A place for one test: a home, a working directory and a temporary directory of its own, and processes that cannot hang.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes longer, on any machine that builds this.
const LONG: Duration = Duration::from_secs(60);

/// Where a test's processes live.
pub(crate) struct Bed {
    directory: TempDir,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) err: String,
}

/// A process that runs.
pub(crate) struct Running {
    child: Option<Child>,
    lines: Receiver<String>,
    err: Receiver<String>,
    seen: String,
}

/// A server that runs.
pub(crate) struct Serving {
    process: Running,
    /// Its address.
    pub(crate) url: String,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "tmp", "here", "workflows", "data"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the working directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("here").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a file into the directory that a server of this bed follows.
    pub(crate) fn workflow(&self, name: &str, text: &str) {
        fs::write(self.path("workflows").join(name), text).unwrap();
    }

    /// The binary, with an environment that holds nothing of the tester's.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_staunch"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .current_dir(self.path("here"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Running::start(self.command(arguments)).end()
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// A server over this bed's workflows and data, once it listens.
    pub(crate) fn serve(&self, more: &[&str]) -> Serving {
        Serving::of(self.serving(more))
    }

    /// What starts such a server.
    pub(crate) fn serving(&self, more: &[&str]) -> Command {
        self.serving_at("127.0.0.1:0", more)
    }

    /// What starts one at this address.
    pub(crate) fn serving_at(&self, listen: &str, more: &[&str]) -> Command {
        let (data, workflows) = (self.path("data"), self.path("workflows"));
        let mut arguments = vec!["serve", "--listen", listen, "--data", data.to_str().unwrap()];
        arguments.extend(["--workflows", workflows.to_str().unwrap()]);
        arguments.extend(more);
        self.command(&arguments)
    }

    /// What lies in the temporary directory.
    pub(crate) fn temporary(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (to_lines, lines) = sync_channel(1024);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut line = Vec::new();
            while out.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let sent = to_lines.send(String::from_utf8_lossy(&line).into_owned());
                line.clear();
                if sent.is_err() {
                    return;
                }
            }
        });
        let (to_err, err) = sync_channel(1);
        let mut stderr = child.stderr.take().unwrap();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).map(|_| to_err.send(String::from_utf8_lossy(&bytes).into_owned()))
        });
        Self { child: Some(child), lines, err, seen: String::new() }
    }

    /// Waits for a line of standard output.
    pub(crate) fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("the line did not come; so far: {:?} and {:?}", self.seen, self.err.try_recv());
            };
            self.seen.push_str(&line);
            if wanted(line.trim_end()) {
                return line.trim_end().to_owned();
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Done {
        let deadline = Instant::now() + LONG;
        // The streams end when the process and all that hold them have.
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen.push_str(&line);
        }
        let err = self.err.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let status = self.wait(deadline);
        Done { code: status.code(), out: std::mem::take(&mut self.seen), err: err.unwrap() }
    }

    fn wait(&mut self, deadline: Instant) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let pid = Pid::from_child(&child);
        let (done, ended) = sync_channel(1);
        thread::spawn(move || done.send(child.wait()));
        ended.recv_timeout(deadline.saturating_duration_since(Instant::now())).map_or_else(
            |_| {
                kill_process(pid, Signal::KILL).unwrap();
                panic!("the process did not end")
            },
            Result::unwrap,
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only after a failed test: one that went well has waited for the end.
        if let Some(mut child) = self.child.take() {
            let _killed = child.kill();
            let _reaped = child.wait();
        }
    }
}

impl Serving {
    /// A server, once it listens.
    pub(crate) fn of(command: Command) -> Self {
        let mut process = Running::start(command);
        let line = process.line(|line| line.starts_with("listening on "));
        Self { process, url: line.trim_start_matches("listening on ").to_owned() }
    }

    /// A command of the bed's, against this server.
    pub(crate) fn command(&self, bed: &Bed, arguments: &[&str]) -> Command {
        let mut command = bed.command(arguments);
        command.env("STAUNCH_URL", &self.url);
        command
    }

    pub(crate) fn run(&self, bed: &Bed, arguments: &[&str]) -> Done {
        self.start(bed, arguments).end()
    }

    pub(crate) fn start(&self, bed: &Bed, arguments: &[&str]) -> Running {
        Running::start(self.command(bed, arguments))
    }

    /// The process.
    pub(crate) fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Waits for its end, whatever that is.
    pub(crate) fn end(self) -> Done {
        self.process.end()
    }

    /// Stops it and demands that nothing was left.
    pub(crate) fn stop(self) -> Done {
        self.process.signal(Signal::TERM);
        let done = self.process.end();
        assert!(done.out.ends_with("closed: tasks 0, children 0, budgets 0\n"), "{done:?}");
        assert_eq!(done.code, Some(0), "{done:?}");
        done
    }
}

impl Done {
    /// The exit code, and everything else where it is another one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// The one JSON object that was printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "one object on one line: {}", self.out);
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Whether a process is there (and not only a zombie).
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .is_some_and(|state| state != "Z" && state != "X")
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < deadline, "it did not come to be so");
        thread::yield_now();
    }
}
