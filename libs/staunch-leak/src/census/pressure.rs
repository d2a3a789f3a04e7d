//! How long work waited for memory, the processor or the disk, as the kernel tells it (PSI).

use std::fs;
use std::path::Path;

/// One line of a pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// Percent of the last minute.
    pub avg60: f64,
    /// Microseconds in all.
    pub total_micros: u64,
}

/// What a pressure file says.
///
/// ```
/// use staunch_leak::census::Pressure;
/// let text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n";
/// let pressure = Pressure::parse(text).unwrap();
/// assert_eq!((pressure.some.avg10, pressure.some.total_micros, pressure.full.total_micros), (1.5, 1_234, 9));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Time in which something waited.
    pub some: Stall,
    /// Time in which everything waited.
    pub full: Stall,
}

impl Pressure {
    /// Reads `/proc/pressure/memory`, or `memory.pressure` of a group. `None` where the kernel does not account for it.
    pub fn read(path: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    /// Of the text of such a file; `None` if there is no `some` in it. A kernel without `full` has none of it.
    pub fn parse(text: &str) -> Option<Self> {
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let some = Stall::parse(line("some ")?)?;
        Some(Self { some, full: line("full ").and_then(Stall::parse).unwrap_or_default() })
    }
}

impl Stall {
    fn parse(fields: &str) -> Option<Self> {
        let field = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        Some(Self {
            avg10: field("avg10")?.parse().ok()?,
            avg60: field("avg60")?.parse().ok()?,
            total_micros: field("total")?.trim_end().parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Pressure;

    #[test]
    fn what_is_no_pressure_file_is_none() {
        for text in
            ["", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0", "some avg10=x avg60=0 total=0", "some total=5"]
        {
            assert_eq!(Pressure::parse(text), None, "{text:?}");
        }
    }
}
