//! What the runner's tests stand on: a test in a process of its own, a runner, a count of what is left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{env, fs};

use staunch_bounded::Budget;
use staunch_engine::runner::{Exit, Runner, RunnerConfig, Start};
use staunch_flow::StepIndex;
use staunch_store::{AttemptKey, Logs, RunId, StoreLimits};

/// Longer than anything here takes on a busy machine; a wait that gets there is a failure.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
const INNER: &str = "STAUNCH_TEST_INNER";

/// A test in a process of its own, so that file descriptors, children and limits are its own to count and to change.
macro_rules! isolated {
    ($($(#[doc = $doc:literal])* fn $name:ident() $body:block)+) => {$(
        $(#[doc = $doc])*
        #[test]
        fn $name() {
            $crate::runner_kit::alone(concat!(module_path!(), "::", stringify!($name)), || $body);
        }
    )+};
}
pub(crate) use isolated;

pub(crate) fn alone(path: &str, body: impl FnOnce()) {
    alone_under(path, &[], body);
}

/// A test in a process of its own that `wrapper` starts: a program and its arguments, or nothing.
pub(crate) fn alone_under(path: &str, wrapper: &[&str], body: impl FnOnce()) {
    if env::var_os(INNER).is_some() {
        let before = Census::take();
        body();
        let after = wait_for(BOUND, || Some(Census::take()).filter(|now| now.threads == before.threads));
        assert_eq!(after, Some(before), "what there was before the test and what is left after it");
        return;
    }
    let name = path.split_once("::").unwrap().1;
    let program = env::current_exe().unwrap();
    let mut argv = wrapper.iter().map(OsString::from).chain([program.into()]);
    let output = Command::new(argv.next().unwrap())
        .args(argv)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INNER, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What a process holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) fds: BTreeMap<String, usize>,
    pub(crate) children: Vec<String>,
    pub(crate) threads: usize,
}

impl Census {
    pub(crate) fn take() -> Self {
        let mut fds = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/fd").unwrap() {
            // Without the number of a socket or pipe: the kind counts.
            let target = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            let kind = target.to_string_lossy().split(":[").next().unwrap_or_default().to_owned();
            *fds.entry(kind).or_default() += 1;
        }
        let own = std::process::id();
        let children = processes().filter(|process| process.parent == own).map(|process| process.label()).collect();
        Self { fds, children, threads: fs::read_dir("/proc/self/task").unwrap().count() }
    }
}

pub(crate) struct Seen {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) state: char,
    pub(crate) name: String,
}

impl Seen {
    fn label(&self) -> String {
        format!("{} ({}) {}", self.name, self.pid, self.state)
    }
}

/// All processes of this machine.
pub(crate) fn processes() -> impl Iterator<Item = Seen> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| look(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

pub(crate) fn look(pid: u32) -> Option<Seen> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (before, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    Some(Seen {
        pid,
        name: before.split_once('(')?.1.to_owned(),
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
    })
}

/// Processes that have `mark` in their environment or arguments and are alive.
pub(crate) fn marked(mark: &str) -> Vec<String> {
    seen(mark).iter().map(Seen::label).collect()
}

/// The same, with all that was seen of them.
pub(crate) fn seen(mark: &str) -> Vec<Seen> {
    let has = |pid: u32, file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    processes()
        .filter(|process| process.pid != std::process::id() && !matches!(process.state, 'Z' | 'X'))
        .filter(|process| has(process.pid, "environ") || has(process.pid, "cmdline"))
        .collect()
}

/// Asks until there is an answer; `None` if there is none when `bound` is over.
pub(crate) fn wait_for<T>(bound: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + bound;
    loop {
        // Looked at first, so that the last question is one that begins after the bound: we may have been held up before it, or in it.
        let over = Instant::now() >= until;
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if over {
            return None;
        }
        thread::yield_now();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future, at most [`BOUND`].
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let until = Instant::now() + BOUND;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "it is not over after {BOUND:?}; children: {:?}", Census::take().children);
        thread::park_timeout(left);
    }
}

/// A runner with what it needs.
pub(crate) struct Bench {
    pub(crate) runner: Runner,
    pub(crate) logs: Arc<Logs>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) budget: Arc<Budget>,
    /// Is in the environment of each step.
    pub(crate) mark: String,
}

pub(crate) fn keeper() -> Vec<OsString> {
    vec![env!("CARGO_BIN_EXE_staunch-keep").into()]
}

pub(crate) fn config(budget: &Arc<Budget>) -> RunnerConfig {
    RunnerConfig {
        keeper: keeper(),
        steps_max: 8,
        grace: Duration::from_secs(20),
        settle: Duration::from_millis(100),
        keeper_idle: Duration::from_secs(600),
        capture_bytes_max: 64 << 10,
        budget: Arc::clone(budget),
        output_file_bytes_max: 64 << 10,
        is_watched: Arc::new(|_| false),
        on_panic: Arc::new(|| ()),
        on_output: Arc::new(|_| ()),
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut RunnerConfig)) -> Self {
        let budget = Budget::root("captures", 8 << 20);
        let directory = tempfile::tempdir().unwrap();
        let limits = staunch_engine::Limits::default().store();
        let logs = Logs::open(directory.path().join("logs"), StoreLimits { ..limits }).unwrap();
        let mut config = config(&budget);
        change(&mut config);
        let runner = Runner::start(config).unwrap();
        let mark = format!("mark-{}-{:x}", std::process::id(), RunId::generate().seed());
        Self { runner, logs, directory, budget, mark }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn shell(&self, script: &str) -> Start {
        self.start(&["/bin/sh", "-e", "-c", script])
    }

    pub(crate) fn start(&self, argv: &[&str]) -> Start {
        let key = AttemptKey { run: RunId::generate(), step: StepIndex(0), attempt: 1 };
        let path = env::var_os("PATH").unwrap();
        Start {
            key,
            epoch: 1,
            argv: argv.iter().map(Into::into).collect(),
            env: vec![("PATH".into(), path), ("STAUNCH_INSTANCE".into(), self.mark.clone().into())],
            directory: self.directory.path().into(),
            timeout: None,
            log: self.logs.writer(key, 1),
        }
    }

    /// Runs a script; nothing of it may be left when it is over.
    pub(crate) fn run(&self, script: &str) -> Exit {
        self.finish(self.shell(script))
    }

    pub(crate) fn finish(&self, start: Start) -> Exit {
        let exit = wait(self.runner.run(start));
        assert_eq!(marked(&self.mark), [""; 0], "nothing of a step is left once it is over");
        exit
    }

    /// Waits until the step under way has made this file, and reads it.
    pub(crate) fn await_file(&self, name: &str) -> String {
        let path = self.path(name);
        wait_for(BOUND, || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n')))
            .unwrap_or_else(|| panic!("the step never wrote {name}"))
            .trim()
            .to_owned()
    }

    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Closes all and counts.
    pub(crate) fn close(self) {
        assert_eq!(self.runner.close(BOUND), 0, "children left");
        let stats = self.runner.stats();
        assert_eq!((stats.keepers, stats.steps_active, stats.steps_waiting), (0, 0, 0));
        assert_eq!(self.budget.used(), 0, "bytes left on the budget");
        assert_eq!(marked(&self.mark), [""; 0]);
    }
}

pub(crate) fn number(path: &Path) -> u32 {
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

/// From a line `SigIgn: ...`. Signals 32 and 33, which glibc keeps to itself, do not count: its `posix_spawn` may ignore them.
pub(crate) fn ignored_signals(line: &str) -> Option<u64> {
    let bits = u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok()?;
    Some(bits & !(0b11 << 31))
}
