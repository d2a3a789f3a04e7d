//! A leak of each kind turns the gate red, and is named.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use staunch_bounded::{Bounds, Budget, Charge, Policy, TtlMap};
use staunch_leak::census::Resource;
use staunch_leak::gate::{Growth, current_thread, no_growth_async};
use staunch_leak::{Census, Options, no_growth};

/// Longer than any child here takes to end on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

/// Few rounds and no patience: these leaks do not end by waiting.
fn brief() -> Options {
    Options::default().brief()
}

/// How many are more; of some names there may be less.
fn grown(growth: &Growth, resource: Resource) -> u64 {
    let changes = growth.difference.changes.iter().filter(|change| change.resource == resource);
    changes.map(|change| change.after.saturating_sub(change.before)).sum()
}

/// Waits until a child has ended, and leaves it a zombie.
fn until_zombie(child: &Child) {
    let begun = Instant::now();
    while !Census::take(None, &[]).children.get(&child.id()).is_some_and(|name| name.ends_with(" (zombie)")) {
        assert!(begun.elapsed() < BOUND, "{child:?} does not end");
        std::thread::yield_now();
    }
}

/// A store that nobody sweeps: reachable, so that no leak checker of unreachable memory sees it.
static NEVER_SWEPT: Mutex<Vec<Arc<[u8; 8]>>> = Mutex::new(Vec::new());

#[inline(never)]
fn a_store_that_nobody_sweeps() {
    NEVER_SWEPT.lock().unwrap().push(Arc::new([1; 8]));
}

staunch_leak::alone! {
    fn ground_g6_sixteen_bytes_a_round_are_seen_and_their_site_is_named() {
        NEVER_SWEPT.lock().unwrap().reserve(1_000);
        let growth = no_growth(&brief(), a_store_that_nobody_sweeps).unwrap_err();
        assert_eq!((grown(&growth, Resource::Bytes), grown(&growth, Resource::Blocks)), (20 * 24, 20));
        let site = growth.sites.first().unwrap();
        assert_eq!((site.bytes, site.blocks), (20 * 24, 20), "{growth}");
        assert!(site.who().contains("a_store_that_nobody_sweeps") && site.who().contains("red.rs:"), "{growth}");
        assert!(growth.to_string().contains("480 bytes in 20 blocks, allocated by "), "{growth}");
    }

    fn a_circle_of_counted_pointers_is_seen() {
        struct Node(RefCell<Option<Rc<Self>>>);
        let mut all = Vec::with_capacity(100);
        let growth = no_growth(&brief(), || {
            let node = Rc::new(Node(RefCell::new(None)));
            *node.0.borrow_mut() = Some(Rc::clone(&node));
            // Kept weakly, so that the test can break the circles again: it must not itself leak under LeakSanitizer.
            all.push(Rc::downgrade(&node));
        });
        let growth = growth.unwrap_err();
        assert_eq!(grown(&growth, Resource::Blocks), 20, "{growth}");
        assert!(growth.sites.first().unwrap().who().contains("/red.rs:"), "{growth}");
        for node in all.iter().filter_map(std::rc::Weak::upgrade) {
            node.0.borrow_mut().take();
        }
    }

    fn one_leak_in_twenty_rounds_is_seen_and_said_not_to_repeat() {
        let turn = Cell::new(0);
        let mut kept = None;
        let growth = no_growth(&brief(), || {
            turn.set(turn.get() + 1);
            if turn.get() == 10 {
                kept = Some(Box::new(7u8));
            }
        });
        let growth = growth.unwrap_err();
        assert_eq!(grown(&growth, Resource::Bytes), 1);
        assert!(growth.to_string().contains("did not grow again"), "{growth}");
        assert!(kept.is_some());
    }

    fn a_descriptor_is_seen_and_where_it_leads() {
        let mut kept = Vec::with_capacity(100);
        let growth = no_growth(&brief(), || kept.push(File::open("/dev/null").unwrap())).unwrap_err();
        assert_eq!(grown(&growth, Resource::Fd), 20);
        assert!(growth.to_string().contains("fd /dev/null: ") && growth.to_string().contains(" (+20): "), "{growth}");
        assert_eq!(kept.len(), 23);
        assert!(growth.sites.is_empty(), "memory did not grow: {growth}");
    }

    fn a_thread_is_seen_by_name() {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<()>(0);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut kept = Vec::with_capacity(100);
        let growth = no_growth(&brief().rounds(3), || {
            let receiver = Arc::clone(&receiver);
            // It names itself as it starts, so it is heard first.
            let (starts, started) = std::sync::mpsc::sync_channel::<()>(0);
            let wait = move || {
                starts.send(()).unwrap();
                receiver.lock().unwrap().recv().is_err()
            };
            kept.push(std::thread::Builder::new().name("forgotten".into()).spawn(wait).unwrap());
            started.recv().unwrap();
        });
        let growth = growth.unwrap_err();
        assert_eq!(grown(&growth, Resource::Thread), 3);
        assert!(growth.to_string().contains("thread forgotten: 3 -> 6 (+3)"), "{growth}");
        drop(sender);
        assert!(kept.into_iter().all(|thread| thread.join().unwrap()));
    }

    fn a_child_is_seen_by_name() {
        let mut kept: Vec<Child> = Vec::with_capacity(100);
        let growth = no_growth(&brief().rounds(2), || {
            let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            // It has this thread's name until it is its own program, so it answers first.
            child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            kept.push(child);
        });
        let growth = growth.unwrap_err();
        assert_eq!(grown(&growth, Resource::Child), 2);
        assert!(growth.to_string().contains("child cat: 3 -> 5 (+2)"), "{growth}");
        for mut child in kept {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    fn a_child_that_nobody_waited_for_is_a_zombie() {
        let mut kept: Vec<Child> = Vec::with_capacity(100);
        let growth = no_growth(&Options::default().rounds(2).settle_max(Duration::from_secs(1)), || {
            let child = Command::new("true").spawn().unwrap();
            until_zombie(&child);
            kept.push(child);
        });
        let growth = growth.unwrap_err();
        assert!(growth.to_string().contains("child true (zombie): 3 -> 5 (+2)"), "{growth}");
        assert!(kept.iter_mut().all(|child| child.wait().unwrap().success()));
    }

    fn a_temporary_file_is_seen_by_its_path() {
        let directory = std::env::temp_dir().join(format!("staunch-leak-red-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let number = Cell::new(0);
        let growth = no_growth(&brief().files_under(&directory), || {
            number.set(number.get() + 1);
            std::fs::write(directory.join(format!("left-{}", number.get())), "x").unwrap();
        });
        std::fs::remove_dir_all(&directory).unwrap();
        let growth = growth.unwrap_err();
        assert_eq!(grown(&growth, Resource::File), 20);
        assert!(growth.to_string().contains("/left-10, "), "{growth}");
    }

    fn a_row_is_seen_by_its_counter() {
        let rows = Rc::new(Cell::new(0));
        let counted = Rc::clone(&rows);
        let growth = no_growth(&brief().counter("rows of runs", move || counted.get()), || rows.set(rows.get() + 1));
        assert_eq!(growth.unwrap_err().difference.to_string(), "count rows of runs: 3 -> 23 (+20)");
    }

    fn a_charge_and_an_entry_are_seen_by_their_names() {
        let census = Arc::new(staunch_bounded::Census::default());
        let budget = Budget::root("captures", 1_000);
        let bounds = Bounds { entries_max: 100, bytes_max: 1_000, age_max: Duration::MAX };
        let mut map = TtlMap::new("sessions", bounds, Policy::Refuse);
        census.register(&budget);
        census.register(map.gauge());
        let mut kept: Vec<Charge> = Vec::with_capacity(100);
        let mut key = 0;
        let growth = no_growth(&brief().without_memory().bounded(&census), || {
            kept.push(budget.try_reserve(5).unwrap());
            key += 1;
            map.insert(key, (), 2, Duration::ZERO).unwrap();
        });
        let text = growth.unwrap_err().difference.to_string();
        assert_eq!(
            text,
            "count bytes of captures: 15 -> 115 (+100)\n\
             count bytes of sessions: 6 -> 46 (+40)\n\
             count entries of sessions: 3 -> 23 (+20)"
        );
        let growth = no_growth(&brief().without_memory().budget(&budget), || kept.push(budget.try_reserve(1).unwrap()));
        assert!(growth.unwrap_err().to_string().contains("count bytes on budget captures"));
        assert_eq!(kept.len(), 46);
    }

    fn a_task_is_seen_and_where_it_was_spawned() {
        let (sender, _receiver) = tokio::sync::watch::channel(());
        let growth = no_growth_async(brief(), current_thread(), async || spawn_and_forget(&sender));
        let growth = growth.unwrap_err();
        assert_eq!(grown(&growth, Resource::Count), 20, "{growth}");
        assert!(growth.to_string().contains("count tasks alive: 3 -> 23 (+20)"), "{growth}");
        assert!(growth.to_string().contains("spawn_and_forget"), "{growth}");
    }

    fn a_task_kind_is_seen_by_its_name() {
        let kinds = Rc::new(Cell::new(0));
        let counted = Rc::clone(&kinds);
        let options = brief().counters(move |counts| {
            counts.insert("tasks of kind sse".to_owned(), counted.get());
        });
        let growth = no_growth(&options, || kinds.set(kinds.get() + 1)).unwrap_err();
        assert_eq!(growth.difference.to_string(), "count tasks of kind sse: 3 -> 23 (+20)");
    }
}

#[expect(clippy::disallowed_methods, reason = "the task without an owner is the leak that is to be found")]
fn spawn_and_forget(sender: &tokio::sync::watch::Sender<()>) {
    let mut receiver = sender.subscribe();
    drop(tokio::spawn(async move { drop(receiver.changed().await) }));
}

/// What `test!` makes of a leak, seen from outside: run by the test below, not by the harness.
mod seeded {
    staunch_leak::test! {
        #[ignore = "leaks on purpose; run by the test below"]
        fn a_leaking_test(staunch_leak::Options::default().brief()) {
            super::a_store_that_nobody_sweeps();
        }
    }
}

#[test]
fn a_leaking_test_fails_with_the_site_in_its_output() {
    let mut command = staunch_leak::gate::this_test("red::seeded::a_leaking_test");
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("growth over 20 rounds") && text.contains("a_store_that_nobody_sweeps"), "{text}");
}

#[test]
fn a_name_that_no_test_has_is_no_pass() {
    let run = std::panic::catch_unwind(|| staunch_leak::gate::this_test("red::no_such_test").output().unwrap());
    let output = run.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("0 passed"), "the harness calls it a success");
}
