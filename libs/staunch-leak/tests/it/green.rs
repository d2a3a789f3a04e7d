//! What gives everything back passes, whatever it took meanwhile.

use std::collections::HashMap;
use std::fs::File;
use std::process::Command;
use std::sync::{Arc, Mutex};

use staunch_leak::gate::{current_thread, no_growth_async};
use staunch_leak::{Options, no_growth};

fn shared_directory() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("staunch-leak-green-{}", std::process::id()))
}

staunch_leak::test! {
    fn memory_that_is_freed() {
        let mut map = HashMap::new();
        for n in 0..1_000 {
            map.insert(n, vec![0u8; n]);
        }
        assert_eq!(map.len(), 1_000);
    }

    fn threads_that_are_joined() {
        let total = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..4).map(|n| {
            let total = Arc::clone(&total);
            std::thread::spawn(move || *total.lock().unwrap() += n)
        }).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    fn files_that_are_closed_and_children_that_are_waited_for() {
        let _file = File::open("/dev/null").unwrap();
        assert!(Command::new("true").status().unwrap().success());
    }

    fn temporary_files_that_are_removed(Options::default().files_under(shared_directory())) {
        std::fs::create_dir_all(shared_directory()).unwrap();
        std::fs::write(shared_directory().join("x"), "x").unwrap();
        std::fs::remove_dir_all(shared_directory()).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "tests have no owner of tasks")]
    async fn tasks_that_end() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(receiver);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        sender.send(5).unwrap();
        assert_eq!(task.await.unwrap().unwrap(), 5);
    }

    #[expect(clippy::disallowed_methods, reason = "tests have no owner of tasks")]
    async fn tasks_that_end_a_little_later() {
        drop(tokio::spawn(tokio::time::sleep(std::time::Duration::from_millis(5))));
    }
}

staunch_leak::alone! {
    fn a_runtime_a_round_with_blocking_threads() {
        #[expect(clippy::disallowed_methods, reason = "tests have no owner of threads")]
        let flat = no_growth(&Options::default(), || {
            current_thread().block_on(async { assert_eq!(tokio::task::spawn_blocking(|| 7).await.unwrap(), 7) });
        });
        flat.unwrap();
    }

    fn a_panic_that_is_caught() {
        std::panic::set_hook(Box::new(|_| {}));
        let flat = no_growth(&Options::default(), || {
            let caught = std::panic::catch_unwind(|| {
                let _held = vec![1; 100];
                panic!("on purpose");
            });
            assert!(caught.is_err());
        });
        assert_eq!(flat.unwrap().to_string(), "no growth over 20 rounds");
    }

    fn a_runtime_a_round_with_two_threads() {
        let flat = no_growth(&Options::default(), || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async { tokio::time::sleep(std::time::Duration::from_millis(1)).await });
        });
        flat.unwrap();
    }

    fn what_became_less_is_no_growth() {
        let mut early: Vec<Box<u64>> = (0..10).map(Box::new).collect();
        let flat = no_growth(&Options::default().settle_max(std::time::Duration::from_millis(50)), || drop(early.pop()));
        assert!(flat.is_ok());
    }

    fn many_options_at_once() {
        let flat = no_growth_async(
            Options::default().warm_ups(1).rounds(5).counter("none", || 0),
            current_thread(),
            async || tokio::task::yield_now().await,
        );
        assert_eq!(flat.unwrap().rounds, 5);
    }
}
