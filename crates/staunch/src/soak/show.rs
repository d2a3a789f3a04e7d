//! What is seen of a soak while it goes on, and at its end.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::count::{ALL, How};
use super::drive::{Cycle, Length};
use super::judge::{Judged, Verdict};
use super::soaked::Soaked;
use crate::failure::Failure;
use crate::render::{Ink, Table, Terminal, bytes};

/// Cycles of a line's curve.
const CURVE: usize = 40;
/// A curve's heights, the lowest first.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Shows it: a chart in place on a terminal, a line a cycle elsewhere, objects for programs.
pub(super) struct Show {
    json: bool,
    length: Length,
    /// Lines of the chart that stand on the terminal.
    drawn: usize,
}

impl Show {
    /// Nothing yet.
    pub(super) fn new(json: bool, length: Length) -> Self {
        Self { json, length, drawn: 0 }
    }

    /// A cycle more: the last of these.
    ///
    /// # Errors
    /// It cannot be printed.
    pub(super) fn cycle(&mut self, cycles: &[Cycle], terminal: &mut Terminal) -> Result<(), Failure> {
        let Some(last) = cycles.last() else { return Ok(()) };
        if self.json {
            terminal.json(&object(last))?;
            terminal.flush();
        } else if terminal.is_watched() {
            let lines = self.chart(cycles);
            // Up to the first line of the chart, and away with it (ECMA-48 §8.3.22, §8.3.39).
            let up = if self.drawn == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.drawn) };
            self.drawn = lines.len();
            terminal.say(format_args!("{up}{}", lines.join("\n")));
        } else {
            terminal.say(self.line(last));
        }
        Ok(())
    }

    /// The verdict: a table and the last line; one object more for programs.
    ///
    /// # Errors
    /// It cannot be printed.
    pub(super) fn end(&self, soaked: &Soaked, terminal: &mut Terminal) -> Result<(), Failure> {
        if self.json {
            return terminal.json(&end_object(soaked));
        }
        let mut table = Table::new(&["resource", "verdict", ">growth a run", ">at least", ">at most", "cycles"]);
        for judged in &soaked.judged {
            table.row(cells(judged));
        }
        let paint = terminal.out_paint();
        let table = table.show(paint).to_string();
        terminal.line(table);
        let last = soaked.last_line();
        terminal.line(format_args!("{}", paint.ink(ink(soaked.verdict()), &last)));
        Ok(())
    }

    fn heading(&self, cycle: &Cycle) -> String {
        let Cycle { number, runs, requests, took, .. } = cycle;
        let of = match self.length {
            Length::Cycles(all) => format!(" of {all}"),
            Length::Time(_) => String::new(),
        };
        format!(
            "cycle {number}{of}: {runs} runs and {requests} requests so far, this one in {:.1} s",
            took.as_secs_f64()
        )
    }

    fn line(&self, cycle: &Cycle) -> String {
        let mut line = self.heading(cycle);
        for (resource, value) in ALL.iter().zip(cycle.reading.values) {
            write!(line, ", {} {}", resource.name, quantity(resource.how, value)).unwrap_or_default();
        }
        line
    }

    fn chart(&self, cycles: &[Cycle]) -> Vec<String> {
        let heading = cycles.last().map(|last| self.heading(last));
        let lines = ALL.iter().enumerate().map(|(place, resource)| {
            let values: Vec<Option<u64>> = cycles.iter().map(|cycle| cycle.reading.values[place]).collect();
            let last = quantity(resource.how, values.last().copied().flatten());
            let shown = &values[values.len().saturating_sub(CURVE)..];
            format!("{:<11}{last:>10}  {}", resource.name, curve(shown))
        });
        heading.into_iter().chain(lines).collect()
    }
}

fn cells(judged: &Judged) -> Vec<(String, Option<Ink>)> {
    let rate = judged.per_run;
    let number = |value: Option<f64>| (value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}")), None);
    let verdict = match (judged.counts, judged.verdict) {
        (false, _) => ("told".to_owned(), Some(Ink::Faint)),
        (true, verdict) => (verdict.word().to_owned(), Some(ink(verdict))),
    };
    vec![
        (judged.name.to_owned(), Some(Ink::Strong)),
        verdict,
        number(rate.map(|rate| rate.slope)),
        number(rate.map(|rate| rate.lower)),
        number(rate.map(|rate| rate.upper)),
        (format!("{} after {}", judged.cycles, judged.warm_up_cycles), None),
    ]
}

impl Verdict {
    /// Its word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Inconclusive => "inconclusive",
            Self::Leak => "leak",
        }
    }
}

fn ink(verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Clean => Ink::Good,
        Verdict::Inconclusive => Ink::Warn,
        Verdict::Leak => Ink::Bad,
    }
}

/// A value as people read it.
pub(super) fn quantity(how: How, value: Option<u64>) -> String {
    match (value, how) {
        (None, _) => "-".to_owned(),
        (Some(count), How::Exactly) => count.to_string(),
        (Some(size), _) => bytes(size),
    }
}

/// Values as heights between the lowest and the highest of them; a gap where there is none.
fn curve(values: &[Option<u64>]) -> String {
    let known = values.iter().flatten();
    let (Some(low), Some(high)) = (known.clone().min(), known.max()) else { return String::new() };
    let span = (high - low).max(1) as f64;
    let height = |value: u64| HEIGHTS[((value - low) as f64 / span * (HEIGHTS.len() - 1) as f64).round() as usize];
    values.iter().map(|value| value.map_or(' ', height)).collect()
}

fn object(cycle: &Cycle) -> Value {
    let Cycle { number, life, runs, requests, took, reading } = cycle;
    let resources: Map<String, Value> =
        ALL.iter().zip(reading.values).map(|(resource, value)| (resource.name.to_owned(), value.into())).collect();
    json!({
        "cycle": number, "life": life, "runs": runs, "requests": requests, "runs_of_life": reading.runs,
        "seconds": took.as_secs_f64(), "resources": resources,
    })
}

fn end_object(soaked: &Soaked) -> Value {
    let last = soaked.cycles.last();
    json!({
        "verdict": soaked.verdict(), "says": soaked.last_line(), "cycles": soaked.cycles.len(),
        "runs": last.map_or(0, |cycle| cycle.runs), "requests": last.map_or(0, |cycle| cycle.requests),
        "seconds": soaked.took.as_secs_f64(), "bound": soaked.bound, "resources": soaked.judged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_lies_between_its_lowest_and_its_highest() {
        assert_eq!(curve(&[Some(10), Some(17), None, Some(24)]), "▁▅ █");
        assert_eq!(curve(&[Some(3), Some(3)]), "▁▁");
        assert_eq!(curve(&[None, None]), "");
    }
}
