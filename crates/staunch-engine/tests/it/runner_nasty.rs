//! Steps whose processes do all they can to stay: none does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use staunch_engine::runner::{Exit, How};
use staunch_flow::Outcome;

use crate::runner_kit::{BOUND, Bench, ignored_signals, isolated, keeper, look, marked, number, wait, wait_for};

/// The names of what was left behind, without pids.
fn names(exit: &Exit) -> Vec<&str> {
    exit.left_behind.iter().map(|label| label.rsplit_once(" (").unwrap().0).collect()
}

isolated! {
    fn ground_g5_ignores_term() {
        let bench = Bench::with(|config| config.grace = Duration::from_millis(100));
        let running = bench.runner.run(bench.shell("trap '' TERM; sleep 1000 & echo $$ > started; while :; do wait; done"));
        bench.await_file("started");
        running.kill(Outcome::Cancelled, false);
        running.kill(Outcome::TimedOut, false);
        let exit = wait(running);
        assert_eq!((exit.how, exit.killed), (How::Signal(9), Some(Outcome::Cancelled)), "the first reason stays");
        assert!(exit.duration >= Duration::from_millis(100));
        bench.close();
    }

    fn ground_g5_force_shortens_the_grace() {
        let bench = Bench::with(|config| config.grace = Duration::from_secs(3_600));
        let running = bench.runner.run(bench.shell("trap '' TERM; echo $$ > started; while :; do sleep 1; done"));
        bench.await_file("started");
        let handle = running.handle();
        handle.kill(Outcome::Cancelled, false);
        handle.kill(Outcome::Cancelled, true);
        assert_eq!(wait(running).how, How::Signal(9));
        handle.kill(Outcome::Cancelled, true);
        assert_eq!(bench.run(":").how, How::Code(0), "a kill that comes too late hits nobody else");
        bench.close();
    }

    fn ground_g5_cleans_up_within_its_grace() {
        let bench = Bench::new();
        let running = bench.runner.run(bench.shell("trap 'echo cleaned; exit 7' TERM; echo $$ > started; while :; do sleep 0.01; done"));
        bench.await_file("started");
        running.kill(Outcome::Cancelled, false);
        let exit = wait(running);
        assert_eq!((exit.how.clone(), exit.killed), (How::Code(7), Some(Outcome::Cancelled)));
        assert_eq!(exit.stdout.text, "cleaned\n");
        drop(exit);
        bench.close();
    }

    fn ground_g5_double_forks() {
        let bench = Bench::new();
        // It goes only when the grandchild is its own program, and the shell between them has ended.
        let exit = bench.run(
            "(sh -c 'echo $$ > between; sleep 1000 & echo $! > pid' &)
             while [ ! -s pid ]; do :; done
             read between < between; read pid < pid
             until read -r _ name _ parent _ < /proc/$pid/stat; [ \"$name\" = '(sleep)' ] && [ $parent != $between ]; do :; done");
        assert_eq!((exit.how.clone(), names(&exit)), (How::Code(0), vec!["sleep"]));
        assert_eq!(exit.left_behind[0], format!("sleep ({})", number(&bench.path("pid"))));
        bench.close();
    }

    fn ground_g5_a_daemon_of_its_own_session_holds_the_pipe() {
        let bench = Bench::new();
        let exit = bench.run("setsid sleep 1000 & while [ \"$(cut -d' ' -f2 /proc/$!/stat)\" != '(sleep)' ]; do :; done; echo done");
        assert_eq!((exit.how.clone(), names(&exit)), (How::Code(0), vec!["sleep"]));
        assert_eq!(exit.stdout.text, "done\n");
        drop(exit);
        bench.close();
    }

    fn ground_g5_a_daemon_without_a_trace_in_its_environment() {
        let bench = Bench::new();
        let exit = bench.run(&format!(
            "env -i setsid sh -c 'sleep 1000; : {0}' < /dev/null > /dev/null 2>&1 &
             until pgrep -P $! sleep; do :; done", bench.mark));
        assert_eq!(exit.how, How::Code(0), "{exit:?}");
        assert_eq!(names(&exit), ["sh", "sleep"]);
        drop(exit);
        bench.close();
    }

    fn ground_g5_closes_its_output_and_lives_on() {
        let bench = Bench::with(|config| config.grace = Duration::from_millis(50));
        let running = bench.runner.run(bench.shell("trap '' TERM; echo $$ > started; exec > /dev/null 2>&1; while :; do sleep 1; done"));
        bench.await_file("started");
        running.kill(Outcome::Cancelled, false);
        assert_eq!(wait(running).how, How::Signal(9));
        bench.close();
    }

    fn what_ends_within_the_settling_time_is_not_left_behind() {
        let bench = Bench::with(|config| config.settle = Duration::from_secs(30));
        let exit = bench.run("(while kill -0 $$ 2> /dev/null; do :; done; echo late) & exit 0");
        assert_eq!((exit.how.clone(), exit.stdout.text.as_str(), exit.left_behind.len()), (How::Code(0), "late\n", 0));
        drop(exit);
        bench.close();
    }

    fn ground_g5_forks_while_it_is_killed() {
        let bench = Bench::with(|config| config.grace = Duration::ZERO);
        // Each starts its successor in a session of its own, and dies.
        bench.script("hop", "#!/bin/sh\necho . > started\nsetsid ./hop &\n");
        let running = bench.runner.run(bench.shell("for i in 1 2 3 4; do ./hop & done; wait; sleep 1000"));
        bench.await_file("started");
        running.kill(Outcome::Cancelled, true);
        assert_eq!(wait(running).killed, Some(Outcome::Cancelled));
        assert_eq!(marked(&bench.mark), [""; 0]);
        // Two that watch over each other: whoever dies is started again by the other.
        bench.script("guard", "#!/bin/sh\nwhile :; do setsid sh -c 'echo . > guarded; sleep 1000' & wait $!; done\n");
        let exit = bench.run("./guard & ./guard & while [ ! -s guarded ]; do :; done");
        assert!(exit.left_behind.len() >= 2, "{exit:?}");
        drop(exit);
        bench.close();
    }

    fn ground_g5_five_thousand_children() {
        let bench = Bench::new();
        let script = "import os, sys, time
for i in range(5000):
    if os.fork() == 0:
        os.setsid() if i % 2 else None
        time.sleep(1000)
";
        let exit = bench.finish(bench.start(&["python3", "-c", script]));
        assert_eq!(exit.how, How::Code(0), "{exit:?}");
        assert_eq!(exit.left_behind.len(), 21);
        assert_eq!(exit.left_behind[20], "and 4980 more");
        drop(exit);
        bench.close();
    }

    fn ground_g5_fills_the_pipe_while_it_is_killed() {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let bench = Bench::with(|config| {
            config.grace = Duration::from_millis(20);
            config.on_output = Arc::new(move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            });
        });
        let running = bench.runner.run(bench.shell("trap '' TERM; while :; do yes; done"));
        wait_for(BOUND, || (told.load(Ordering::SeqCst) >= 5).then_some(())).unwrap();
        running.kill(Outcome::Cancelled, false);
        let exit = wait(running);
        assert_eq!(exit.how, How::Signal(9));
        assert!(exit.stdout.text.starts_with("y\ny\n"));
        drop(exit);
        bench.close();
    }

    fn ground_g5_writes_a_gigabyte() {
        let bytes: u64 = if std::env::var_os("STAUNCH_TEST_LONG").is_some() { 10_000_000_000 } else { 1_000_000_000 };
        let bench = Bench::new();
        assert_eq!(bench.run("head -c 50000000 /dev/zero").how, How::Code(0));
        let before = resident();
        let exit = bench.run(&format!("head -c {bytes} /dev/zero; echo end"));
        let grown = resident().saturating_sub(before);
        assert_eq!((exit.how.clone(), exit.stdout.bytes_total), (How::Code(0), bytes + 4));
        assert!(exit.stdout.text.ends_with("end\n"));
        assert!(grown < 4 << 20, "memory grew by {grown} bytes");
        drop(exit);
        bench.close();
    }

    fn ground_g5_stopped_and_continued() {
        let bench = Bench::new();
        let running = bench.runner.run(bench.shell("echo $$ > started; kill -STOP $$; exit 3"));
        let pid: u32 = bench.await_file("started").parse().unwrap();
        wait_for(BOUND, || look(pid).filter(|process| process.state == 'T')).unwrap();
        signal(pid, rustix::process::Signal::CONT);
        assert_eq!(wait(running).how, How::Code(3), "stopping is not ending");
        let running = bench.runner.run(bench.shell("echo $$ > again; kill -STOP $$"));
        let pid: u32 = bench.await_file("again").parse().unwrap();
        wait_for(BOUND, || look(pid).filter(|process| process.state == 'T')).unwrap();
        running.kill(Outcome::Cancelled, false);
        assert_eq!(wait(running).how, How::Signal(15), "a stopped step hears TERM, too");
        bench.close();
    }

    fn ground_g5_killed_while_it_is_started() {
        let bench = Bench::new();
        for round in 0..60 {
            let running = bench.runner.run(bench.shell("sleep 1000 & setsid sleep 1000 & wait"));
            // From not at all to well under way.
            (0..round * 500).for_each(|_| std::hint::spin_loop());
            running.kill(Outcome::Cancelled, round % 2 == 0);
            let exit = wait(running);
            assert_eq!(exit.killed, Some(Outcome::Cancelled), "{exit:?}");
        }
        assert_eq!(marked(&bench.mark), [""; 0]);
        bench.close();
    }

    fn output_held_open_from_outside_does_not_hold_up_the_step() {
        let bench = Bench::new();
        // A process outside of the step gets hold of its output.
        let running = bench.runner.run(bench.shell("echo $$ > started; while [ ! -e go ]; do sleep 0.01; done; echo last"));
        let pid = bench.await_file("started");
        let outside = std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/fd/1")).unwrap();
        std::fs::write(bench.path("go"), "").unwrap();
        let exit = wait(running);
        assert_eq!((exit.how.clone(), exit.stdout.text.as_str()), (How::Code(0), "last\n"));
        assert_eq!(exit.left_behind, ["its standard output is held open from outside"]);
        drop((exit, outside));
        bench.close();
    }

    fn a_server_with_ignored_signals_gives_them_to_no_step() {
        // SIGCHLD ignored would make the kernel take the dead before the keeper can.
        let mut command = vec!["env".into(), "--ignore-signal=CHLD,TERM,INT,HUP".into()];
        command.extend(keeper());
        let bench = Bench::with(|config| config.keeper = command);
        let exit = bench.run("grep '^SigIgn' /proc/self/status; exit 6");
        assert_eq!(exit.how, How::Code(6));
        assert_eq!(ignored_signals(&exit.stdout.text), Some(0), "{exit:?}");
        drop(exit);
        bench.close();
    }
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}
