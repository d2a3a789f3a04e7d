//! A place on disk for one run of a scenario after the other, and what was told of failures meanwhile.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use rusqlite::Connection;
use staunch_leak::Options;
use staunch_leak::fault::is_victim;
use staunch_store::{AccountLimits, Durability, HandClock, Opening, Sqlite, Store, StoreError, StoreLimits};
use tempfile::TempDir;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::conformance::{LIMITS, block_on};
use crate::sqlite::killed;

/// So long nothing may take that a store does: it answers, or it hangs.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Never within a test: what happens by the time of day would come between two points.
const NEVER: Duration = Duration::from_secs(86_400);
/// Few lines of the audit log, so that it is always at its bound.
const ACCOUNTS: AccountLimits = AccountLimits {
    users_max: 10,
    sessions_max: 100,
    sessions_per_user_max: 20,
    tokens_per_user_max: 20,
    audit_rows_max: 3,
};

/// Lines of the log at `warn` or above, of all threads.
static LINES: AtomicU64 = AtomicU64::new(0);

/// Counts them. What is told there is not swallowed, though no caller hears of it.
struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        *about.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        LINES.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A place, a database file that each run begins with, and what a run has told.
pub(crate) struct World {
    /// What is compared; `None` for a victim, whose place is its parent's.
    root: Option<TempDir>,
    pub(crate) place: PathBuf,
    /// A new one each run: a victim's stands where every first one does.
    clock: RefCell<Arc<HandClock>>,
    failed: RefCell<Option<StoreError>>,
    lines: Cell<u64>,
    acks: RefCell<Vec<String>>,
}

impl World {
    /// An empty place; panics on purpose are not printed from now on.
    pub(crate) fn new() -> Self {
        // Fails only if somebody listens already: this world's process has one.
        tracing::subscriber::set_global_default(Listener).unwrap();
        quiet_on_purpose();
        let root = (!is_victim()).then(|| tempfile::tempdir().unwrap());
        let place = root.as_ref().map_or_else(killed::place_of_child, |root| root.path().join("place"));
        Self {
            root,
            place,
            clock: RefCell::new(clock()),
            failed: RefCell::default(),
            lines: Cell::default(),
            acks: RefCell::default(),
        }
    }

    /// The same, each run to begin with a store in which there is nothing.
    pub(crate) fn with_an_empty_store() -> Self {
        let world = Self::new();
        if let Some(root) = &world.root {
            let made = root.path().join("made");
            block_on(async { in_time(world.opening_at(&made).open().unwrap().close()).await });
            std::fs::rename(made.join("staunch.db"), world.template()).unwrap();
            std::fs::remove_dir_all(made).unwrap();
        }
        world
    }

    /// The file that each run begins with, if there is one.
    pub(crate) fn template(&self) -> PathBuf {
        self.root.as_ref().unwrap().path().join("template.db")
    }

    /// What is compared besides memory, descriptors and threads: everything under the root.
    pub(crate) fn options(&self) -> Options {
        Options::default().files_under(self.root.as_ref().unwrap().path())
    }

    /// Begins a run: its place is as new.
    pub(crate) fn begin(&self) {
        if self.root.is_some() {
            std::fs::create_dir(&self.place).unwrap();
            if self.template().exists() {
                std::fs::copy(self.template(), self.database()).unwrap();
            }
        }
        self.clock.replace(clock());
        self.lines.set(LINES.load(Ordering::SeqCst));
    }

    /// Moves the clock of this run's store on.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.borrow().advance(by);
    }

    /// Ends a run: nothing is left of it.
    pub(crate) fn clear(&self) {
        // Of two runs the texts may differ: the writer looks at its log while its caller goes on, and so two points change places.
        self.failed.take();
        self.acks.take();
        std::fs::remove_dir_all(&self.place).unwrap();
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.place.join("staunch.db")
    }

    /// How the store of this place is opened: nothing in it depends on the time of day.
    pub(crate) fn opening(&self) -> Opening {
        self.opening_at(&self.place)
    }

    fn opening_at(&self, place: &Path) -> Opening {
        // One place in the queue: were it not given back, the next write would find it taken.
        let limits = StoreLimits { writes_queued_max: 1, ..LIMITS };
        let mut opening = Opening::new(place, limits, Durability::Off);
        opening.clock = Arc::<HandClock>::clone(&self.clock.borrow());
        opening.accounts = ACCOUNTS;
        opening.readers_max = 1;
        opening.idle = NEVER;
        opening
    }

    /// Does something that may fail. If it does, that was told, and it is done once more: after a failure that changed nothing the
    /// same call must do.
    pub(crate) async fn step<T, F>(&self, mut work: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match with_an_await(work()).await {
            // It may be done.
            Err(StoreError::Unknown(why)) => Err(StoreError::Unknown(why)),
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
                work().await
            }
            Ok(done) => Ok(done),
        }
    }

    /// What was acknowledged, or is about to be tried. A victim tells its parent.
    pub(crate) fn ack(&self, what: impl Display) {
        if is_victim() {
            killed::told(&what.to_string());
        }
        self.acks.borrow_mut().push(what.to_string());
    }

    /// Whether something failed so far, and was told.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.borrow().is_some()
    }

    /// What was acknowledged in this run. In a run that is over, who asks gets it alone.
    pub(crate) fn acks(&self) -> Vec<String> {
        self.acks.take()
    }

    /// What a victim has told, as if this process had.
    pub(crate) fn hear(&self, output: &std::process::Output) {
        let told = String::from_utf8_lossy(&output.stdout);
        let acks = told.lines().filter_map(|line| line.split_once("ACK ")).map(|(_, ack)| ack.to_owned());
        *self.acks.borrow_mut() = acks.collect();
    }

    /// Whether a line was written into the log during this run.
    pub(crate) fn has_logged(&self) -> bool {
        LINES.load(Ordering::SeqCst) > self.lines.get()
    }

    /// Whether anything was told of a failure: to a caller, or in the log.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        match self.failed.take() {
            Some(error) => Err(error.to_string()),
            None if self.has_logged() => Err("it stands in the log".to_owned()),
            None => Ok(()),
        }
    }

    /// The names of what lies in the place.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.place).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Opens the store, does `work` in it and closes it. Whatever fails, it answers in time and ends.
    pub(crate) fn in_a_store(
        &self,
        work: impl AsyncFnOnce(&Sqlite, &Self) -> Result<(), StoreError>,
    ) -> Result<(), String> {
        self.begin();
        block_on(async {
            let store = self.step(|| async { self.opening().open() }).await.map_err(|error| error.to_string())?;
            let done = in_time(work(&store, self)).await;
            if done.is_err() {
                // Whether or not it can, it says so.
                drop(in_time(store.retire("nobody")).await);
                drop(in_time(store.workflows()).await);
            }
            in_time(store.close()).await;
            let later = in_time(store.retire("nobody")).await;
            assert!(matches!(later, Err(StoreError::Closed)), "{later:?}");
            done.map_err(|error| error.to_string())?;
            self.verdict()
        })
    }
}

fn clock() -> Arc<HandClock> {
    Arc::new(HandClock::new(1_700_000_000_000))
}

/// Panics on purpose are not printed; all others are.
fn quiet_on_purpose() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(|text| text.contains("on purpose")) {
            loud(panic);
        }
    }));
}

/// Does `work`, and waits once at least: else on a busy machine the store may have answered before its caller looks, and there would
/// be no await at which to cut it.
pub(crate) async fn with_an_await<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Pending => work.await,
        Poll::Ready(done) => {
            tokio::task::yield_now().await;
            done
        }
    }
}

/// Waits for what must not hang. If it does, so would whoever drops the store, and waits for its threads: no panic would come through.
#[expect(clippy::print_stderr, reason = "nobody else can say it any more")]
pub(crate) async fn in_time<F: Future>(work: F) -> F::Output {
    let answer = tokio::time::timeout(ANSWER_MAX, work).await;
    answer.unwrap_or_else(|_| {
        assert!(!is_victim(), "it hangs, and a victim that aborts would count as one that died at its point");
        eprintln!("the store did not answer within {ANSWER_MAX:?}");
        std::process::abort()
    })
}

/// The tables in which there are rows, and how many. Totals are not told.
pub(crate) fn rows(database: &Path) -> Vec<(String, u64)> {
    let connection = Connection::open(database).unwrap();
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'tally'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |table: String| {
        let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        (table, rows.unsigned_abs())
    };
    tables.into_iter().map(count).filter(|(_, rows)| *rows > 0).collect()
}
