//! The server, a keeper, or both are killed: no process of a step lives on.

use std::env;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use staunch_engine::runner::{How, sweep_strays};
use staunch_flow::Outcome;
use staunch_store::RunId;

use crate::runner_kit::{BOUND, Bench, alone_under, isolated, look, marked, processes, seen, wait, wait_for};

/// What the steps in here do: a child in their session, a daemon in another, one that cleared its environment; all ignore TERM.
const NASTY: &str = "trap '' TERM HUP; sleep 1000 & setsid sleep 1000 & env -i setsid sh -c \": $STAUNCH_INSTANCE; sleep 1000; :\" & \
                     while [ $(pgrep -x -c sleep -P $$,$!) -lt 3 ]; do :; done; echo $$ > started; wait";
/// No orphan is older than this.
const ORPHAN_MAX: Duration = Duration::from_secs(2);

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

fn parent(pid: &str) -> u32 {
    look(pid.parse().unwrap()).unwrap().parent
}

/// A server in a process of its own, with a nasty step under way. Returns it, and the pids of its keeper and its step.
fn server(directory: &Path, mark: &str) -> (Child, u32, u32) {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "runner_crash::the_server", "--ignored", "--nocapture", "--test-threads=1"])
        .env("STAUNCH_TEST_SERVER", directory)
        .env("STAUNCH_TEST_MARK", mark)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = directory.join("started");
    let step = wait_for(BOUND, || std::fs::read_to_string(&started).ok().filter(|text| text.ends_with('\n'))).unwrap();
    (child, parent(step.trim()), step.trim().parse().unwrap())
}

/// Not a test: the server of the tests here, which kill it.
#[test]
#[ignore = "is started and killed by other tests"]
fn the_server() {
    let Some(directory) = env::var_os("STAUNCH_TEST_SERVER") else { return };
    let mut bench = Bench::new();
    bench.mark = env::var("STAUNCH_TEST_MARK").unwrap();
    let mut start = bench.shell(NASTY);
    start.directory = directory.into();
    wait(bench.runner.run(start));
}

/// How steps' processes are marked: not the server, which has the mark in its environment under another name.
fn marks(mark: &str) -> [String; 2] {
    [format!("STAUNCH_INSTANCE={mark}"), format!(": {mark};")]
}

/// Those of a mark that are steps' processes.
fn steps(mark: &str) -> Vec<String> {
    marks(mark).iter().flat_map(|mark| marked(mark)).collect()
}

/// The same, their children, which may have no mark, and the keeper: held, so that the end of each can be seen without a search.
fn hold(mark: &str, keeper: u32) -> Vec<OwnedFd> {
    let mut pids: Vec<u32> = marks(mark).iter().flat_map(|mark| seen(mark)).map(|process| process.pid).collect();
    let children: Vec<u32> =
        processes().filter(|process| pids.contains(&process.parent)).map(|process| process.pid).collect();
    pids.extend(children);
    pids.push(keeper);
    pids.sort_unstable();
    pids.dedup();
    pids.iter().map(|pid| pidfd_open(Pid::from_raw(*pid as i32).unwrap(), PidfdFlags::empty()).unwrap()).collect()
}

/// How many of these processes have not ended by then.
fn alive_at(until: Instant, held: &[OwnedFd]) -> usize {
    let ends = |process: &&OwnedFd| {
        // If we were not let run until after the bound, this still looks once.
        let left = until.saturating_duration_since(Instant::now());
        let span = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&span)).unwrap() > 0
    };
    held.len() - held.iter().filter(ends).count()
}

/// The first process of a pid namespace, as in a container that gives it no session: whose session began outside has none here.
const CONTAINER: &[&str] = &["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];

/// In a container the server's session may have no number: its keepers and their orphans are told apart all the same.
#[test]
fn ground_g5_a_keeper_is_killed_in_a_container() {
    let allowed = Command::new(CONTAINER[0]).args(&CONTAINER[1..]).arg("true").output().unwrap();
    // A machine that lets nobody make namespaces, such as a plain container, cannot be tested from within. Root can make them.
    if !allowed.status.success() {
        let said = String::from_utf8_lossy(&allowed.stderr);
        assert!(said.contains("Operation not permitted") || said.contains("Permission denied"), "{said}");
        return;
    }
    alone_under(concat!(module_path!(), "::ground_g5_a_keeper_is_killed_in_a_container"), CONTAINER, || {
        let session = std::fs::read_to_string("/proc/self/stat").unwrap();
        let after_the_name: Vec<&str> = session.rsplit_once(") ").unwrap().1.split(' ').collect();
        assert_eq!(after_the_name[3], "0", "a session from outside");
        a_keeper_is_killed();
    });
}

fn a_keeper_is_killed() {
    let bench = Bench::new();
    for round in 0..5 {
        let running = bench.runner.run(bench.shell(NASTY));
        let other = bench.runner.run(bench.shell("while [ ! -e go ]; do sleep 0.01; done; exit 3"));
        let pid = bench.await_file("started");
        kill(parent(&pid));
        let exit = wait(running);
        assert_eq!((exit.how, exit.killed), (How::KeeperLost, None));
        assert_eq!(marked(&format!(": {};", bench.mark)), [""; 0], "the daemon without environment");
        std::fs::write(bench.path("go"), "").unwrap();
        assert_eq!(wait(other).how, How::Code(3), "the other step and its keeper are not touched");
        assert_eq!(marked(&bench.mark), [""; 0]);
        std::fs::remove_file(bench.path("started")).unwrap();
        std::fs::remove_file(bench.path("go")).unwrap();
        assert_eq!(bench.runner.stats().keepers_lost_total, round + 1);
    }
    bench.close();
}

isolated! {
    fn ground_g5_the_server_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let mark = format!("crash-{}", std::process::id());
        let (mut server, keeper, _) = server(directory.path(), &mark);
        let held = hold(&mark, keeper);
        assert!(held.len() >= 6, "the keeper, the shell, two sleeps, the daemon without environment, its own: {:?}", steps(&mark));
        let killed = Instant::now();
        server.kill().unwrap();
        server.wait().unwrap();
        let alive = alive_at(killed + ORPHAN_MAX, &held);
        assert_eq!(alive, 0, "alive after 2 s: {:?}, keeper {:?}", steps(&mark), look(keeper).map(|k| k.state));
        assert_eq!(steps(&mark), [""; 0], "and nothing came instead");
    }

    fn ground_g5_a_keeper_is_killed() {
        a_keeper_is_killed();
    }

    fn ground_g5_a_keeper_is_killed_while_idle_or_stopped() {
        let bench = Bench::new();
        assert_eq!(bench.run("echo $PPID > started").how, How::Code(0));
        let keeper = bench.await_file("started").parse().unwrap();
        kill(keeper);
        wait_for(BOUND, || look(keeper).is_none_or(|process| process.state == 'Z').then_some(())).unwrap();
        assert_eq!(bench.run(":").how, How::Code(0), "another is hired");
        let running = bench.runner.run(bench.shell("echo $PPID > stopped; exec sleep 1000"));
        let keeper: i32 = bench.await_file("stopped").parse().unwrap();
        kill_process(Pid::from_raw(keeper).unwrap(), Signal::STOP).unwrap();
        running.kill(Outcome::Cancelled, false);
        let exit = wait(running);
        assert_eq!((exit.how, exit.killed), (How::Signal(15), Some(Outcome::Cancelled)), "it is continued");
        bench.close();
    }

    fn ground_g5_the_server_and_its_keeper_are_killed() {
        let directory = tempfile::tempdir().unwrap();
        let mark = format!("crash-both-{}", std::process::id());
        let (mut server, keeper, step) = server(directory.path(), &mark);
        // Stopped first, so that neither can do anything about the death of the other.
        for pid in [keeper, server.id()] {
            kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::STOP).unwrap();
        }
        kill(keeper);
        server.kill().unwrap();
        server.wait().unwrap();
        assert!(look(step).is_some(), "an orphan");
        let mut other = Command::new("sleep");
        other.arg("1000").env("STAUNCH_INSTANCE", format!("{mark}-other")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut other = other.spawn().unwrap();
        let found = sweep_strays(&mark);
        let again = sweep_strays(&mark);
        let other_ended = other.try_wait();
        other.kill().unwrap();
        other.wait().unwrap();
        let found = found.unwrap();
        assert!(found >= 5, "the shell, two sleeps, and the daemon without environment with its own: {found}");
        assert_eq!(steps(&mark), [""; 0]);
        assert_eq!(again.unwrap(), 0);
        assert!(other_ended.unwrap().is_none(), "another instance's processes are not ours");
    }

    fn ground_g5_a_storm_leaves_nothing() {
        let bench = Bench::with(|config| (config.grace, config.settle) = (Duration::from_millis(20), Duration::from_millis(5)));
        let scripts = [
            ":",
            "echo out; echo err >&2; exit 3",
            "exec sleep 1000",
            "trap '' TERM; sleep 1000 & wait; sleep 1000",
            "setsid sleep 1000 & sleep 0.01",
            "kill -9 $PPID; sleep 1000",
            "yes | head -c 200000",
            "while :; do setsid sleep 1000 & sleep 0.005; done",
        ];
        let seed = RunId::generate().seed() | 1;
        let mut state = seed;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let mut open = Vec::new();
        for _ in 0..150 {
            let mut start = bench.shell(scripts[random(scripts.len())]);
            start.timeout = Some(Duration::from_millis(1 + random(60) as u64));
            open.push(bench.runner.run(start));
            match random(4) {
                0 => drop(open.swap_remove(random(open.len()))),
                1 => open[random(open.len())].kill(Outcome::Cancelled, random(2) == 0),
                2 => drop(wait(open.swap_remove(random(open.len())))),
                _ => {}
            }
        }
        open.into_iter().for_each(|running| drop(wait(running)));
        let over = wait_for(BOUND, || (bench.runner.stats().steps_active == 0).then_some(()));
        assert!(over.is_some(), "seed {seed}");
        assert_eq!(marked(&bench.mark), [""; 0], "seed {seed}");
        bench.close();
    }
}
