//! What SQLite's result codes mean to a caller.

use rusqlite::{Error, ErrorCode};

use crate::error::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        of(&error)
    }
}

/// The error a caller sees for one of SQLite.
pub(super) fn of(error: &Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::NoSpace(error.to_string()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(format!(
            "{error}. Stop the server and restore the newest backup of staunch.db, or move staunch.db, staunch.db-wal and \
             staunch.db-shm away to begin anew"
        )),
        _ => match error {
            Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..) => {
                StoreError::Damaged(format!("a row cannot be read: {error}"))
            }
            _ => StoreError::Failed(error.to_string()),
        },
    }
}

/// The error for each caller of a group whose COMMIT failed. If only the log's sync failed, its bytes may reach the disk all
/// the same, and a crash before the next commit would bring them back: that outcome is not known. A write that failed left
/// no whole commit frame, and is known not to have happened.
pub(super) fn of_commit(error: &Error) -> StoreError {
    match error {
        Error::SqliteFailure(code, _) if code.extended_code == rusqlite::ffi::SQLITE_IOERR_FSYNC => {
            StoreError::Unknown(error.to_string())
        }
        _ => of(error),
    }
}
