//! Workflows and the texts they had.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::code::Columns;
use super::statement::{prepare, statements};
use super::turn::Turn;
use crate::error::StoreError;
use crate::id::{RevisionId, Timestamp};
use crate::record::{NewRevision, WorkflowRow};

statements! {
    REMEMBER = "INSERT INTO revision (sha, text) VALUES (?1, ?2) ON CONFLICT (sha) DO NOTHING";
    NUMBER = "SELECT n FROM revision WHERE sha = ?1";
    PUBLISH = "INSERT INTO workflow (name, revision, file, updated_at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, file = excluded.file, updated_at = excluded.updated_at
        WHERE revision <> excluded.revision OR file IS NOT excluded.file";
    RETIRE = "DELETE FROM workflow WHERE name = ?1";
    LIST = "SELECT w.name, v.sha, w.file, w.updated_at,
            (SELECT id FROM run INDEXED BY run_by_workflow WHERE workflow = w.name ORDER BY id DESC LIMIT 1)
        FROM workflow w JOIN revision v ON v.n = w.revision ORDER BY w.name";
    TEXT = "SELECT text FROM revision WHERE sha = ?1";
}

/// See [`crate::Store::publish`].
pub(super) fn publish(turn: &mut Turn<'_>, new: &NewRevision, id: RevisionId) -> Result<RevisionId, StoreError> {
    let limit = turn.ground.limits.revision_bytes_max;
    if new.text.len() > limit {
        return Err(StoreError::Full {
            what: "a revision, in bytes,",
            limit: limit as u64,
            retry_after: std::time::Duration::MAX,
        });
    }
    turn.execute(REMEMBER, params![id.0, new.text])?;
    let n: i64 = turn.sql(NUMBER)?.query_row([id.0], |row| row.get(0))?;
    turn.execute(PUBLISH, params![new.name, n, new.file, turn.now.0])?;
    Ok(id)
}

/// See [`crate::Store::retire`].
pub(super) fn retire(turn: &mut Turn<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(turn.execute(RETIRE, [name])? > 0)
}

/// See [`crate::Store::workflows`].
pub(super) fn workflows(connection: &Connection) -> Result<Vec<WorkflowRow>, StoreError> {
    let mut statement = prepare(connection, LIST)?;
    let rows = statement.query_map([], |row| {
        let last_run = row.get::<_, Option<[u8; 16]>>(4)?;
        Ok(WorkflowRow {
            name: row.get(0)?,
            revision: row.revision(1)?,
            file: row.get(2)?,
            updated_at: Timestamp(row.get(3)?),
            last_run: last_run.map(|bytes| crate::id::RunId(uuid::Uuid::from_bytes(bytes))),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// See [`crate::Store::revision`].
pub(super) fn revision(connection: &Connection, id: RevisionId) -> Result<Option<Arc<str>>, StoreError> {
    Ok(prepare(connection, TEXT)?.query_row([id.0], |row| row.get(0)).optional()?)
}
