//! Steps that behave, and how they end.

use std::time::Duration;

use staunch_engine::runner::How;
use staunch_flow::Outcome;

use crate::runner_kit::{Bench, isolated, wait};

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
}
