//! The report of a soak, in Markdown, with its chart beside it.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use super::chart;
use super::count::ALL;
use super::judge::Judged;
use super::show::quantity;
use super::soaked::Soaked;
use crate::failure::Failure;

/// Cycles that the table shows; of more, as many are left out between two as need be.
const ROWS_MAX: usize = 60;

/// Makes both files before anything is measured, so that hours of it are not for nothing. What stands in them stays until there is more.
///
/// # Errors
/// One could not be written: a wrong flag, and not to be taken for a verdict.
pub(super) fn begin(path: &Path) -> Result<(), Failure> {
    for file in [path, &chart_beside(path)] {
        let opened = OpenOptions::new().append(true).create(true).open(file);
        opened.map_err(|error| Failure::usage(format!("cannot write {}: {error}", file.display())))?;
    }
    Ok(())
}

/// Writes `FILE.md`, and `FILE.svg` beside it.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(soaked: &Soaked, path: &Path) -> Result<(), Failure> {
    let chart = chart_beside(path);
    let name = chart.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    put(&chart, &chart::svg(&soaked.cycles))?;
    put(path, &markdown(soaked, &name))
}

fn chart_beside(path: &Path) -> PathBuf {
    path.with_extension("svg")
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::file("write", path, &error))
}

fn markdown(soaked: &Soaked, chart: &str) -> String {
    let Soaked { mix, leaks, bound, took, cycles, judged, .. } = soaked;
    let last = cycles.last();
    let (runs, requests) = last.map_or((0, 0), |cycle| (cycle.runs, cycle.requests));
    let allocator = last.map_or("", |cycle| cycle.reading.allocator.as_str());
    let lives = last.map_or(0, |cycle| cycle.life);
    let seconds = took.as_secs();
    let injected = if leaks.is_empty() { String::new() } else { format!("Leaks were injected: `{leaks}`.\n\n") };
    let mut text = format!(
        "# Soak report\n\n**{}**\n\n{injected}staunch {}, allocator {allocator}. {} cycles in {lives} lives of the server, {runs} runs \
         and {requests} requests in {seconds} s. The mix of each cycle: {mix}. After each cycle the server came to rest, its \
         histories were swept back to their caps, and what it held was compared. Counts must be equal exactly after the warm-up; \
         live bytes may grow by {bound} B a run at most, by the upper bound at 99 %.\n\n",
        soaked.last_line(),
        env!("CARGO_PKG_VERSION"),
        cycles.len(),
    );
    text.push_str("| resource | verdict | growth a run | at least (99 %) | at most (99 %) | in words |\n|---|---|---:|---:|---:|---|\n");
    judged.iter().for_each(|judged| row(&mut text, judged));
    write!(text, "\n![What the server held after each cycle, over the runs]({chart})\n\n## Cycles\n\n")
        .unwrap_or_default();
    let heads: Vec<&str> = ALL.iter().map(|resource| resource.name).collect();
    writeln!(text, "| cycle | life | runs | {} |\n|---:|---:|---:|{}", heads.join(" | "), "---:|".repeat(ALL.len()))
        .unwrap_or_default();
    let step = cycles.len().div_ceil(ROWS_MAX).max(1);
    // From the last back, so that the last is there.
    let shown = cycles.iter().rev().step_by(step).collect::<Vec<_>>();
    for cycle in shown.into_iter().rev() {
        let values: Vec<String> =
            ALL.iter().zip(cycle.reading.values).map(|(resource, value)| quantity(resource.how, value)).collect();
        writeln!(text, "| {} | {} | {} | {} |", cycle.number, cycle.life, cycle.runs, values.join(" | "))
            .unwrap_or_default();
    }
    text
}

fn row(text: &mut String, judged: &Judged) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let rate = judged.per_run;
    let verdict = if judged.counts { judged.verdict.word() } else { "told" };
    writeln!(
        text,
        "| {} | {verdict} | {} | {} | {} | {} |",
        judged.name,
        number(rate.map(|rate| rate.slope)),
        number(rate.map(|rate| rate.lower)),
        number(rate.map(|rate| rate.upper)),
        judged.says
    )
    .unwrap_or_default();
}
