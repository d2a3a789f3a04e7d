//! Seats for event streams: so many in all, and so many of one user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use staunch_store::UserId;

/// One user has at most one of so many seats: four would have to agree to leave none.
const USERS: usize = 4;

/// All seats. Whoever is no user, on this machine while there is no admin, has nobody beside them, and no share.
#[derive(Debug)]
pub(crate) struct Seats {
    seats_max: usize,
    of_user_max: usize,
    taken: Mutex<Taken>,
}

/// Users who have none are not in the map, so it has at most as many entries as there are seats.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_user: HashMap<UserId, usize>,
}

/// Why there is none, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSeat {
    /// All are taken.
    #[error("at most {0} may be open")]
    Full(usize),
    /// This user's are.
    #[error("at most {0} of one user may be open")]
    UserFull(usize),
}

/// A seat; it is free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    user: Option<UserId>,
}

impl Seats {
    /// So many.
    pub(crate) fn new(seats_max: usize) -> Arc<Self> {
        Arc::new(Self { seats_max, of_user_max: (seats_max / USERS).max(1), taken: Mutex::default() })
    }

    /// Takes one.
    ///
    /// # Errors
    /// [`NoSeat`].
    pub(crate) fn take(self: &Arc<Self>, user: Option<UserId>) -> Result<Seat, NoSeat> {
        let mut taken = self.lock();
        if taken.all >= self.seats_max {
            return Err(NoSeat::Full(self.seats_max));
        }
        if let Some(user) = user {
            let theirs = taken.by_user.entry(user).or_default();
            if *theirs >= self.of_user_max {
                return Err(NoSeat::UserFull(self.of_user_max));
            }
            *theirs += 1;
        }
        taken.all += 1;
        Ok(Seat { seats: Arc::clone(self), user })
    }

    /// Taken now.
    pub(crate) fn taken(&self) -> usize {
        self.lock().all
    }

    /// Held for a moment. Poisoned, it counts as well as before: no step panics halfway.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.all -= 1;
        if let Some(user) = self.user
            && let Some(theirs) = taken.by_user.get_mut(&user)
        {
            *theirs -= 1;
            if *theirs == 0 {
                taken.by_user.remove(&user);
            }
            if taken.by_user.is_empty() {
                // An empty map would keep its table.
                taken.by_user = HashMap::new();
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(n: u128) -> Option<UserId> {
        Some(UserId(Uuid::from_u128(n)))
    }

    #[test]
    fn a_user_has_a_quarter_of_all_seats_and_gives_them_back() {
        let seats = Seats::new(8);
        let one = seats.take(user(1)).unwrap();
        let two = seats.take(user(1)).unwrap();
        assert_eq!(seats.take(user(1)).unwrap_err(), NoSeat::UserFull(2));
        let other = seats.take(user(2)).unwrap();
        drop(one);
        let three = seats.take(user(1)).unwrap();
        assert_eq!(seats.take(user(1)).unwrap_err(), NoSeat::UserFull(2));
        drop((two, three, other));
        assert_eq!((seats.taken(), seats.lock().by_user.len()), (0, 0));
    }

    #[test]
    fn all_seats_are_bounded_and_whoever_is_no_user_may_have_all() {
        let seats = Seats::new(3);
        let user_too = seats.take(user(1)).unwrap();
        assert_eq!(seats.take(user(1)).unwrap_err(), NoSeat::UserFull(1), "a quarter of few is one");
        let local: Vec<_> = (0..2).map(|_| seats.take(None).unwrap()).collect();
        assert_eq!(seats.take(None).unwrap_err(), NoSeat::Full(3));
        assert_eq!(seats.take(user(2)).unwrap_err(), NoSeat::Full(3));
        assert_eq!(seats.lock().by_user.len(), 1, "who is refused is not counted");
        drop((user_too, local));
        assert_eq!(seats.taken(), 0);
        assert_eq!(Seats::new(0).take(user(1)).unwrap_err(), NoSeat::Full(0));
    }
}
