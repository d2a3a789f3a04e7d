//! What the disk costs: `fdatasync`, as a durable commit calls it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::statistics::{quantile, rounded};

/// Times of single `fdatasync` calls, in milliseconds, each after 4 KiB written over an existing file of 4 MiB (as a write-ahead
/// log that has reached its size is overwritten).
pub(super) fn fdatasync_ms(directory: &Path, count: usize) -> Result<Vec<f64>> {
    const PAGE: usize = 4096;
    const PAGES: usize = 1024;
    let path = directory.join("fdatasync");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all_at(&vec![0; PAGE * PAGES], 0)?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(count);
    for i in 0..count {
        file.write_all_at(&[i as u8; PAGE], (i % PAGES * PAGE) as u64)?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::remove_file(&path)?;
    Ok(times)
}

/// The same as JSON: p50, p99 and how many a second one after the other.
pub(super) fn fdatasync(directory: &Path) -> Result<Value> {
    let times = fdatasync_ms(directory, 400)?;
    let rate = times.len() as f64 / (times.iter().sum::<f64>() / 1e3);
    Ok(json!({
        "fdatasync_p50_ms": rounded(quantile(&times, 0.5)),
        "fdatasync_p99_ms": rounded(quantile(&times, 0.99)),
        "fdatasync_per_s": rounded(rate),
    }))
}
