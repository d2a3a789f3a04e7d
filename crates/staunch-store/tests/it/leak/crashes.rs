//! The process dies at each point in turn, and the next one opens the same directory.

use staunch_leak::fault::{Swept, all_crashes, is_victim, victim};
use staunch_leak::gate::{name_of_test, this_test};

use super::world::World;
use super::{logs, people, runs, upgrade};
use crate::sqlite::killed::PLACE;

/// In the parent: a victim for each point, and `check` after each. In a victim: `scenario`, up to its point.
fn crashed(
    name: &str,
    world: &World,
    scenario: impl FnOnce() -> Result<(), String>,
    check: fn(&World),
) -> Option<Swept> {
    if is_victim() {
        victim(scenario).unwrap();
        return None;
    }
    let again = || {
        world.begin();
        let mut command = this_test(&name_of_test(module_path!(), name));
        command.env(PLACE, &world.place);
        command
    };
    let swept = all_crashes(&world.options(), again, |crash| {
        world.hear(&crash.output);
        check(world);
    });
    Some(swept.unwrap_or_else(|broken| panic!("{broken}")))
}

staunch_leak::alone! {
    fn ground_g5_runs_survive_a_crash_at_each_point() {
        let world = World::with_an_empty_store();
        let scenario = || world.in_a_store(runs::whole_life);
        let swept = crashed("ground_g5_runs_survive_a_crash_at_each_point", &world, scenario, runs::check);
        assert!(swept.is_none_or(|swept| swept.points > 150), "{swept:?}");
    }

    fn ground_g5_accounts_survive_a_crash_at_each_point() {
        let world = World::with_an_empty_store();
        let scenario = || world.in_a_store(people::whole_life);
        let swept = crashed("ground_g5_accounts_survive_a_crash_at_each_point", &world, scenario, people::check);
        assert!(swept.is_none_or(|swept| swept.points > 150), "{swept:?}");
    }

    fn ground_g5_logs_survive_a_crash_at_each_point() {
        let world = World::new();
        let scenario = || logs::in_logs(&world, logs::whole_life);
        let swept = crashed("ground_g5_logs_survive_a_crash_at_each_point", &world, scenario, logs::check);
        assert!(swept.is_none_or(|swept| swept.points > 50), "{swept:?}");
    }

    fn ground_g5_an_upgrade_survives_a_crash_at_each_point() {
        let world = upgrade::world();
        let scenario = || world.in_a_store(upgrade::ask);
        let swept = crashed("ground_g5_an_upgrade_survives_a_crash_at_each_point", &world, scenario, upgrade::check);
        assert!(swept.is_none_or(|swept| swept.points > 15), "{swept:?}");
    }
}
