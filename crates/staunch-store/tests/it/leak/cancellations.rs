//! Callers are dropped at each await in turn, as handlers are whose clients have gone: a write is done or not done, never half.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use staunch_leak::fault::{CutShort, Swept, all_cancellations};
use staunch_leak::gate::current_thread;
use staunch_store::{Accounts, Logs, Sqlite, Store};

use super::world::{World, with_an_await};
use super::{logs, people, runs};
use crate::conformance::block_on;

/// Drops what `make` makes of the world after each number of polls; then `end` ends what it worked on.
fn cut<F: Future>(world: &World, make: impl FnMut() -> F, end: impl FnMut()) -> Swept {
    let runtime = current_thread();
    let swept = all_cancellations(&world.options(), |future: CutShort<F>| runtime.block_on(future), make, end);
    swept.unwrap_or_else(|broken| panic!("{broken}"))
}

/// The same in a store, which outlives its caller, goes on, and is closed.
fn cut_in_a_store<F: Future>(
    world: &Rc<World>,
    work: impl Fn(Arc<Sqlite>, Rc<World>) -> F,
    check: fn(&World),
) -> Swept {
    let open = RefCell::new(None);
    let make = || {
        world.begin();
        let store = Arc::new(world.opening().open().unwrap());
        *open.borrow_mut() = Some(Arc::clone(&store));
        work(store, Rc::clone(world))
    };
    let end = || {
        let store: Arc<Sqlite> = open.take().unwrap();
        block_on(async {
            // Nobody stands in its way.
            store.publish(runs::revision()).await.unwrap();
            store.close().await;
        });
        drop(store);
        check(world);
    };
    cut(world, make, end)
}

staunch_leak::alone! {
    fn ground_g5_runs_survive_callers_that_go_at_each_await() {
        let world = Rc::new(World::with_an_empty_store());
        let work = |store: Arc<Sqlite>, world: Rc<World>| async move { runs::whole_life(&store, &world).await.unwrap() };
        assert!(cut_in_a_store(&world, work, runs::check).points > 20);
    }

    fn ground_g5_questions_survive_callers_that_go_at_each_await() {
        let world = Rc::new(World::with_an_empty_store());
        let work =
            |store: Arc<Sqlite>, world: Rc<World>| async move { runs::a_run_and_questions(&store, &world).await.unwrap() };
        assert!(cut_in_a_store(&world, work, runs::check).points > 15);
    }

    fn ground_g5_accounts_survive_callers_that_go_at_each_await() {
        let world = Rc::new(World::with_an_empty_store());
        let work = |store: Arc<Sqlite>, world: Rc<World>| async move {
            people::whole_life(&store, &world).await.unwrap();
        };
        let check = |world: &World| {
            // The revision is the canary's.
            block_on(async {
                let store = world.opening().open().unwrap();
                store.retire("w").await.unwrap();
                store.sweep(&staunch_store::Retention::default(), 1).await.unwrap();
                store.close().await;
            });
            people::check(world);
        };
        assert!(cut_in_a_store(&world, work, check).points > 20);
    }

    /// There is one place in the queue: two of three writes wait for it, and are dropped while they do.
    fn ground_g5_the_queue_survives_callers_that_go_while_they_wait_for_room() {
        let world = Rc::new(World::with_an_empty_store());
        let work = |store: Arc<Sqlite>, _: Rc<World>| async move {
            let (publish, retire, sweep) = tokio::join!(
                with_an_await(store.publish(runs::revision())),
                with_an_await(store.retire("x")),
                with_an_await(store.sweep_accounts(1))
            );
            publish.unwrap();
            retire.unwrap();
            sweep.unwrap();
        };
        assert!(cut_in_a_store(&world, work, runs::check).points >= 2);
    }

    /// A log has no awaits; it is dropped between any two of its calls.
    fn ground_g5_logs_survive_writers_that_go_between_any_two_calls() {
        let world = Rc::new(World::new());
        let open = RefCell::new(None);
        let make = || {
            world.begin();
            let logs = block_on(logs::open(&world)).unwrap();
            *open.borrow_mut() = Some(Arc::clone(&logs));
            let world = Rc::clone(&world);
            async move { logs::whole_life(&logs, &world).await.unwrap() }
        };
        let end = || {
            let logs: Option<Arc<Logs>> = open.take();
            drop(logs);
            logs::check(&world);
        };
        assert!(cut(&world, make, end).points > 10);
    }

    /// A store that is being closed goes on closing though nobody waits for it; whoever drops it waits.
    fn ground_g5_a_close_survives_a_caller_that_goes() {
        let world = Rc::new(World::with_an_empty_store());
        let open = RefCell::new(None);
        let make = || {
            world.begin();
            let store = Arc::new(world.opening().open().unwrap());
            *open.borrow_mut() = Some(Arc::clone(&store));
            async move {
                with_an_await(store.publish(runs::revision())).await.unwrap();
                drop(with_an_await(store.workflows()).await);
                with_an_await(store.close()).await;
            }
        };
        let end = || {
            drop(open.take());
            runs::check(&world);
        };
        assert!(cut(&world, make, end).points >= 3);
    }
}
