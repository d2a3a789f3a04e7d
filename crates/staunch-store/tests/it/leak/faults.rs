//! Each statement and each call to the disk fails in turn: as an error once, as errors from then on, and as a panic.

use staunch_leak::fault::{Manners, Swept, all_faults_then};

use super::world::World;
use super::{logs, people, runs, upgrade};

/// Sweeps a scenario; whatever the store was made to fail by, somebody was told, and `check` finds what was promised.
fn swept(world: &World, scenario: impl FnMut() -> Result<(), String>, check: fn(&World)) -> Swept {
    // Each point in each manner takes a minute of CPU; one manner a point, their neighbors in the others, takes a third.
    let in_turn = std::env::var_os("STAUNCH_TEST_LONG").is_none();
    let manners = Manners { in_turn, ..Manners::default() };
    let swept = all_faults_then(&world.options(), manners, scenario, || check(world));
    swept.unwrap_or_else(|broken| panic!("{broken}"))
}

staunch_leak::alone! {
    fn ground_g5_runs_survive_a_failure_at_each_point() {
        let world = World::with_an_empty_store();
        let points = swept(&world, || world.in_a_store(runs::whole_life), runs::check).points;
        assert!(points > 150, "{points}");
    }

    fn ground_g5_questions_survive_a_failure_at_each_point() {
        let world = World::with_an_empty_store();
        let points = swept(&world, || world.in_a_store(runs::a_run_and_questions), runs::check).points;
        assert!(points > 100, "{points}");
    }

    fn ground_g5_accounts_survive_a_failure_at_each_point() {
        let world = World::with_an_empty_store();
        let points = swept(&world, || world.in_a_store(people::whole_life), people::check).points;
        assert!(points > 150, "{points}");
    }

    fn ground_g5_logs_survive_a_failure_at_each_point() {
        let world = World::new();
        let points = swept(&world, || logs::in_logs(&world, logs::whole_life), logs::check_alive).points;
        assert!(points > 50, "{points}");
    }

    fn ground_g5_an_upgrade_survives_a_failure_at_each_point() {
        let world = upgrade::world();
        let points = swept(&world, || world.in_a_store(upgrade::ask), upgrade::check).points;
        assert!(points > 15, "{points}");
    }
}
