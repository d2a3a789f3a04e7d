//! A file of an older Staunch, moved on: it is the old one or the new one, and the copy is whole.

use rusqlite::Connection;
use staunch_store::{Durability, Opening, Sqlite, Store, StoreError};

use super::world::World;
use crate::conformance::{LIMITS, block_on};
use crate::sqlite::killed::assert_whole;

/// The schema before there were accounts.
const FIRST: &str = include_str!("../../../src/sqlite/migrations/0001.sql");

/// A place whose runs begin with a file of the first schema, in which there is a revision.
pub(crate) fn world() -> World {
    let world = World::new();
    if staunch_leak::fault::is_victim() {
        return world;
    }
    let connection = Connection::open(world.template()).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    connection.execute_batch(FIRST).unwrap();
    // "STNH", by which Staunch knows its files.
    connection.pragma_update(None, "application_id", 0x5354_4E48).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.execute("INSERT INTO revision (n, sha, text) VALUES (1, zeroblob(32), 'old')", []).unwrap();
    connection.execute("INSERT INTO workflow (name, revision, updated_at) VALUES ('w', 1, 0)", []).unwrap();
    connection.close().unwrap();
    world
}

/// Opened, moved on, asked, closed.
pub(crate) async fn ask(store: &Sqlite, world: &World) -> Result<(), StoreError> {
    assert_eq!(world.step(|| store.workflows()).await?.len(), 1);
    world.ack("upgraded");
    Ok(())
}

/// After a run, however it ended.
pub(crate) fn check(world: &World) {
    if world.acks().contains(&"upgraded".to_owned()) {
        assert_eq!(version(&world.database()), 2);
    }
    let version_now = version(&world.database());
    assert!([1, 2].contains(&version_now), "half of it: {version_now}");
    block_on(async {
        let store = Opening::new(&world.place, LIMITS, Durability::Off).open().unwrap();
        assert_eq!(store.workflows().await.unwrap().len(), 1);
        store.close().await;
    });
    assert_whole(&world.database());
    assert_eq!(world.files(), ["lock", "staunch.db", "staunch.db.before-2"]);
    let copy = world.place.join("staunch.db.before-2");
    assert_eq!(version(&copy), 1, "it is what was");
    let text: String =
        Connection::open(copy).unwrap().query_row("SELECT text FROM revision", [], |row| row.get(0)).unwrap();
    assert_eq!(text, "old");
    world.clear();
}

fn version(file: &std::path::Path) -> i64 {
    Connection::open(file).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}
