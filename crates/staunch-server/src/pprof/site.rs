//! Where an allocation is said to come from: the innermost function that is no library's means of allocating.

use super::profile::{Line, Profile, Sample};

/// What names of functions begin with that only pass a request for memory on.
const MEANS: [&str; 14] = [
    "alloc::",
    "<alloc::",
    "core::",
    "<core::",
    "std::",
    "<std::",
    "hashbrown::",
    "<hashbrown::",
    "bytes::",
    "<bytes::",
    "<T as ",
    "<I as ",
    "<&",
    "<F as ",
];

/// How much came from one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// The function.
    pub(super) name: String,
    /// How many blocks.
    pub(super) objects: i64,
    /// How many bytes.
    pub(super) bytes: i64,
}

/// The function, and where it stands if that is known.
fn named(line: &Line) -> String {
    if line.file.is_empty() {
        line.function.clone()
    } else {
        format!("{} ({}:{})", line.function, line.file, line.line)
    }
}

impl Profile {
    /// All sites, the one with the most bytes first.
    pub(super) fn sites(&self) -> Vec<Site> {
        let mut sites = std::collections::BTreeMap::<String, (i64, i64)>::new();
        for sample in self.samples() {
            let held = sites.entry(self.site(sample)).or_default();
            held.0 = held.0.saturating_add(sample.objects);
            held.1 = held.1.saturating_add(sample.bytes);
        }
        let sites = sites.into_iter().map(|(name, (objects, bytes))| Site { name, objects, bytes });
        let mut sites: Vec<Site> = sites.collect();
        // Stable: sites of as many bytes stay in the order of their names.
        sites.sort_by_key(|site| std::cmp::Reverse(site.bytes));
        sites
    }

    /// The function that a sample is said to come from.
    pub(super) fn site(&self, sample: &Sample) -> String {
        let lines = || {
            let frames = sample.stack.iter().map(|place| &self.frames()[*place]);
            frames.flat_map(|frame| &frame.lines)
        };
        let own = lines().find(|line| {
            // With line tables, names are short and Rust's own files are below here.
            !line.file.starts_with("/rustc/") && !MEANS.iter().any(|means| line.function.starts_with(means))
        });
        match (own.or_else(|| lines().next()), sample.stack.first()) {
            (Some(line), _) => line.function.clone(),
            (None, Some(place)) => format!("{:#x}", self.frames()[*place].address),
            (None, None) => "nowhere".to_owned(),
        }
    }

    /// In words: how much is live, then the sites with the most, each with its largest stack.
    pub(crate) fn text(&self, sites_max: usize) -> String {
        use std::fmt::Write;

        let (objects, bytes) = self.sum();
        let mut text = format!("heap profile: {objects} blocks, {bytes} bytes");
        if self.duration.is_zero() {
            text.push_str(" live");
        } else {
            // Writing to a string never fails, here and below.
            write!(text, " more than {} s before", self.duration.as_secs()).unwrap_or_default();
        }
        write!(text, ", estimated from a sample each {} bytes\n\n", self.period_bytes).unwrap_or_default();
        for site in self.sites().into_iter().take(sites_max) {
            writeln!(text, "{:>12} bytes {:>9} blocks  {}", site.bytes, site.objects, site.name).unwrap_or_default();
            let stacks = self.samples().iter().filter(|sample| self.site(sample) == site.name);
            let Some(largest) = stacks.max_by_key(|sample| sample.bytes.abs()) else { continue };
            for frame in largest.stack.iter().map(|place| &self.frames()[*place]) {
                let names: Vec<String> = frame.lines.iter().map(named).collect();
                writeln!(text, "    {:#014x}  {}", frame.address, names.join(" in ")).unwrap_or_default();
            }
        }
        text
    }
}
