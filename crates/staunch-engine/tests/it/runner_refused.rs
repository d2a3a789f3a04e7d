//! Steps that cannot be started, or whose output cannot be kept: each says why, and nothing is left.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use staunch_engine::runner::{Exit, How};

use crate::runner_kit::{BOUND, Bench, isolated, keeper, wait, wait_for};

/// Why it was not started, and whether the machine is to blame.
fn refusal(exit: &Exit) -> (&str, i32, bool) {
    match &exit.how {
        How::NotStarted { message, errno, transient } => (message, *errno, *transient),
        how => panic!("it was started: {how:?}"),
    }
}

isolated! {
    fn ground_g5_a_missing_shell() {
        let bench = Bench::new();
        let exit = bench.finish(bench.start(&["/bin/nosh", "-c", "true"]));
        assert_eq!(refusal(&exit), ("`/bin/nosh`: no such file or directory (the step's shell)", libc::ENOENT, false));
        let exit = bench.finish(bench.start(&["nosh"]));
        assert!(refusal(&exit).0.starts_with("`nosh`: not found in PATH="), "{exit:?}");
        let exit = bench.finish(bench.start(&[""]));
        assert_eq!(refusal(&exit).1, libc::ENOENT);
        let script = bench.script("orphan", "#!/no/such/interpreter\n");
        let exit = bench.finish(bench.start(&[script.to_str().unwrap()]));
        assert!(refusal(&exit).0.ends_with("the interpreter it names does not exist"), "{exit:?}");
        assert_eq!(bench.run(":").how, How::Code(0), "the keeper goes on");
        assert_eq!(bench.runner.stats().keepers, 1);
        bench.close();
    }

    fn ground_g5_a_missing_directory() {
        let bench = Bench::new();
        let gone = bench.path("gone");
        let mut start = bench.shell(":");
        start.directory.clone_from(&gone);
        let exit = bench.finish(start);
        let words = format!("`{}`: no such directory (the step's working directory)", gone.display());
        assert_eq!(refusal(&exit), (words.as_str(), libc::ENOENT, false));
        let mut start = bench.shell(":");
        start.directory = bench.script("file", "");
        assert!(refusal(&bench.finish(start)).0.contains("not a directory"));
        bench.close();
    }

    fn ground_g5_no_permission() {
        let bench = Bench::new();
        let plain = bench.script("plain", "echo hello\n");
        let exit = bench.finish(bench.start(&[plain.to_str().unwrap()]));
        assert_eq!((refusal(&exit).1, refusal(&exit).2), (libc::ENOEXEC, false));
        fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
        let exit = bench.finish(bench.start(&[plain.to_str().unwrap()]));
        assert_eq!((refusal(&exit).1, refusal(&exit).2), (libc::EACCES, false));
        assert!(refusal(&exit).0.contains("permission denied"));
        let mut start = bench.start(&["plain"]);
        start.env[0].1 = bench.directory.path().into();
        assert_eq!(refusal(&bench.finish(start)).1, libc::EACCES);
        bench.close();
    }

    fn ground_g5_more_than_a_process_can_be_given() {
        let bench = Bench::new();
        // One string may have 128 KiB; a longer script goes by a file.
        let long = format!(": {}", "x".repeat(200 << 10));
        let exit = bench.run(&long);
        assert_eq!((refusal(&exit).1, refusal(&exit).2), (libc::E2BIG, false));
        assert!(refusal(&exit).0.contains("the longest single one has 204802 bytes"), "{exit:?}");
        let script = bench.script("long.sh", &long);
        assert_eq!(bench.finish(bench.start(&["/bin/sh", "-e", script.to_str().unwrap()])).how, How::Code(0));
        // A megabyte in all is fine, and comes through whole.
        let mut start = bench.shell("env | grep ^BIG | wc -c");
        let variable = |i: usize| (format!("BIG{i}").into(), "y".repeat(100_000).into());
        start.env.extend((0..10).map(variable));
        let exit = bench.finish(start);
        assert_eq!((exit.how.clone(), exit.stdout.text.trim()), (How::Code(0), "1000060"), "{exit:?}");
        drop(exit);
        for (count, words) in [(40, "more than this system gives"), (100, "more than any process")] {
            let mut start = bench.shell(":");
            start.env.extend((0..count).map(variable));
            let exit = bench.finish(start);
            assert_eq!((refusal(&exit).1, refusal(&exit).2), (libc::E2BIG, false));
            assert!(refusal(&exit).0.contains(words), "{exit:?}");
        }
        bench.close();
    }

    fn ground_g5_a_string_no_process_can_have() {
        let bench = Bench::new();
        assert_eq!(refusal(&bench.finish(bench.start(&["/bin/sh", "a\0b"]))).1, libc::EINVAL);
        let mut start = bench.shell(":");
        start.env.push(("A=B".into(), "".into()));
        assert_eq!(refusal(&bench.finish(start)).1, libc::EINVAL);
        assert_eq!(refusal(&bench.finish(bench.start(&[]))).1, libc::EINVAL);
        bench.close();
    }

    fn ground_g5_no_file_descriptor_is_free() {
        let bench = Bench::new();
        let before = getrlimit(Resource::Nofile);
        let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let mut refused = 0;
        // With each more, the start gets one step further: pipes, socket, keeper, ...
        for free in 0..12 {
            let start = bench.shell("echo hello");
            setrlimit(Resource::Nofile, Rlimit { current: Some(open - 1 + free), maximum: before.maximum }).unwrap();
            let exit = wait(bench.runner.run(start));
            setrlimit(Resource::Nofile, before).unwrap();
            if let How::NotStarted { message, errno, transient } = &exit.how {
                assert!(*transient && *errno == libc::EMFILE, "{message}");
                refused += 1;
            } else {
                assert_eq!((exit.how, exit.stdout.text.as_str()), (How::Code(0), "hello\n"));
            }
        }
        assert!((4..12).contains(&refused), "{refused}");
        bench.close();
    }

    fn ground_g5_no_process_may_be_started() {
        // The limit does not bind root, so the keeper is somebody else, who may have one process: itself.
        let is_root = rustix::process::geteuid().is_root();
        let other = "setpriv --reuid=64321 --clear-groups prlimit --nproc=1";
        let mut command: Vec<_> = ["prlimit", "--nproc=1"].map(Into::into).into();
        if is_root {
            command = other.split(' ').map(Into::into).collect();
        }
        command.extend(keeper());
        let bench = Bench::with(|config| config.keeper = command);
        let mut start = bench.shell(":");
        start.directory = "/".into();
        let exit = bench.finish(start);
        let (message, errno, transient) = refusal(&exit);
        assert_eq!((errno, transient), (libc::EAGAIN, true), "{message}");
        bench.close();
    }

    fn ground_g5_a_keeper_that_is_none() {
        let bench = Bench::with(|config| config.keeper = vec!["/no/such/keeper".into()]);
        assert_eq!(refusal(&bench.run(":")).1, libc::ENOENT);
        bench.close();
        let bench = Bench::with(|config| config.keeper = vec!["/bin/true".into()]);
        let exit = bench.run(":");
        assert!(matches!(exit.how, How::KeeperLost | How::NotStarted { .. }), "{exit:?}");
        bench.close();
        let bench = Bench::with(|config| config.keeper = ["/bin/sh", "-c", "echo gibberish >&0; exec cat"].map(Into::into).into());
        let exit = bench.run(":");
        assert_eq!(exit.how, How::KeeperLost);
        bench.close();
    }

    fn ground_g5_a_full_disk_under_the_log() {
        let bench = Bench::new();
        let start = bench.shell("echo one; while [ ! -e go ]; do sleep 0.01; done");
        let key = start.key;
        let running = bench.runner.run(start);
        let log = wait_for(BOUND, || raw_log(&bench.path("logs"))).unwrap();
        fs::write(bench.path("go"), "").unwrap();
        assert!(wait(running).log.is_ok());
        // The same log again, on a device that is always full.
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        symlink("/dev/full", &log).unwrap();
        let mut start = bench.shell("head -c 300000 /dev/zero | tr '\\0' x; echo; echo err >&2; exit 5");
        (start.key, start.log) = (key, bench.logs.writer(key, 1));
        let exit = bench.finish(start);
        assert_eq!((exit.how.clone(), exit.stdout.bytes_total, exit.stderr.text.as_str()), (How::Code(5), 300_001, "err\n"));
        assert!(exit.stdout.truncated && exit.stdout.text.starts_with("xxx"), "the result is whole without the log");
        drop(exit);
        bench.close();
    }
}

fn raw_log(directory: &Path) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).ok()? {
        let path = entry.ok()?.path();
        let found = if path.is_dir() {
            raw_log(&path)
        } else {
            Some(path).filter(|path| path.extension().is_some_and(|e| e == "log"))
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
