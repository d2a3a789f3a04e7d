//! Credentials that are known to be good, between two requests: a bounded table in front of the store.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use staunch_bounded::{Count, Counted};
use staunch_store::Fingerprint;
use tokio_util::sync::CancellationToken;

/// Fingerprints, what they stand for, and something of our own beside each.
///
/// What is removed is gone for every request that looks after it, also if one had begun to ask the store before: see
/// [`Known::mark`].
pub(crate) struct Known<V, E> {
    name: &'static str,
    rows_max: usize,
    rows: Mutex<Rows<V, E>>,
    expired: AtomicU64,
    evicted: AtomicU64,
    refused: AtomicU64,
}

/// Cancelled when what it stands beside is removed or has ended. Whoever holds one uses its row: a request under way, an event stream.
pub(crate) type Alive = Arc<CancellationToken>;

struct Rows<V, E> {
    map: HashMap<Fingerprint, Row<V, E>>,
    removals: u64,
}

struct Row<V, E> {
    value: Arc<V>,
    beside: E,
    checked: Instant,
    ends: Option<Instant>,
    alive: Alive,
}

/// What the table says.
#[derive(Debug)]
pub(crate) enum Found<V> {
    /// It is good. The token is cancelled when it is not any more.
    Good(Arc<V>, Alive),
    /// It was, some time ago: ask the store again.
    Stale,
    /// Nothing is known of it.
    Missing,
}

/// A place in the order of removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// Why something is not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotPut {
    /// Something was removed since the mark: the store may have been asked before that, so ask it again.
    Removed,
    /// There is no room, and all rows are in use.
    Full,
}

/// However a row goes, what was opened by it ends: event streams. One that is in use is never evicted, so that is never for want of room.
impl<V, E> Drop for Row<V, E> {
    fn drop(&mut self) {
        self.alive.cancel();
    }
}

impl<V, E: Default> Known<V, E> {
    /// A table of at most `rows_max` rows. `name` is what a census calls it.
    pub(crate) fn new(name: &'static str, rows_max: usize) -> Self {
        let rows = Mutex::new(Rows { map: HashMap::new(), removals: 0 });
        Self {
            name,
            rows_max: rows_max.max(1),
            rows,
            expired: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Held for a moment, never over an await. A poisoned lock is as good as any: each step leaves the map whole.
    fn lock(&self) -> MutexGuard<'_, Rows<V, E>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known. A row that has ended is removed; one that was last checked longer than `check` ago is stale.
    pub(crate) fn get(&self, key: Fingerprint, now: Instant, check: Duration) -> Found<V> {
        let mut rows = self.lock();
        let Some(row) = rows.map.get(&key) else { return Found::Missing };
        if row.ends.is_some_and(|ends| now >= ends) {
            rows.map.remove(&key);
            self.expired.fetch_add(1, Ordering::Relaxed);
            return Found::Missing;
        }
        if now.saturating_duration_since(row.checked) >= check {
            return Found::Stale;
        }
        Found::Good(Arc::clone(&row.value), row.alive.clone())
    }

    /// To be taken before the store is asked, and given to [`Known::put`].
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.lock().removals)
    }

    /// Remembers what the store said, until `ends`; what stands beside a row that is there stays.
    ///
    /// # Errors
    /// [`NotPut`]: nothing is remembered.
    pub(crate) fn put(
        &self,
        key: Fingerprint,
        value: V,
        now: Instant,
        ends: Option<Instant>,
        mark: Mark,
    ) -> Result<(Arc<V>, Alive), NotPut> {
        let mut rows = self.lock();
        if rows.removals != mark.0 {
            return Err(NotPut::Removed);
        }
        let value = Arc::new(value);
        if let Some(row) = rows.map.get_mut(&key) {
            (row.value, row.checked, row.ends) = (Arc::clone(&value), now, ends);
            return Ok((value, row.alive.clone()));
        }
        if rows.map.len() >= self.rows_max {
            self.make_room(&mut rows, now)?;
        }
        let alive = Alive::default();
        let row = Row { value: Arc::clone(&value), beside: E::default(), checked: now, ends, alive: alive.clone() };
        rows.map.insert(key, row);
        Ok((value, alive))
    }

    /// What has ended goes, or else, of what nobody uses, what was not checked for the longest time: the store still has it. What is in
    /// use stays, since its users could not be told any more when it is removed later. They are requests and streams, one a connection
    /// at most, so all rows are in use only where more connections are let in than there are rows. A walk over the table, which only a
    /// full one takes.
    fn make_room(&self, rows: &mut Rows<V, E>, now: Instant) -> Result<(), NotPut> {
        self.drop_ended(rows, now);
        if rows.map.len() < self.rows_max {
            return Ok(());
        }
        // A row's own hold is one, and others are taken under this lock or from a hold that counts already.
        let unused = rows.map.iter().filter(|(_, row)| Arc::strong_count(&row.alive) == 1);
        let oldest = unused.min_by_key(|(_, row)| row.checked).map(|(key, _)| *key);
        // Relaxed, as all these counts: lone numbers for people.
        let Some(oldest) = oldest else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(NotPut::Full);
        };
        rows.map.remove(&oldest);
        self.evicted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Does something with what stands beside a row.
    pub(crate) fn beside<R>(&self, key: Fingerprint, work: impl FnOnce(&mut E) -> R) -> Option<R> {
        self.lock().map.get_mut(&key).map(|row| work(&mut row.beside))
    }

    /// Forgets one. To be called after the store has forgotten it.
    pub(crate) fn remove(&self, key: Fingerprint) {
        let mut rows = self.lock();
        rows.removals += 1;
        rows.map.remove(&key);
    }

    /// Forgets one that the store has no row of, as it said when it was asked on behalf of whoever came with the key. That is no removal:
    /// strangers come with keys of their own making, as often as they like, and must not undo what is being put. Nor is there need: what
    /// this process takes out of the store is [removed](Known::remove) here after that.
    pub(crate) fn lapse(&self, key: Fingerprint) {
        self.lock().map.remove(&key);
    }

    /// Forgets all that are so. To be called after the store has forgotten them.
    pub(crate) fn remove_where(&self, is: impl Fn(&V) -> bool) {
        let mut rows = self.lock();
        rows.removals += 1;
        rows.map.retain(|_, row| !is(&row.value));
    }

    /// Removes what has ended; a courtesy.
    pub(crate) fn sweep(&self, now: Instant) {
        self.drop_ended(&mut self.lock(), now);
    }

    fn drop_ended(&self, rows: &mut Rows<V, E>, now: Instant) {
        let before = rows.map.len();
        rows.map.retain(|_, row| row.ends.is_none_or(|ends| now < ends));
        self.expired.fetch_add((before - rows.map.len()) as u64, Ordering::Relaxed);
    }
}

/// Bytes a row takes beside its texts, which are bounded where they are stored: it, its key, its value, and the table's own part.
const fn row_bytes<V, E>() -> u64 {
    (size_of::<(Fingerprint, Row<V, E>)>() + size_of::<V>() + 64) as u64
}

impl<V: Send + Sync, E: Send> Counted for Known<V, E> {
    fn count(&self) -> Count {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).map.len() as u64;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Count {
            name: self.name,
            entries: Some((rows, self.rows_max as u64)),
            bytes: rows * row_bytes::<V, E>(),
            bytes_max: self.rows_max as u64 * row_bytes::<V, E>(),
            expired: read(&self.expired),
            evicted: read(&self.evicted),
            refused: read(&self.refused),
        }
    }
}

impl<V, E> fmt::Debug for Known<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("rows_max", &self.rows_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn key(n: u64) -> Fingerprint {
        Fingerprint::of(&n.to_le_bytes())
    }

    fn rows(known: &Known<u64, ()>) -> u64 {
        known.count().entries.unwrap().0
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn rows_end_grow_stale_and_are_removed() {
        let known: Known<u64, u8> = Known::new("test", 4);
        let t0 = Instant::now();
        assert!(matches!(known.get(key(1), t0, MINUTE), Found::Missing));
        let (_, alive) = known.put(key(1), 7, t0, Some(t0 + 3 * MINUTE), known.mark()).unwrap();
        assert!(matches!(known.get(key(1), t0, MINUTE), Found::Good(seven, _) if *seven == 7));
        assert!(matches!(known.get(key(1), t0 + MINUTE, MINUTE), Found::Stale));
        known.beside(key(1), |beside| *beside = 9);
        known.put(key(1), 8, t0 + MINUTE, Some(t0 + 3 * MINUTE), known.mark()).unwrap();
        assert_eq!(known.beside(key(1), |beside| *beside), Some(9), "a check does not touch what stands beside");
        assert!(!alive.is_cancelled());
        assert!(matches!(known.get(key(1), t0 + 3 * MINUTE, 9 * MINUTE), Found::Missing));
        assert!(alive.is_cancelled());
        assert_eq!((known.count().entries, known.count().expired), (Some((0, 4)), 1));
    }

    #[test]
    fn what_the_store_said_before_a_removal_is_not_believed_after_it() {
        let known: Known<u64, ()> = Known::new("test", 4);
        let (now, mark) = (Instant::now(), known.mark());
        known.remove(key(1));
        assert_eq!(known.put(key(1), 7, now, None, mark).unwrap_err(), NotPut::Removed);
        assert!(known.put(key(1), 7, now, None, known.mark()).is_ok());
        known.remove_where(|value| *value == 7);
        assert_eq!(known.count().bytes, 0);
    }

    #[test]
    fn a_key_that_nobody_has_undoes_nothing() {
        let known: Known<u64, ()> = Known::new("test", 4);
        let (now, mark) = (Instant::now(), known.mark());
        known.lapse(key(2));
        let (_, alive) = known.put(key(1), 7, now, None, mark).unwrap();
        known.lapse(key(1));
        assert!(alive.is_cancelled(), "one that the store has lost goes all the same");
        assert_eq!(rows(&known), 0);
    }

    #[test]
    fn the_bound_holds_and_the_dead_go_first() {
        let known: Known<u64, ()> = Known::new("test", 3);
        let t0 = Instant::now();
        for n in 0..3 {
            let ends = (n == 1).then_some(t0 + MINUTE);
            known.put(key(n), n, t0 + Duration::from_secs(n), ends, known.mark()).unwrap();
        }
        known.put(key(3), 3, t0 + 2 * MINUTE, None, known.mark()).unwrap();
        assert_eq!((rows(&known), known.count().evicted), (3, 0), "the one that had ended made room");
        known.put(key(4), 4, t0 + 2 * MINUTE, None, known.mark()).unwrap();
        assert_eq!((rows(&known), known.count().evicted), (3, 1));
        assert!(matches!(known.get(key(0), t0 + 2 * MINUTE, 9 * MINUTE), Found::Missing), "the one checked first went");
    }

    #[test]
    fn what_is_in_use_is_not_evicted_and_ends_when_it_is_removed() {
        let known: Known<u64, ()> = Known::new("test", 2);
        let now = Instant::now();
        let put = |n| known.put(key(n), n, now, None, known.mark());
        let (_, stream) = put(0).unwrap();
        put(1).unwrap();
        let (_, request) = put(2).unwrap();
        assert!(matches!(known.get(key(1), now, MINUTE), Found::Missing), "the one that nobody uses went");
        assert_eq!(put(3).unwrap_err(), NotPut::Full);
        assert_eq!((known.count().entries, known.count().evicted, known.count().refused), (Some((2, 2)), 1, 1));
        drop(request);
        put(3).unwrap();
        // Checked meanwhile, it is the same row.
        put(0).unwrap();
        put(4).unwrap();
        assert!(!stream.is_cancelled());
        known.remove(key(0));
        assert!(stream.is_cancelled());
    }
}
