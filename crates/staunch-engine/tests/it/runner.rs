//! Steps that behave, and how they end.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use staunch_engine::runner::How;
use staunch_flow::Outcome;
use staunch_store::logs::Stream;

use crate::runner_kit::{BOUND, Bench, Census, ignored_signals, isolated, wait, wait_for};

isolated! {
    fn a_step_runs_and_says_how_it_ended() {
        let bench = Bench::new();
        let exit = bench.run("echo out; echo err >&2; pwd; exit 3");
        assert_eq!(exit.how, How::Code(3));
        assert_eq!(exit.stdout.text, format!("out\n{}\n", bench.directory.path().display()));
        assert_eq!(exit.stderr.text, "err\n");
        assert_eq!((exit.killed, exit.left_behind.len()), (None, 0));
        assert!(exit.max_rss_bytes > 100 << 10);
        drop(exit);
        assert_eq!(bench.run("kill -9 $$").how, How::Signal(9));
        assert_eq!(bench.run("kill -ABRT $$").how, How::Signal(6));
        assert_eq!(bench.run(":").how, How::Code(0));
        assert_eq!(bench.runner.stats().keepers, 1, "one keeper ran them all");
        bench.close();
    }

    fn a_step_is_killed_when_asked() {
        let bench = Bench::new();
        let running = bench.runner.run(bench.shell("echo $$ > started; exec sleep 1000"));
        bench.await_file("started");
        running.kill(Outcome::Cancelled, false);
        let exit = wait(running);
        assert_eq!((exit.how, exit.killed), (How::Signal(15), Some(Outcome::Cancelled)));
        bench.close();
    }

    fn a_step_is_killed_at_its_timeout() {
        let bench = Bench::new();
        let mut start = bench.shell("exec sleep 1000");
        start.timeout = Some(Duration::from_millis(50));
        let exit = bench.finish(start);
        assert_eq!((exit.how, exit.killed), (How::Signal(15), Some(Outcome::TimedOut)));
        assert!(exit.duration >= Duration::from_millis(50));
        bench.close();
    }

    fn a_step_starts_clean() {
        let bench = Bench::new();
        let exit = bench.run(
            "ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0; grep '^SigIgn' /proc/self/status
             grep SigBlk /proc/self/status; set -- $(cat /proc/$$/stat); test $$ = $5; test $$ = $6
             tr '\\0' '\\n' < /proc/$$/environ | cut -d= -f1",
        );
        assert_eq!(exit.how, How::Code(0), "{exit:?}");
        let lines: Vec<&str> = exit.stdout.text.lines().collect();
        // 3 is the directory that `ls` lists.
        assert_eq!(lines[0], "0 1 2 3 /dev/null");
        assert_eq!(ignored_signals(lines[1]), Some(0));
        assert_eq!(lines[2..], ["SigBlk:\t0000000000000000", "PATH", "STAUNCH_INSTANCE"]);
        drop(exit);
        bench.close();
    }

    fn a_program_is_looked_up_in_the_steps_own_path() {
        let bench = Bench::new();
        std::fs::create_dir(bench.path("bin")).unwrap();
        bench.script("bin/greet", "#!/bin/sh\necho hello $1\n");
        let mut start = bench.start(&["greet", "you"]);
        start.env[0].1 = OsString::from(format!("/nowhere::{}", bench.path("bin").display()));
        let exit = bench.finish(start);
        assert_eq!((exit.how.clone(), exit.stdout.text.as_str()), (How::Code(0), "hello you\n"));
        drop(exit);
        let mut start = bench.start(&["sh", "-c", "exit 4"]);
        start.env.remove(0);
        assert_eq!(bench.finish(start).how, How::Code(4), "without PATH the usual places");
        bench.close();
    }

    fn one_more_than_steps_max_waits_and_they_start_in_order() {
        let bench = Bench::with(|config| config.steps_max = 1);
        let first = bench.runner.run(bench.shell("echo $$ > started; while [ ! -e go ]; do sleep 0.01; done; echo 1 >> order"));
        bench.await_file("started");
        let second = bench.runner.run(bench.shell("echo 2 >> order"));
        let third = bench.runner.run(bench.shell("echo 3 >> order"));
        let doomed = bench.runner.run(bench.shell("echo 4 >> order"));
        let dropped = bench.runner.run(bench.shell("echo 5 >> order"));
        doomed.kill(Outcome::Cancelled, false);
        let doomed = wait(doomed);
        assert_eq!(doomed.killed, Some(Outcome::Cancelled));
        assert!(matches!(doomed.how, How::NotStarted { transient: false, .. }));
        drop(dropped);
        std::fs::write(bench.path("go"), "").unwrap();
        assert_eq!([wait(first), wait(second), wait(third)].map(|exit| exit.how), [const { How::Code(0) }; 3]);
        assert_eq!(std::fs::read_to_string(bench.path("order")).unwrap(), "1\n2\n3\n");
        bench.close();
    }

    fn a_dropped_step_is_killed() {
        let bench = Bench::new();
        let running = bench.runner.run(bench.shell("echo $$ > started; exec sleep 1000"));
        bench.await_file("started");
        drop(running);
        wait_for(BOUND, || (bench.runner.stats().steps_active == 0).then_some(())).unwrap();
        bench.close();
    }

    fn many_at_once_and_none_is_mixed_up() {
        let bench = Bench::new();
        let runs: Vec<_> = (0..100).map(|i| bench.runner.run(bench.shell(&format!("echo {i}; echo {i} >&2; exit {i}")))).collect();
        for (i, run) in runs.into_iter().enumerate() {
            let exit = wait(run);
            let text = format!("{i}\n");
            assert_eq!((exit.how, exit.stdout.text, exit.stderr.text), (How::Code(i as i32), text.clone(), text));
        }
        assert!(bench.runner.stats().keepers <= 8);
        bench.close();
    }

    fn keepers_without_work_retire() {
        let bench = Bench::with(|config| config.keeper_idle = Duration::from_millis(1));
        assert_eq!(bench.run(":").how, How::Code(0));
        wait_for(BOUND, || (bench.runner.stats().keepers == 0).then_some(())).unwrap();
        assert_eq!(Census::take().children, [""; 0]);
        assert_eq!(bench.run(":").how, How::Code(0), "and another is hired");
        bench.close();
    }

    fn the_log_holds_the_output_and_followers_are_told() {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let bench = Bench::with(|config| config.on_output = Arc::new(move |_| { count.fetch_add(1, Ordering::SeqCst); }));
        let start = bench.shell("echo one; while [ ! -e go ]; do sleep 0.01; done; echo two >&2");
        let key = start.key;
        let running = bench.runner.run(start);
        let page = wait_for(BOUND, || Some(bench.logs.read(key, 1, None, 0, 1 << 20).unwrap()).filter(|page| !page.records.is_empty()));
        assert_eq!(page.unwrap().records[0].bytes, b"one\n", "while it runs");
        // The bytes can be read a moment before those who follow are told of them.
        let heard = wait_for(BOUND, || (told.load(Ordering::SeqCst) > 0).then_some(()));
        assert!(heard.is_some(), "nobody was told");
        std::fs::write(bench.path("go"), "").unwrap();
        let exit = wait(running);
        let place = exit.log.unwrap();
        let page = bench.logs.read(key, 1, Some(&place), 0, 1 << 20).unwrap();
        let bytes: Vec<_> = page.records.iter().map(|record| (record.stream, record.bytes.as_slice())).collect();
        assert_eq!(bytes, [(Stream::Stdout, &b"one\n"[..]), (Stream::Stderr, b"two\n")]);
        drop((exit.stdout, exit.stderr));
        bench.close();
    }

    fn a_runner_that_closes_kills_what_runs_and_answers_what_waits() {
        let bench = Bench::with(|config| config.steps_max = 1);
        let running = bench.runner.run(bench.shell("trap '' TERM; echo $$ > started; while :; do sleep 1000; done"));
        bench.await_file("started");
        let waiting = bench.runner.run(bench.shell(":"));
        // It is forced after half of this. What is not over two seconds after all of it is lost, and not killed.
        assert_eq!(bench.runner.close(Duration::from_secs(10)), 0);
        let exit = wait(running);
        assert_eq!((exit.how, exit.killed), (How::Signal(9), Some(Outcome::Interrupted)));
        assert_eq!(wait(waiting).killed, Some(Outcome::Interrupted));
        let late = wait(bench.runner.run(bench.shell(":")));
        assert!(matches!(late.how, How::NotStarted { transient: true, .. }), "{late:?}");
        bench.close();
    }

    fn peak_memory_is_that_of_the_step_and_not_of_the_one_before() {
        let bench = Bench::new();
        let large = bench.run("head -c 60000000 /dev/zero | tail -c 50000000 > /dev/null").max_rss_bytes;
        let small = bench.run(":").max_rss_bytes;
        assert!((50_000_000..200_000_000).contains(&large) && small < 20_000_000, "{large} {small}");
        assert_eq!(bench.runner.stats().keepers, 1);
        bench.close();
    }
}
