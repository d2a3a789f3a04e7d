//! What a step costs through the runner against a bare `posix_spawn` and `waitpid` of the same shell, in the same run.
//!
//! `cargo run --release --example spawn_cost -- [STEPS]`. The last line is one JSON object; `ratio_...` is ours against the bare
//! loop's, so 1.15 means 15 % more time.

use std::future::Future;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::sys::wait::wait;
use staunch_bounded::Budget;
use staunch_engine::Limits;
use staunch_engine::runner::{Exit, How, Runner, RunnerConfig, Running, Start, keep};
use staunch_flow::StepIndex;
use staunch_store::{AttemptKey, Logs, RunId};

/// The two are measured in turns, so that whatever else the machine does hits both.
const ROUNDS: usize = 10;
const ARGV: [&str; 4] = ["/bin/sh", "-e", "-c", "true"];

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("__keep") {
        return keep();
    }
    let steps = argument.and_then(|text| text.parse().ok()).unwrap_or(2_000);
    match measure(steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "spawn_cost: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn measure(steps: usize) -> io::Result<()> {
    let directory = std::env::temp_dir().join(format!("staunch-spawn-cost-{}", std::process::id()));
    let logs = Logs::open(directory.join("logs"), Limits::default().store()).map_err(io::Error::other)?;
    let runner = Runner::start(RunnerConfig {
        keeper: vec![std::env::current_exe()?.into(), "__keep".into()],
        steps_max: 16,
        grace: Duration::from_secs(10),
        settle: Duration::from_millis(200),
        keeper_idle: Duration::from_secs(60),
        capture_bytes_max: 64 << 10,
        budget: Budget::root("captures", 8 << 20),
        output_file_bytes_max: 64 << 10,
        is_watched: Arc::new(|_| false),
        on_panic: Arc::new(|| ()),
        on_output: Arc::new(|_| ()),
    })?;
    let mut report = serde_json::Map::from_iter([("steps".to_owned(), steps.into())]);
    let each = |span: Duration| span.as_secs_f64() * 1e6 / (steps / ROUNDS) as f64;
    let (begun, mut bare_cpu) = (cpu(), Duration::ZERO);
    for at_once in [1, 2] {
        let (mut bare, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        through(&runner, &logs, 20, at_once)?;
        for _ in 0..ROUNDS {
            let before = cpu();
            bare.push(each(alone(steps / ROUNDS, at_once)?));
            bare_cpu += cpu().saturating_sub(before);
            ours.push(each(through(&runner, &logs, steps / ROUNDS, at_once)?));
            ratios.push(ours[ours.len() - 1] / bare[bare.len() - 1]);
        }
        let mut put = |name: &str, value: f64| report.insert(format!("{name}_{at_once}"), value.into());
        put("bare_us", median(bare));
        put("ours_us", median(ours));
        put("ratio_spawn", median(ratios));
    }
    runner.close(Duration::from_secs(5));
    // The keepers' time counts as ours once they are reaped. It says what the clock cannot on a busy machine.
    let ours_cpu = cpu().saturating_sub(begun).saturating_sub(bare_cpu);
    report.insert("bare_cpu_us".into(), (bare_cpu.as_secs_f64() * 1e6 / (2 * steps) as f64).into());
    report.insert("ours_cpu_us".into(), (ours_cpu.as_secs_f64() * 1e6 / (2 * steps) as f64).into());
    report.insert("ratio_cpu".into(), (ours_cpu.as_secs_f64() / bare_cpu.as_secs_f64()).into());
    std::fs::remove_dir_all(&directory).ok();
    writeln!(io::stdout(), "{}", serde_json::Value::Object(report))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of this process and of the children it has reaped.
fn cpu() -> Duration {
    let spans = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].map(|who| {
        let usage = getrusage(who).ok()?;
        Some([usage.user_time(), usage.system_time()])
    });
    let us: i64 = spans.into_iter().flatten().flatten().map(|time| time.num_microseconds()).sum();
    Duration::from_micros(us.unsigned_abs())
}

/// The floor: spawn and wait, `at_once` of them under way.
fn alone(steps: usize, at_once: usize) -> io::Result<Duration> {
    let argv = ARGV.map(|argument| std::ffi::CString::new(argument).unwrap_or_default());
    let env = [c"PATH=/usr/bin:/bin"];
    let (actions, attributes) = (PosixSpawnFileActions::init()?, PosixSpawnAttr::init()?);
    let begun = Instant::now();
    let mut open = 0;
    for _ in 0..steps {
        posix_spawn(argv[0].as_c_str(), &actions, &attributes, &argv, &env)?;
        open += 1;
        if open == at_once {
            reap()?;
            open -= 1;
        }
    }
    for _ in 0..open {
        reap()?;
    }
    Ok(begun.elapsed())
}

fn reap() -> io::Result<()> {
    wait()?;
    Ok(())
}

/// Ours: the same through the runner.
fn through(runner: &Runner, logs: &Arc<Logs>, steps: usize, at_once: usize) -> io::Result<Duration> {
    let begun = Instant::now();
    let mut open = Vec::new();
    for _ in 0..steps {
        let key = AttemptKey { run: RunId::generate(), step: StepIndex(0), attempt: 1 };
        open.push(runner.run(Start {
            key,
            epoch: 1,
            argv: ARGV.map(Into::into).into(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            directory: "/".into(),
            timeout: None,
            log: logs.writer(key, 1),
        }));
        if open.len() == at_once {
            check(&first_of(&mut open).how)?;
        }
    }
    while !open.is_empty() {
        check(&first_of(&mut open).how)?;
    }
    Ok(begun.elapsed())
}

fn check(how: &How) -> io::Result<()> {
    if *how == How::Code(0) { Ok(()) } else { Err(io::Error::other(format!("a step ended otherwise: {how:?}"))) }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for whichever is over first, as `wait` does.
fn first_of(open: &mut Vec<Running>) -> Exit {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        for at in 0..open.len() {
            if let Poll::Ready(exit) = Pin::new(&mut open[at]).poll(&mut Context::from_waker(&waker)) {
                drop(open.swap_remove(at));
                return exit;
            }
        }
        thread::park();
    }
}
