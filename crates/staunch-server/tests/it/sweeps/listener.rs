//! The listener: accepting fails, or panics.

use staunch_bounded::faults::{self, Manner, Plan};
use staunch_leak::fault::{Manners, all_faults};

use super::raw::{ask, request};
use crate::bed::until;
use crate::growth::world::World;

staunch_leak::alone! {
    fn ground_g5_a_connection_that_cannot_be_accepted_is_cut_and_the_next_is_served() {
        let world = World::new(&[]);
        let at = world.bed.address();
        faults::only(&["listener."]);
        let manners = Manners { panic: false, ..Manners::default() };
        let live = request("GET", "/livez", &[], "");
        let swept = all_faults(&world.options(), manners, || {
            world.block_on(async {
                let told = ask(at, &live).await.map(drop);
                let _quiet = faults::quiet();
                assert_eq!(world.root.get(at, "/livez").await.status, 200, "the next one is served");
                world.quiet().await;
                told
            })
        });
        assert_eq!(swept.unwrap().points, 1);
        let metrics = world.block_on(world.root.get(at, "/metrics"));
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let failed = text.lines().find_map(|line| line.strip_prefix("staunch_accept_errors_total "));
        assert!(failed.is_some_and(|failed| failed != "0"), "it is told: {text}");
        world.close();
    }

    fn a_listener_that_panics_stops_the_server_which_leaves_nothing() {
        std::panic::set_hook(Box::new(|_| {}));
        let world = World::new(&[]);
        let at = world.bed.address();
        faults::only(&["listener."]);
        faults::arm(Plan { first: 0, from_then_on: false, manner: Manner::Panic });
        let told = world.block_on(ask(at, &request("GET", "/livez", &[], "")));
        assert!(faults::disarm().failed.is_some() && told.is_err());
        // Who started the server waits for this.
        world.block_on(until("all are told to stop", || world.bed.engine.tasks().token().is_cancelled()));
        world.close_after_panics();
    }
}
