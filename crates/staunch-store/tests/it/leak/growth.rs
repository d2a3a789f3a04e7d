//! Used again and again, a store is as it was: bytes, blocks, descriptors, threads, files, and rows by table.

use std::rc::Rc;

use staunch_leak::gate::{current_thread, no_growth_async};
use staunch_leak::no_growth;
use staunch_store::{Sqlite, Store, StoreError};

use super::world::{World, rows};
use super::{logs, people, runs};
use crate::conformance::block_on;

/// Does `work` in one store that stays open, again and again. Its rows are counted too.
fn flat(work: &impl AsyncFn(&Sqlite, &World) -> Result<(), StoreError>) {
    let world = Rc::new(World::with_an_empty_store());
    world.begin();
    let store = world.opening().open().unwrap();
    block_on(warm_up(&store, &world, work));
    let database = world.database();
    let options = world.options().counters(move |counts| {
        counts.extend(rows(&database).into_iter().map(|(table, rows)| (format!("rows of {table}"), rows)));
    });
    let found = no_growth_async(options, current_thread(), async || {
        work(&store, &world).await.unwrap();
        world.acks();
    });
    block_on(store.close());
    if let Err(growth) = found {
        panic!("{growth}");
    }
}

/// Until the write-ahead log was put away once and is overwritten: then each statement of the checkpointer has been prepared, too.
async fn warm_up(store: &Sqlite, world: &World, work: &impl AsyncFn(&Sqlite, &World) -> Result<(), StoreError>) {
    /// The checkpointer's bound is 1,000 pages.
    const PUT_AWAY: u64 = 1_000 * 4_096;
    let (mut before, mut same) = (0, 0);
    for _ in 0..10_000 {
        work(store, world).await.unwrap();
        world.acks();
        let bytes = store.usage().await.unwrap().wal_bytes;
        same = if bytes == before { same + 1 } else { 0 };
        before = bytes;
        if bytes > PUT_AWAY && same == 3 {
            return;
        }
    }
    panic!("the log is put away when it is long: {before} bytes");
}

staunch_leak::alone! {
    fn ground_g6_runs_leave_nothing() {
        flat(&runs::whole_life);
    }

    fn ground_g6_questions_leave_nothing() {
        flat(&runs::a_run_and_questions);
    }

    fn ground_g6_texts_that_change_leave_nothing() {
        flat(&runs::texts);
    }

    fn ground_g6_workers_that_come_and_go_leave_nothing() {
        flat(&runs::workers);
    }

    fn ground_g6_refused_submissions_leave_nothing() {
        flat(&runs::refusals);
    }

    fn ground_g6_sessions_leave_nothing() {
        flat(&async |store, world| {
            let ada = people::admin(store, world).await;
            people::sessions(store, world, &ada).await?;
            people::expire(store, world).await
        });
    }

    fn ground_g6_tokens_leave_nothing() {
        flat(&async |store, world| {
            let ada = people::admin(store, world).await;
            people::tokens(store, world, &ada).await?;
            people::expire(store, world).await
        });
    }

    fn ground_g6_users_leave_nothing() {
        flat(&async |store, world| {
            people::admin(store, world).await;
            people::a_user(store, world).await
        });
    }

    fn ground_g6_the_audit_log_stays_at_its_bound() {
        flat(&people::audit);
    }

    fn ground_g6_logs_leave_nothing() {
        let world = World::new();
        let flat = no_growth(&world.options(), || {
            logs::in_logs(&world, logs::whole_life).unwrap();
            logs::check(&world);
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }

    /// In one set of logs that stays open.
    fn ground_g6_logs_that_stay_open_leave_nothing() {
        let world = World::new();
        world.begin();
        let logs = block_on(logs::open(&world)).unwrap();
        let usage = std::sync::Arc::clone(&logs);
        let options = world.options().counter("bytes of logs", move || usage.usage_bytes());
        let flat = no_growth_async(options, current_thread(), async || {
            logs::whole_life(&logs, &world).await.unwrap();
            world.acks();
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }

    fn ground_g6_a_store_that_is_opened_used_and_closed_leaves_nothing() {
        let world = World::with_an_empty_store();
        let flat = no_growth(&world.options(), || {
            world.in_a_store(runs::a_run_and_questions).unwrap();
            runs::check(&world);
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }

    /// As it is opened outside tests: four readers, who all read at once, and a store that nobody closes.
    fn ground_g6_a_store_that_is_dropped_leaves_nothing() {
        let world = World::with_an_empty_store();
        let flat = no_growth(&world.options(), || {
            world.begin();
            block_on(async {
                let mut opening = world.opening();
                opening.readers_max = 4;
                let store = opening.open().unwrap();
                store.publish(runs::revision()).await.unwrap();
                let mut all = tokio::task::JoinSet::new();
                let store = std::sync::Arc::new(store);
                for _ in 0..64 {
                    let store = std::sync::Arc::clone(&store);
                    all.spawn(async move { assert_eq!(store.workflows().await.unwrap().len(), 1) });
                }
                all.join_all().await;
            });
            // Its threads were waited for: none of them holds the directory a moment longer.
            std::fs::File::open(world.place.join("lock")).unwrap().try_lock().unwrap();
            runs::check(&world);
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }

    fn ground_g6_a_store_that_cannot_be_opened_leaves_nothing() {
        let world = World::new();
        let flat = no_growth(&world.options(), || {
            world.begin();
            std::fs::write(world.database(), b"no database".repeat(1_000)).unwrap();
            assert!(matches!(world.opening().open(), Err(StoreError::Damaged(_))));
            world.clear();
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }
}
