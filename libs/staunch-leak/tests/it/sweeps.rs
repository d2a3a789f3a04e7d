//! Sweeps: red on what is left at one point only, green on code that owns what it holds.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use staunch_bounded::{Budget, Charge, OverBudget};
use staunch_leak::census::Resource;
use staunch_leak::fault::{
    Blame, Cut, CutShort, Fault, Manners, all_cancellations, all_crashes, all_faults, block_on, is_victim, victim,
};
use staunch_leak::gate::{current_thread, name_of_test, this_test};
use staunch_leak::{Options, fault_point};

/// Tells a victim where it writes.
const PLACE: &str = "STAUNCH_LEAK_TEST_PLACE";
/// More than leftovers of one name that anybody has: with all of them taken something else is wrong.
const DIRECTORIES_MAX: usize = 1_000;

fn brief() -> Options {
    Options::default().brief()
}

/// Panics on purpose would print some hundred backtraces.
fn quietly() {
    std::panic::set_hook(Box::new(|_| {}));
}

fn leaked(blame: &Blame) -> Vec<Resource> {
    match blame {
        Blame::Leaked(difference) => difference.changes.iter().map(|change| change.resource).collect(),
        _ => Vec::new(),
    }
}

/// What the reference's executor does with the output of a step: both streams into one text, each paid for.
struct Output {
    json: String,
    _charge: Charge,
}

fn step_output(budget: &Arc<Budget>, stdout: &str, stderr: &str) -> Result<Output, OverBudget> {
    let mut charge = budget.try_reserve(stdout.len() as u64)?;
    let mut json = format!("{{\"stdout\":{stdout:?}");
    charge.grow(stderr.len() as u64 + 40)?;
    json += &format!(",\"stderr\":{stderr:?}}}");
    Ok(Output { json, _charge: charge })
}

static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The reference's leak: what was built for the first stream stays when the second fails.
fn step_output_that_leaks(budget: &Arc<Budget>, stdout: &str) -> Result<(), OverBudget> {
    let first = budget.try_reserve(stdout.len() as u64)?;
    let json = format!("{{\"stdout\":{stdout:?}");
    if let Err(refusal) = budget.try_reserve(40) {
        KEPT.lock().unwrap().push(json);
        return Err(refusal);
    }
    drop(first);
    Ok(())
}

staunch_leak::alone! {
    fn ground_g5_the_step_output_is_freed_wherever_it_fails() {
        quietly();
        let budget = Budget::root("process", 10_000);
        let swept = all_faults(&Options::default().budget(&budget), Manners::default(), || {
            let output = step_output(&budget, "out", "err")?;
            assert_eq!(output.json, r#"{"stdout":"out","stderr":"err"}"#);
            Ok::<(), OverBudget>(())
        });
        assert_eq!(swept.unwrap().to_string(), "swept 2 points in 12 runs");
    }

    fn in_turn_each_point_fails_in_one_manner() {
        quietly();
        let budget = Budget::root("process", 10_000);
        let two = || step_output(&budget, "out", "err").map(drop);
        let in_turn = Manners { in_turn: true, ..Manners::default() };
        assert_eq!(all_faults(&Options::default(), in_turn, two).unwrap().to_string(), "swept 2 points in 4 runs");
        // The second point fails for good, which is when the leak shows as well.
        KEPT.lock().unwrap().reserve(1_000);
        let leaks = || step_output_that_leaks(&budget, "out");
        let broken = all_faults(&brief(), in_turn, leaks).unwrap_err();
        assert_eq!((broken.at, broken.manner), (1, "errors from then on"), "{broken}");
    }

    fn ground_g5_output_that_stays_when_the_second_stream_fails_is_found() {
        quietly();
        KEPT.lock().unwrap().reserve(1_000);
        let budget = Budget::root("process", 10_000);
        let broken = all_faults(&brief(), Manners::default(), || step_output_that_leaks(&budget, "out")).unwrap_err();
        assert_eq!((broken.at, broken.point, broken.manner), (1, Some("budget.reserve"), "an error once"));
        assert_eq!(leaked(&broken.blame), [Resource::Bytes, Resource::Blocks], "{broken}");
    }

    fn a_descriptor_that_stays_on_one_error_path_is_found() {
        let kept = Cell::new(Vec::with_capacity(100));
        let broken = all_faults(&brief(), Manners::default(), || {
            let file = File::open("/dev/null")?;
            fault_point!("first")?;
            if let Err(fault) = fault_point!("second") {
                let mut all = kept.take();
                all.push(file);
                kept.set(all);
                return Err(fault.into());
            }
            fault_point!("third")?;
            Ok::<(), io::Error>(())
        });
        let broken = broken.unwrap_err();
        assert_eq!((broken.at, broken.point, broken.manner), (1, Some("second"), "an error once"), "{broken}");
        assert_eq!(leaked(&broken.blame), [Resource::Fd]);
    }

    fn an_error_that_is_swallowed_is_found() {
        let swallows = || {
            fault_point!("told")?;
            let _nobody_asks = fault_point!("swallowed");
            Ok::<(), Fault>(())
        };
        let once = Manners { panic: false, ..Manners::default() };
        let broken = all_faults(&Options::default(), once, swallows).unwrap_err();
        assert_eq!((broken.at, broken.point, &broken.blame), (1, Some("swallowed"), &Blame::Swallowed));
        assert!(broken.to_string().contains("swallowed"), "{broken}");
    }

    fn who_tries_again_may_recover_once_but_not_for_ever() {
        quietly();
        let tries_twice = || fault_point!("try").or_else(|_| fault_point!("try again"));
        let broken = all_faults(&Options::default(), Manners::default(), tries_twice).unwrap_err();
        assert_eq!(broken.blame, Blame::Swallowed);
        let recovers = Manners { may_recover: true, ..Manners::default() };
        assert_eq!(all_faults(&Options::default(), recovers, tries_twice).unwrap().points, 1);
    }

    fn a_sweep_over_nothing_is_no_pass() {
        let broken = all_faults(&Options::default(), Manners::default(), || Ok::<(), Fault>(())).unwrap_err();
        assert_eq!(broken.blame, Blame::NoPoints);
        let fails = || Err::<(), _>("anyway");
        assert_eq!(all_faults(&Options::default(), Manners::default(), fails).unwrap_err().blame, Blame::Unprovoked("anyway".into()));
    }

    fn runs_that_differ_are_found() {
        let turn = Cell::new(0);
        let differs = || {
            turn.set(turn.get() + 1);
            if turn.get() == 1 { fault_point!("only the first time") } else { Ok(()) }
        };
        assert_eq!(all_faults(&Options::default(), Manners::default(), differs).unwrap_err().blame, Blame::Unsteady);
    }

    fn a_panic_that_leaves_something_is_found() {
        quietly();
        let held = Rc::new(Cell::new(0u64));
        let counted = Rc::clone(&held);
        let broken = all_faults(&brief().counter("slots", move || counted.get()), Manners::default(), || {
            held.set(held.get() + 1);
            // An error is handled; nobody thought of unwinding.
            let done = fault_point!("work");
            held.set(held.get() - 1);
            done
        });
        let broken = broken.unwrap_err();
        assert_eq!((broken.manner, leaked(&broken.blame)), ("a panic", vec![Resource::Count]), "{broken}");
    }
}

/// A slot that is given back by hand.
async fn careless(slots: Rc<Cell<u64>>) {
    slots.set(slots.get() + 1);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    slots.set(slots.get() - 1);
}

/// A slot that is given back by its owner's end.
async fn careful(slots: Arc<tokio::sync::Semaphore>) {
    let _permit = slots.acquire().await;
    let buffer = vec![0u8; 10_000];
    tokio::task::yield_now().await;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(buffer.len(), 10_000);
}

staunch_leak::alone! {
    fn a_slot_that_is_given_back_by_hand_is_found() {
        let slots = Rc::new(Cell::new(0));
        let counted = Rc::clone(&slots);
        let options = brief().counter("slots", move || counted.get());
        let broken = all_cancellations(&options, block_on, || careless(Rc::clone(&slots)), || {}).unwrap_err();
        assert_eq!((broken.at, leaked(&broken.blame)), (1, vec![Resource::Count]), "{broken}");
        assert!(broken.to_string().contains("count slots: 1 -> 2 (+1)"), "{broken}");
    }

    fn a_slot_that_is_owned_is_given_back_at_every_await() {
        let runtime = current_thread();
        let slots = Arc::new(tokio::sync::Semaphore::new(4));
        let counted = Arc::clone(&slots);
        let options = Options::default().counter("slots taken", move || 4 - counted.available_permits() as u64);
        let free = || assert_eq!(slots.available_permits(), 4);
        let run = |future: CutShort<_>| runtime.block_on(future);
        let swept = all_cancellations(&options, run, || careful(Arc::clone(&slots)), free).unwrap();
        assert!(swept.points >= 3, "{swept}");
    }

    fn a_task_that_outlives_the_one_who_waits_for_it_is_found() {
        let runtime = current_thread();
        let metrics = runtime.metrics();
        let (sender, _receiver) = tokio::sync::watch::channel(());
        let options = brief().counter("tasks alive", move || metrics.num_alive_tasks() as u64);
        #[expect(clippy::disallowed_methods, reason = "the task without an owner is what is to be found")]
        let spawns = || {
            let mut receiver = sender.subscribe();
            async move { tokio::spawn(async move { drop(receiver.changed().await) }).await.unwrap() }
        };
        let broken = all_cancellations(&options, |future| runtime.block_on(future), spawns, || {}).unwrap_err();
        assert!(broken.at == 1 && leaked(&broken.blame).contains(&Resource::Count), "{broken}");
    }

    fn a_check_that_fails_and_a_future_without_awaits_are_told() {
        quietly();
        let yields = || async { tokio::task::yield_now().await };
        let run = |future: CutShort<_>| current_thread().block_on(future);
        let broken = all_cancellations(&Options::default(), run, yields, || panic!("not so")).unwrap_err();
        assert_eq!(broken.blame, Blame::Check("not so".into()));
        let ready = all_cancellations(&Options::default(), block_on, || async {}, || {}).unwrap_err();
        assert_eq!(ready.blame, Blame::NoPoints);
        assert_eq!(block_on(CutShort::new(async {}, 1)), Cut::Completed);
    }
}

/// Writes a line so that a reader sees the old one or the new one, and never half of it.
fn write_by_renaming(directory: &Path, leave: bool) -> io::Result<()> {
    let aside = if leave { directory.join(format!("aside-{}", std::process::id())) } else { directory.join("aside") };
    fault_point!("journal.create")?;
    fs::write(&aside, "half")?;
    fault_point!("journal.write")?;
    fs::write(&aside, "a whole line\n")?;
    fault_point!("journal.rename")?;
    fs::rename(&aside, directory.join("journal"))
}

/// A directory that no other process has, or in a victim that of its parent.
fn directory(name: &str) -> PathBuf {
    if is_victim() {
        return std::env::var_os(PLACE).unwrap().into();
    }
    // One that is there already was left by a process of the same number, or is another container's.
    (0..DIRECTORIES_MAX)
        .map(|turn| std::env::temp_dir().join(format!("staunch-leak-{name}-{}-{turn}", std::process::id())))
        .find(|directory| match fs::create_dir(directory) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => panic!("{}: {error}", directory.display()),
        })
        .unwrap()
}

/// This test again, as a victim in this directory.
fn again(name: &str, directory: &Path) -> Command {
    let mut command = this_test(&name_of_test(module_path!(), name));
    command.env(PLACE, directory);
    command
}

staunch_leak::alone! {
    fn a_file_that_is_written_aside_survives_a_crash_at_each_point() {
        let directory = directory("crash-green");
        if is_victim() {
            return victim(|| write_by_renaming(&directory, false)).unwrap();
        }
        let options = Options::default().files_under(&directory);
        let swept = all_crashes(&options, || again("a_file_that_is_written_aside_survives_a_crash_at_each_point", &directory), |_| {
            // Recovery: what lies aside was never promised.
            drop(fs::remove_file(directory.join("aside")));
            match fs::read_to_string(directory.join("journal")) {
                Ok(text) => assert_eq!(text, "a whole line\n"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
            }
            write_by_renaming(&directory, false).unwrap();
        });
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(swept.unwrap().to_string(), "swept 3 points in 4 runs");
    }

    fn a_file_that_each_crash_leaves_is_found() {
        let directory = directory("crash-red");
        if is_victim() {
            return victim(|| write_by_renaming(&directory, true)).unwrap();
        }
        let options = brief().files_under(&directory);
        let broken = all_crashes(&options, || again("a_file_that_each_crash_leaves_is_found", &directory), |_| {});
        fs::remove_dir_all(&directory).unwrap();
        let broken = broken.unwrap_err();
        assert!(broken.at == 1 && broken.to_string().contains("/aside-"), "{broken}");
    }

    fn half_a_file_after_a_crash_is_found() {
        let directory = directory("crash-half");
        if is_victim() {
            return victim(|| write_by_renaming(&directory, false)).unwrap();
        }
        quietly();
        let broken = all_crashes(&brief(), || again("half_a_file_after_a_crash_is_found", &directory), |_| {
            assert_ne!(fs::read_to_string(directory.join("aside")).unwrap_or_default(), "half");
        });
        fs::remove_dir_all(&directory).unwrap();
        let broken = broken.unwrap_err();
        assert!(broken.at == 1 && matches!(broken.blame, Blame::Check(_)), "{broken}");
    }

    fn a_victim_that_fails_by_itself_is_no_crash() {
        let broken = all_crashes(&brief(), || Command::new("false"), |_| {}).unwrap_err();
        assert!(matches!(broken.blame, Blame::Unprovoked(_)), "{broken}");
        let broken = all_crashes(&brief(), || Command::new("true"), |_| {}).unwrap_err();
        assert!(matches!(broken.blame, Blame::Unprovoked(_)), "it says nothing of points: {broken}");
        let broken = all_crashes(&brief(), || Command::new("no such program"), |_| {}).unwrap_err();
        assert!(broken.to_string().contains("cannot be started"), "{broken}");
    }
}
