//! A map whose entries are few, small and young.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use crate::census::{Gauge, Reason};

/// What a map holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries.
    pub entries_max: usize,
    /// Bytes, by what each insertion says an entry takes.
    pub bytes_max: u64,
    /// How old an entry grows; at this age it is gone.
    pub age_max: Duration,
}

/// What happens to a new entry that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It is refused. Right where a flood must not push out those who were there first.
    Refuse,
    /// The oldest entries make room.
    EvictOldest,
}

/// Which bound refused an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// As many entries as there may be are young.
    Entries,
    /// The young entries take too many bytes.
    Bytes,
    /// The entry alone is larger than all may be together: it will never fit.
    TooLarge,
}

/// An entry that was not taken, given back. What the map held under its key is still there.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused<V> {
    /// The value.
    pub value: V,
    /// Why.
    pub full: Full,
}

/// A map with bounds in entries, bytes and age.
///
/// The bounds hold at each insertion and age is looked at when reading, so nobody has to sweep it; [`TtlMap::sweep`] gives
/// room back earlier. All entries live equally long, so the oldest is the next to go. `now` is the time since any fixed
/// moment; if it goes back, the latest one seen counts. Values that belong to a [budget](crate::Budget) hold their
/// [charge](crate::Charge) inside.
///
/// ```
/// use std::time::Duration;
/// use staunch_bounded::{Bounds, Policy, TtlMap};
/// let second = Duration::from_secs;
/// let bounds = Bounds { entries_max: 2, bytes_max: 100, age_max: second(10) };
/// let mut map = TtlMap::new("tokens", bounds, Policy::EvictOldest);
/// for (n, key) in ["a", "b", "c"].into_iter().enumerate() {
///     map.insert(key, n, 10, second(n as u64)).unwrap();
/// }
/// assert_eq!(map.get(&"a", second(3)), None);
/// assert_eq!(map.get(&"b", second(3)), Some(&1));
/// assert_eq!(map.get(&"b", second(11)), None);
/// ```
#[derive(Debug)]
pub struct TtlMap<K, V> {
    bounds: Bounds,
    policy: Policy,
    entries: HashMap<K, Entry<V>>,
    /// Keys by age, the oldest first. Exactly those of `entries`.
    ages: BTreeMap<u64, K>,
    /// The number of the next insertion.
    next: u64,
    bytes: u64,
    latest: Duration,
    gauge: Arc<Gauge>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: u64,
    born: Duration,
    number: u64,
}

impl<K: Hash + Eq + Clone, V> TtlMap<K, V> {
    /// An empty map; it allocates as entries come.
    pub fn new(name: &'static str, bounds: Bounds, policy: Policy) -> Self {
        Self {
            bounds,
            policy,
            entries: HashMap::new(),
            ages: BTreeMap::new(),
            next: 0,
            bytes: 0,
            latest: Duration::ZERO,
            gauge: Gauge::new(name, bounds.entries_max as u64, bounds.bytes_max),
        }
    }

    /// Puts an entry in, which takes `bytes` with its key, and returns the one that was under its key. Makes room first: the
    /// oldest of too old entries, and by its policy of others.
    ///
    /// # Errors
    /// [`Refused`] gives the value back. The map still holds what it held, but for entries that were too old.
    pub fn insert(&mut self, key: K, value: V, bytes: u64, now: Duration) -> Result<Option<V>, Refused<V>> {
        let now = self.advance(now);
        let old = self.entries.get(&key).map(|old| (old.number, old.bytes, self.is_old(old, now)));
        if let Some((number, _, true)) = old {
            self.expire(number);
        }
        let replaced = old.and_then(|(number, bytes, old)| (!old).then_some((number, bytes)));
        if let Err(full) = self.make_room(replaced, bytes, now) {
            self.gauge.lost_one(Reason::Refused);
            self.tell();
            return Err(Refused { value, full });
        }
        // Taken out before the new one goes in, so that no bound is passed even for a moment. It may have been evicted.
        let before = replaced.and_then(|(number, _)| self.take(number));
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.ages.insert(number, key.clone());
        self.entries.insert(key, Entry { value, bytes, born: now, number });
        self.tell();
        Ok(before.map(|entry| entry.value))
    }

    /// Sees to it that `bytes` more fit, once the entry `replaced` (its number and bytes) is gone.
    fn make_room(&mut self, replaced: Option<(u64, u64)>, bytes: u64, now: Duration) -> Result<(), Full> {
        if bytes > self.bounds.bytes_max || self.bounds.entries_max == 0 {
            return Err(if self.bounds.entries_max == 0 { Full::Entries } else { Full::TooLarge });
        }
        loop {
            let (gone, freed) = match replaced {
                Some((number, freed)) if self.ages.contains_key(&number) => (1, freed),
                _ => (0, 0),
            };
            let full = if self.entries.len() - gone >= self.bounds.entries_max {
                Full::Entries
            } else if self.bytes - freed > self.bounds.bytes_max - bytes {
                Full::Bytes
            } else {
                return Ok(());
            };
            // Some entry must be there, as an empty map has room for this one.
            let Some(oldest) = self.oldest() else { return Err(full) };
            if self.entry_is_old(oldest, now) {
                self.expire(oldest);
            } else if self.policy == Policy::Refuse {
                return Err(full);
            } else {
                // The entry to be replaced is not let go of for lack of room; it gives way to its successor.
                let other = self.ages.keys().copied().find(|number| replaced.is_none_or(|(own, _)| own != *number));
                let Some(other) = other else { return Err(full) };
                self.take(other);
                self.gauge.lost_one(Reason::Evicted);
            }
        }
    }

    /// The value under `key`, unless it is too old.
    pub fn get(&self, key: &K, now: Duration) -> Option<&V> {
        let now = now.max(self.latest);
        self.entries.get(key).filter(|entry| !self.is_old(entry, now)).map(|entry| &entry.value)
    }

    /// The value under `key`, to be changed, unless it is too old. Its age and its bytes stay.
    pub fn get_mut(&mut self, key: &K, now: Duration) -> Option<&mut V> {
        let now = self.advance(now);
        let age_max = self.bounds.age_max;
        self.entries.get_mut(key).filter(|entry| now - entry.born < age_max).map(|entry| &mut entry.value)
    }

    /// Takes an entry out; `None` if there is none, or it is too old.
    pub fn remove(&mut self, key: &K, now: Duration) -> Option<V> {
        let now = self.advance(now);
        let (number, old) = self.entries.get(key).map(|entry| (entry.number, self.is_old(entry, now)))?;
        if old {
            self.expire(number);
            self.tell();
            return None;
        }
        let entry = self.take(number);
        self.tell();
        entry.map(|entry| entry.value)
    }

    /// Removes entries that are too old, at most `max` of them, the oldest first, and says how many. Costs what it removes.
    pub fn sweep(&mut self, now: Duration, max: usize) -> usize {
        let now = self.advance(now);
        let mut swept = 0;
        while swept < max
            && let Some(oldest) = self.oldest()
            && self.entry_is_old(oldest, now)
        {
            self.expire(oldest);
            swept += 1;
        }
        self.tell();
        swept
    }

    /// Removes all entries and gives their room back.
    pub fn clear(&mut self) {
        self.entries = HashMap::new();
        self.ages = BTreeMap::new();
        self.bytes = 0;
        self.tell();
    }

    /// Entries held, too old ones that nobody has swept included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes held, as the insertions said.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its counts, for a [census](crate::Census).
    pub fn gauge(&self) -> &Arc<Gauge> {
        &self.gauge
    }

    fn advance(&mut self, now: Duration) -> Duration {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn is_old(&self, entry: &Entry<V>, now: Duration) -> bool {
        now - entry.born >= self.bounds.age_max
    }

    fn oldest(&self) -> Option<u64> {
        self.ages.keys().next().copied()
    }

    fn entry_is_old(&self, number: u64, now: Duration) -> bool {
        self.ages.get(&number).and_then(|key| self.entries.get(key)).is_some_and(|entry| self.is_old(entry, now))
    }

    fn expire(&mut self, number: u64) {
        if self.take(number).is_some() {
            self.gauge.lost_one(Reason::Expired);
        }
    }

    /// The one place where entries leave.
    fn take(&mut self, number: u64) -> Option<Entry<V>> {
        let key = self.ages.remove(&number)?;
        let entry = self.entries.remove(&key)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    fn tell(&self) {
        self.gauge.holds(self.entries.len() as u64, self.bytes);
    }
}

#[cfg(test)]
mod tests;
