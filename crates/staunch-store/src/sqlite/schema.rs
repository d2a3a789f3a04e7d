//! The schema of the database file and how it is moved on from version to version.

use std::path::Path;

use rusqlite::Connection;
use staunch_bounded::fault_point;

use crate::error::StoreError;
use crate::fault::at;

/// What `PRAGMA application_id` says of our files: "STNH".
const APPLICATION: i32 = 0x5354_4E48;

/// The migrations in order; `user_version` counts how many a file has had.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")];

/// Brings the file up to the newest version: each migration in a transaction of its own, and before the first one that
/// touches rows somebody wrote, a whole copy beside the file.
///
/// # Errors
/// The file is another program's, or of a newer Staunch; a migration fails.
pub(super) fn migrate(connection: &mut Connection, file: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    fault_point!("store.migrate.look")?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let newest = migrations.len();
    if tables > 0 && application != APPLICATION {
        return Err(StoreError::DataDirectory(format!(
            "{} is a database of another program: choose another data directory",
            file.display()
        )));
    }
    let from = usize::try_from(found).ok().filter(|from| *from <= newest).ok_or_else(|| {
        StoreError::DataDirectory(format!(
            "{} has schema version {found}, and this Staunch knows versions up to {newest}: run the newer Staunch that wrote it, \
             or restore the copy made before its upgrade",
            file.display()
        ))
    })?;
    if from > 0 && from < newest {
        back_up(connection, file, from)?;
    }
    for (index, sql) in migrations.iter().enumerate().skip(from) {
        fault_point!("store.migrate.begin")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        fault_point!("store.migrate.version")?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        fault_point!("store.migrate.commit")?;
        transaction.commit()?;
    }
    Ok(())
}

/// Copies the file as it stands to `staunch.db.before-N`, replacing the rest of an attempt that did not end.
fn back_up(connection: &Connection, file: &Path, from: usize) -> Result<(), StoreError> {
    let mut copy = file.as_os_str().to_owned();
    copy.push(format!(".before-{}", from + 1));
    let refused = |error: std::io::Error| {
        StoreError::DataDirectory(format!("the old copy {} cannot be removed: {error}", copy.display()))
    };
    match at("store.migrate.forget", || std::fs::remove_file(&copy)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(refused(error)),
        _ => {}
    }
    let text = copy.to_str().ok_or_else(|| {
        StoreError::DataDirectory(format!("the data directory's path is not UTF-8: {}", file.display()))
    })?;
    fault_point!("store.migrate.copy")?;
    connection.execute("VACUUM INTO ?1", [text])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rusqlite::Connection;

    use super::{MIGRATIONS, migrate};

    /// The schema a file began with.
    const FIRST: &[&str] = &[MIGRATIONS[0]];

    const NEXT: &str = "ALTER TABLE tally ADD COLUMN more INTEGER NOT NULL DEFAULT 7;";

    #[test]
    fn a_later_migration_leaves_a_whole_copy_of_what_was() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("staunch.db");
        let mut connection = Connection::open(&file).unwrap();
        migrate(&mut connection, &file, FIRST).unwrap();
        connection.execute("UPDATE tally SET queued = 42", []).unwrap();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "a new file needs no copy");

        migrate(&mut connection, &file, &[MIGRATIONS[0], NEXT]).unwrap();
        let more: i64 = connection.query_row("SELECT more FROM tally", [], |row| row.get(0)).unwrap();
        assert_eq!(more, 7);
        let copy = Connection::open(place.path().join("staunch.db.before-2")).unwrap();
        let queued: i64 = copy.query_row("SELECT queued FROM tally", [], |row| row.get(0)).unwrap();
        assert_eq!(queued, 42);
        assert_eq!(copy.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_at_its_version() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("staunch.db");
        let mut connection = Connection::open(&file).unwrap();
        migrate(&mut connection, &file, FIRST).unwrap();
        let half = "ALTER TABLE tally ADD COLUMN more INTEGER; SELECT no_such_function();";
        migrate(&mut connection, &file, &[MIGRATIONS[0], half]).unwrap_err();
        assert_eq!(connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
        connection.query_row("SELECT more FROM tally", [], |row| row.get::<_, i64>(0)).unwrap_err();
        migrate(&mut connection, &file, &[MIGRATIONS[0], NEXT]).unwrap();
    }

    #[test]
    fn a_newer_file_and_a_strange_file_are_refused_in_words() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("staunch.db");
        let mut connection = Connection::open(&file).unwrap();
        migrate(&mut connection, &file, MIGRATIONS).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let refused = migrate(&mut connection, &file, MIGRATIONS).unwrap_err().to_string();
        assert!(refused.contains("schema version 99") && refused.contains("newer Staunch"), "{refused}");

        let mut strange = Connection::open_in_memory().unwrap();
        strange.execute_batch("CREATE TABLE cheese (name TEXT)").unwrap();
        let refused = migrate(&mut strange, &file, MIGRATIONS).unwrap_err().to_string();
        assert!(refused.contains("another program"), "{refused}");
    }
}
