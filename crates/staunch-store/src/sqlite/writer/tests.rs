//! Groups that fail at each point.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use staunch_bounded::faults::{self, Manner, Plan};
use staunch_leak::Options;
use staunch_leak::fault::{Manners, all_faults_then};
use tokio::sync::oneshot::{self, Receiver};

use super::super::directory::Directory;
use super::super::tally::Tally;
use super::super::tests::{LIMITS, quiet_on_purpose};
use super::super::turn::Turn;
use super::super::{Counts, Durability, Ground, Heap, connection, schema};
use super::{IDLE, Pending, Work, Writer};
use crate::{AccountLimits, HandClock, StoreError};

type Answer = Receiver<Result<u32, StoreError>>;

/// A writer over a file in which there is nothing yet.
fn writer(place: &Path) -> Result<Writer, StoreError> {
    let directory = Directory::hold(place, 0, false)?;
    let file = directory.database();
    let mut connection = connection::writer(&file, &LIMITS, Durability::Off)?;
    schema::migrate(&mut connection, &file, schema::MIGRATIONS)?;
    let clock = Arc::new(HandClock::new(1_000));
    let (accounts, counts, heap) = (AccountLimits::default(), Counts::default(), Heap::new(&LIMITS, 1));
    let ground = Ground { directory, limits: LIMITS, accounts, clock, counts, heap };
    Writer::new(connection, Arc::new(ground), IDLE)
}

/// One row more, and one more in the totals; refused at the end if `fails`.
fn operation(number: u32, fails: bool) -> (Box<dyn Work>, Answer) {
    let (caller, answer) = oneshot::channel();
    let work = move |turn: &mut Turn<'_>| {
        turn.execute("INSERT INTO kept (workflow, ended) VALUES (?1, 1)", [format!("w{number}")])?;
        turn.tally.ended += 1;
        if fails { Err(StoreError::KeyReused) } else { Ok(number) }
    };
    (Box::new(Pending::new(work, caller)), answer)
}

/// Three at once, the second of which is refused.
fn three() -> (Vec<Box<dyn Work>>, [Answer; 3]) {
    let (a, b, c) = (operation(1, false), operation(2, true), operation(3, false));
    (vec![a.0, b.0, c.0], [a.1, b.1, c.1])
}

/// What is in the file, by its rows and by its totals. Nobody may have it open.
fn remembered(file: &Path) -> (i64, i64) {
    let connection = rusqlite::Connection::open(file).unwrap();
    let rows = connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0)).unwrap();
    (rows, Tally::load(&connection).unwrap().ended)
}

fn file(place: &Path) -> PathBuf {
    place.join("staunch.db")
}

staunch_leak::alone! {
    /// Whatever fails, each caller hears whether its own operation is there; the refused one leaves nothing.
    fn ground_g5_a_group_survives_a_failure_at_each_point() {
        quiet_on_purpose();
        let root = tempfile::tempdir().unwrap();
        // Made once: what is swept is the group.
        drop(writer(root.path()).unwrap());
        let template = root.path().join("template.db");
        std::fs::rename(file(root.path()), &template).unwrap();
        let place = root.path().join("place");
        let told = std::cell::Cell::new(None);
        let scenario = || {
            std::fs::create_dir(&place).unwrap();
            std::fs::copy(&template, file(&place)).unwrap();
            told.set(None);
            let mut writer = writer(&place)?;
            let (mut group, [mut first, mut second, mut third]) = three();
            writer.write(&mut group);
            // One more after it, whose totals go on from what is so.
            let (work, mut fourth) = operation(4, false);
            writer.write(&mut vec![work]);
            let all = [&mut first, &mut second, &mut third, &mut fourth];
            let [first, second, third, fourth] = all.map(|answer| answer.try_recv().unwrap());
            let refused = match second {
                Err(StoreError::KeyReused) => Ok(()),
                Err(error) => Err(error),
                Ok(_) => panic!("it was refused"),
            };
            told.set(Some([first.clone(), third.clone(), fourth.clone()]));
            first.and(third).and(fourth).and(refused)
        };
        let check = || {
            let (rows, total) = remembered(&file(&place));
            assert_eq!(rows, total, "the totals are those of the rows");
            if let Some(told) = told.take() {
                let done = told.iter().filter(|told| told.is_ok()).count() as i64;
                let unknown = told.iter().filter(|told| matches!(told, Err(StoreError::Unknown(_)))).count() as i64;
                assert!((done..=done + unknown).contains(&rows), "{rows} rows after {told:?}");
            }
            std::fs::remove_dir_all(&place).unwrap();
        };
        let options = Options::default().files_under(root.path());
        let swept = all_faults_then(&options, Manners::default(), scenario, check).unwrap_or_else(|broken| panic!("{broken}"));
        assert!(swept.points > 15, "{swept}");
    }
}

staunch_leak::alone! {
    /// A transaction that could neither go on nor be rolled back fails alone: the next one begins.
    fn a_group_that_could_not_be_rolled_back_does_not_spoil_the_next() {
        let place = tempfile::tempdir().unwrap();
        let mut writer = writer(place.path()).unwrap();
        let (work, mut answer) = operation(1, false);
        // BEGIN, and from the insertion on all fails, ROLLBACK included.
        faults::arm(Plan { first: 1, from_then_on: true, manner: Manner::Error });
        writer.write(&mut vec![work]);
        assert_eq!(faults::disarm().failed.unwrap().hit, 1);
        assert!(matches!(answer.try_recv().unwrap(), Err(StoreError::Failed(_))));
        let (work, mut answer) = operation(2, false);
        writer.write(&mut vec![work]);
        assert_eq!(answer.try_recv().unwrap().unwrap(), 2);
        drop(writer);
        assert_eq!(remembered(&file(place.path())), (1, 1));
    }
}
