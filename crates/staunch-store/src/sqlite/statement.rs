//! SQL texts stand in constants, so that one test can prepare them all.

use rusqlite::{CachedStatement, Connection};
use staunch_bounded::fault_point;

use crate::error::StoreError;

/// Defines a constant for each statement of a file, and `STATEMENTS`, the list of them for the test.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* const $name: &str = $sql;)+

        /// Every statement of this file.
        #[cfg(test)]
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

pub(super) use statements;

/// A prepared statement. All but the pragmas of an opening come by here, so each is a place that a test can make fail: it is
/// called by its text, which says more than a name would.
pub(super) fn prepare<'c>(connection: &'c Connection, text: &'static str) -> Result<CachedStatement<'c>, StoreError> {
    fault_point!(text)?;
    Ok(connection.prepare_cached(text)?)
}
