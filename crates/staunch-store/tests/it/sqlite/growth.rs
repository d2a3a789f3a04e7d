//! Nothing is left of a store that was closed or dropped.

use staunch_store::{Durability, Sqlite, Store};

use crate::conformance::{LIMITS, block_on, new_run};

/// File descriptors of this process under a directory, and the names of its threads that belong to a store.
fn held(place: &std::path::Path) -> (Vec<String>, usize) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let files = files.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    let files = files.filter(|f| f.starts_with(place)).map(|f| f.display().to_string()).collect();
    let names = std::fs::read_dir("/proc/self/task").unwrap();
    let names = names.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    (files, names.filter(|name| name.starts_with("store-")).count())
}

/// Waits until nothing is held any more: the kernel lists a joined thread for a moment longer.
fn assert_nothing_held(place: &std::path::Path, when: &str) {
    let start = std::time::Instant::now();
    loop {
        let held = held(place);
        if held == (Vec::new(), 0) {
            return;
        }
        assert!(start.elapsed().as_secs() < 5, "{when}: {held:?}");
        std::thread::yield_now();
    }
}

/// Opens, works with all threads at once, and ends, twenty times over. Runs in a process of its own, so that no other test's
/// store is counted.
fn body() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    for round in 0..20 {
        block_on(async {
            let store = std::sync::Arc::new(Sqlite::open(&place, LIMITS, Durability::Off).unwrap());
            let text = std::sync::Arc::from(crate::conformance::text("w"));
            let revision = staunch_store::NewRevision { name: "w".to_owned(), text, file: None };
            store.publish(revision).await.unwrap();
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..16 {
                let store = std::sync::Arc::clone(&store);
                all.spawn(async move {
                    let run = store.submit(new_run("w", &[0]), None).await.unwrap().run;
                    assert!(store.run(run).await.unwrap().is_some());
                });
            }
            all.join_all().await;
            let (files, threads) = held(&place);
            assert!(files.len() >= 3 && threads >= 2, "it holds its file and its threads: {files:?}, {threads}");
            // Both ways of ending.
            if round % 2 == 0 {
                store.close().await;
                assert_nothing_held(&place, "after close");
            }
        });
        assert_nothing_held(&place, "after drop");
    }
    let mut left: Vec<_> = std::fs::read_dir(&place).unwrap().map(|f| f.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["lock", "staunch.db"], "the log went into the file");
}

#[test]
fn opening_and_closing_leaves_no_descriptor_and_no_thread() {
    super::killed::in_a_child("sqlite::growth::opening_and_closing_leaves_no_descriptor_and_no_thread", body);
}
