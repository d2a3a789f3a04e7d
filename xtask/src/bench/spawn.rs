//! The floor: the same processes that steps are, started by nobody in particular.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// What a step `run: "true"` runs; by its whole path, so that the floor pays for no search.
pub(super) const TRUE: &[&str] = &["/bin/sh", "-e", "-c", "true"];

/// The floor gets the parallelism it is best at.
pub(super) const PARALLEL: [usize; 3] = [2, 4, 16];

/// Starts `argv` `count` times, `parallel` at once, waits for each, and says how long that took. Nothing stands in the way of
/// `posix_spawn` here: no working directory, no group, no hook before exec, no pipe.
pub(super) fn spawn_loop(argv: &[&str], count: usize, parallel: usize) -> Result<Duration> {
    let left = AtomicUsize::new(count);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..parallel).map(|_| scope.spawn(|| work(argv, &left))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a spawner panicked"))?)
    })?;
    Ok(begun.elapsed())
}

fn work(argv: &[&str], left: &AtomicUsize) -> Result<()> {
    // Relaxed: a ticket counter guards nothing else.
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // As small an environment as a server's step has.
        command.env_clear().env("PATH", "/usr/bin:/bin");
        let status = command.status().with_context(|| format!("cannot start {argv:?}"))?;
        ensure!(status.success(), "{argv:?}: {status}");
    }
    Ok(())
}
