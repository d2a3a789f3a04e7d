//! Children that landed on the server because their keeper died.
//!
//! Children belong to a process, not to a [`super::Runner`], and so does the register here. The server is a subreaper: what
//! a lost keeper leaves becomes the server's child. Such a child is known by its session: a keeper and each step begin
//! sessions of their own, nobody can join another's session, and the server's other children are in the server's. So
//! whoever is our child in a foreign session and no keeper is a step's orphan, even with its environment cleared.

use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::process::{Pid, WaitOptions};
use staunch_bounded::fault_point;

use super::processes::{self, Process};

/// The pids of all keepers of this process. The lock is held while one is spawned and while orphans are told from
/// keepers, so that a keeper is never taken for an orphan.
static KEEPERS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn keepers() -> MutexGuard<'static, Vec<u32>> {
    // A list of numbers is whole whatever panicked beside it.
    KEEPERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A keeper's process. Dropping it kills it if it is not dead yet, and takes it from the process table.
pub(super) struct Hired(Child);

impl Hired {
    /// Its pid, which is its own until this is dropped.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Hired {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        self.0.kill().ok();
        self.0.wait().ok();
        keepers().retain(|pid| *pid != self.0.id());
    }
}

/// Starts a keeper.
///
/// # Errors
/// It cannot be started.
pub(super) fn hire(command: &mut Command) -> io::Result<Hired> {
    let mut keepers = keepers();
    fault_point!("keeper.spawn")?;
    let child = command.spawn()?;
    keepers.push(child.id());
    Ok(Hired(child))
}

/// Kills all orphans there are, and takes the dead from the process table. Returns how many there were: call it until 0.
///
/// # Errors
/// `/proc` cannot be read.
pub(super) fn sweep() -> io::Result<usize> {
    fault_point!("orphans.look")?;
    let keepers = keepers();
    let me = rustix::process::getpid();
    let own = me.as_raw_nonzero().get();
    // From `/proc`, like everybody's: in a pid namespace whose session began outside of it, getsid(2) answers 0, no pid.
    let own_session = Process::look(me).ok_or(io::ErrorKind::NotFound)?.session;
    let is_keeper = |pid: Pid| keepers.iter().any(|keeper| i32::try_from(*keeper) == Ok(pid.as_raw_nonzero().get()));
    let find = || {
        let all = processes::all()?;
        let orphans: Vec<_> = all
            .iter()
            .filter(|process| process.parent == own && process.session != own_session && !is_keeper(process.pid))
            .cloned()
            .collect();
        let roots: Vec<i32> = orphans.iter().map(|process| process.pid.as_raw_nonzero().get()).collect();
        let mut found = processes::descendants(&all, &roots);
        found.extend(orphans);
        Ok(found)
    };
    let count = processes::kill_all(find)?;
    if count > 0 {
        thread::yield_now();
        for orphan in find()?.iter().filter(|process| process.parent == own) {
            // Only these, by number: another part of the process may wait for a child of its own.
            rustix::process::waitpid(Some(orphan.pid), WaitOptions::NOHANG).ok();
        }
    }
    Ok(count)
}

/// A sweep that goes on until nobody is left.
pub(super) struct Sweep {
    since: Instant,
    due: Instant,
    pause: Duration,
}

/// The first pause between two rounds, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];
/// After so long, what is left cannot be killed: steps are not held up by it any more, but the sweep goes on.
const STUBBORN: Duration = Duration::from_secs(30);
/// How long [`Sweep::last`] takes at most.
const LAST_MAX: Duration = Duration::from_secs(2);

impl Sweep {
    /// Due at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, due: now, pause: PAUSES[0] }
    }

    /// When the next round is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// A round. Returns whether nobody is left.
    pub(super) fn go(&mut self, now: Instant) -> bool {
        // Without `/proc`, memory or file descriptors there is no knowing: the next round may do better.
        let clean = sweep().is_ok_and(|count| count == 0);
        self.due = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSES[1]);
        clean
    }

    /// Whether it goes on for too long to be waited for.
    pub(super) fn is_stubborn(&self, now: Instant) -> bool {
        now >= self.since + STUBBORN
    }

    /// The last rounds, blocking. Returns how many are left.
    pub(super) fn last(&mut self) -> usize {
        let until = Instant::now() + LAST_MAX;
        loop {
            match sweep() {
                Ok(0) => return 0,
                left if Instant::now() >= until => return left.unwrap_or(1),
                _ => thread::sleep(PAUSES[0]),
            }
        }
    }
}
