//! The embedded store: the cases every store must pass, and what only a file can suffer.

mod accounts;
mod damage;
mod full;
mod growth;
pub(crate) mod killed;
mod upgrade;

use std::sync::Arc;

use staunch_store::{Durability, HandClock, Opening, StoreLimits};

use crate::conformance::Subject;

/// An embedded store with nothing in it, on a clock that moves by hand.
pub(crate) fn make(limits: StoreLimits) -> Subject {
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock::new(1_700_000_000_000));
    let mut opening = Opening::new(place.path(), limits, Durability::Off);
    opening.clock = Arc::<HandClock>::clone(&clock);
    let store = opening.open().unwrap();
    Subject::new(Arc::new(store), clock, Box::new(place))
}

conformance!(crate::sqlite::make);

#[test]
fn traces_agree_with_the_model() {
    crate::conformance::traces_agree(make);
}
