//! Logs of each fate: sealed into the database, sealed into a file, left behind; and what must be true afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use staunch_flow::StepIndex;
use staunch_store::logs::{LogName, Recovered, Stream};
use staunch_store::{AttemptKey, LogPlace, Logs, RunId, StoreError, StoreLimits};

use super::world::World;
use crate::conformance::{LIMITS, block_on};

/// Three blocks: one is the head, two are the ring, and the fourth overwrites.
const CAP: u64 = 3 * 65_536;
/// What is appended at once.
const PIECE: usize = 40_000;

fn limits() -> StoreLimits {
    StoreLimits { log_bytes_max: CAP, ..LIMITS }
}

fn attempt(number: u128) -> AttemptKey {
    AttemptKey { run: RunId(uuid::Uuid::from_u128(number)), step: StepIndex(0), attempt: 1 }
}

fn place(world: &World) -> PathBuf {
    world.place.join("logs")
}

/// Bytes that differ along the way, so that a misplaced one is seen.
fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Opens the logs, does `work`, and says what was told.
pub(crate) fn in_logs(
    world: &World,
    work: impl AsyncFnOnce(&Arc<Logs>, &World) -> Result<(), StoreError>,
) -> Result<(), String> {
    world.begin();
    block_on(async {
        let logs = open(world).await.map_err(|error| error.to_string())?;
        work(&logs, world).await.map_err(|error| error.to_string())?;
        drop(logs);
        world.verdict()
    })
}

pub(crate) async fn open(world: &World) -> Result<Arc<Logs>, StoreError> {
    world.step(|| async { Logs::open(place(world), limits()) }).await
}

/// A short one, which goes into the database.
async fn into_the_database(logs: &Arc<Logs>, world: &World) -> Result<(), StoreError> {
    let mut writer = logs.writer(attempt(1), 1);
    writer.append(Stream::Stdout, 0, &pattern(0, 100))?;
    writer.flush()?;
    tokio::task::yield_now().await;
    let place = writer.seal()?;
    assert!(matches!(&place, LogPlace::Inline(bytes) if bytes.len() > 100));
    let page = world.step(|| async { logs.read(attempt(1), 1, Some(&place), 0, 1_000) }).await?;
    assert_eq!(page.records[0].bytes, pattern(0, 100));
    Ok(())
}

/// A long one, which loses its middle, is read while it runs, and goes into a file.
async fn into_a_file(logs: &Arc<Logs>, world: &World) -> Result<(), StoreError> {
    let mut writer = logs.writer(attempt(2), 1);
    for piece in 0..7 {
        let appended = writer.append(Stream::Stdout, 0, &pattern(piece * PIECE, PIECE));
        appended.and_then(|()| writer.flush())?;
        world.ack(format_args!("heard 2 {}", (piece + 1) * PIECE));
        tokio::task::yield_now().await;
    }
    assert!(logs.is_ahead(attempt(2), 1, 0));
    let page = world.step(|| async { logs.read(attempt(2), 1, None, 0, 10_000) }).await?;
    assert_eq!(page.records[0].bytes, pattern(0, 10_000));
    world.step(|| async { logs.tail(attempt(2), 1, None, 3) }).await?;
    let place = writer.seal()?;
    assert!(matches!(place, LogPlace::File { .. }));
    tokio::task::yield_now().await;
    let mut whole = Vec::new();
    let copied = world.step(|| {
        whole.clear();
        let copied = logs.copy_to(attempt(2), 1, Some(&place), None, &mut whole);
        async move { copied }
    });
    assert!(copied.await? as usize >= CAP as usize - 65_536);
    world.step(|| async { logs.tail(attempt(2), 1, Some(&place), 3) }).await?;
    Ok(())
}

/// One whose writer is dropped, which the next start seals.
async fn left_behind(logs: &Arc<Logs>, world: &World) -> Result<(), StoreError> {
    let mut writer = logs.writer(attempt(3), 1);
    writer.append(Stream::Stderr, 0, &pattern(0, PIECE))?;
    writer.flush()?;
    world.ack(format_args!("heard 3 {PIECE}"));
    tokio::task::yield_now().await;
    writer.append(Stream::Stderr, 0, &pattern(PIECE, 10))?;
    drop(writer);
    assert!(!logs.is_ahead(attempt(3), 1, 0), "nobody writes it");
    let done = world.step(|| async { logs.recover(&mut |_| Ok(true)) }).await?;
    if done.left > 0 {
        // That stands in the log, and the next start tries again.
        return Err(StoreError::Failed("it could not be sealed".to_owned()));
    }
    tokio::task::yield_now().await;
    Ok(())
}

/// All of it; then all is removed. Afterwards there is not a file.
pub(crate) async fn whole_life(logs: &Arc<Logs>, world: &World) -> Result<(), StoreError> {
    into_the_database(logs, world).await?;
    into_a_file(logs, world).await?;
    left_behind(logs, world).await?;
    world.ack("forgetting");
    for number in 1..=3 {
        world.step(|| async { logs.remove(attempt(number).run) }).await?;
        tokio::task::yield_now().await;
    }
    // After a failure that was told, a directory without a file may be left for the next start.
    assert!(logs.usage_bytes() == 0 || world.has_failed());
    Ok(())
}

/// After a run in which this process lived on: unless the log says that it could not be removed, nothing unfinished is there.
pub(crate) fn check_alive(world: &World) {
    if !world.has_logged() {
        let unfinished = unfinished(&place(world));
        assert!(unfinished.is_empty(), "nobody waits for the next start: {unfinished:?}");
    }
    check(world);
}

/// Temporary files below.
fn unfinished(directory: &Path) -> Vec<PathBuf> {
    // What cannot be listed was not made.
    let entries = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { unfinished(&path) } else { vec![path] };
    entries.flat_map(below).filter(|path| path.extension().is_some_and(|ending| ending == "tmp")).collect()
}

/// After a run, however it ended: the next start finds what was flushed, and leaves nothing unfinished; and then all is removed.
pub(crate) fn check(world: &World) {
    let acks = world.acks();
    let logs = Logs::open(place(world), limits()).unwrap();
    let done = logs.recover(&mut |_| Ok(true)).unwrap();
    assert_eq!(done.left, 0);
    assert_eq!(logs.recover(&mut |_| Ok(true)).unwrap(), Recovered::default(), "one start is enough");
    for ack in acks.iter().filter(|_| !acks.contains(&"forgetting".to_owned())) {
        let mut words = ack.split(' ').skip(1).map(|word| word.parse::<u64>().unwrap());
        let (number, flushed) = (words.next().unwrap(), words.next().unwrap());
        let end = heard(&logs, u128::from(number));
        assert!(end >= flushed as usize, "{ack}, and now {end}");
    }
    for number in 1..=3 {
        logs.remove(attempt(number).run).unwrap();
    }
    assert_eq!(logs.usage_bytes(), 0);
    // The next start removes a directory that nobody could remove.
    logs.recover(&mut |_: LogName| Ok(false)).unwrap();
    assert_eq!(std::fs::read_dir(place(world)).unwrap().count(), 0);
    world.clear();
}

/// How far a log goes, which is checked along the way: what is heard is the pattern at its place, and what is not is counted.
fn heard(logs: &Logs, number: u128) -> usize {
    let (mut at, mut cursor) = (0, 0);
    loop {
        let page = logs.read(attempt(number), 1, None, cursor, 1 << 20).unwrap();
        at += page.gap as usize;
        for record in &page.records {
            assert!(record.bytes == pattern(at, record.bytes.len()), "log {number} at {at}");
            at += record.bytes.len();
        }
        if page.end || page.records.is_empty() {
            return at;
        }
        cursor = page.next;
    }
}
