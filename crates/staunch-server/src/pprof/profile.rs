//! A heap profile: what is live, by where it was allocated.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// A heap profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// One allocation was sampled in so many bytes, on average.
    pub period_bytes: u64,
    /// When it was taken.
    pub at: SystemTime,
    /// Over how long, if it is the difference of two.
    pub duration: Duration,
    /// Where the program lies in memory.
    pub mapping: Option<Mapping>,
    frames: Vec<Frame>,
    samples: Vec<Sample>,
    /// By address, and by stack.
    frame_of: HashMap<u64, usize>,
    sample_of: HashMap<Vec<usize>, usize>,
}

/// Where a file lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its first address.
    pub start: u64,
    /// The address after its last.
    pub limit: u64,
    /// The place in the file, in bytes, that lies at `start`.
    pub offset: u64,
    /// The file.
    pub file: String,
}

/// A place in the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The return address.
    pub address: u64,
    /// The functions there: the one that was called first, then those it was inlined into. May be empty.
    pub lines: Vec<Line>,
}

/// A function, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub function: String,
    /// Its source file; empty if it is not known.
    pub file: String,
    /// The line, from 1; 0 if it is not known.
    pub line: u64,
}

/// What is live that was allocated in one place. In a difference the numbers may be negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The stack, the innermost first, as places in [`Profile::frames`].
    pub stack: Vec<usize>,
    /// How many blocks.
    pub objects: i64,
    /// How many bytes.
    pub bytes: i64,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            period_bytes: 0,
            at: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            mapping: None,
            frames: Vec::new(),
            samples: Vec::new(),
            frame_of: HashMap::new(),
            sample_of: HashMap::new(),
        }
    }
}

impl Profile {
    /// Of nothing yet, taken `at` that time by a sample in each `period_bytes` bytes.
    pub fn new(period_bytes: u64, at: SystemTime) -> Self {
        Self { period_bytes, at, ..Self::default() }
    }

    /// Adds what is live that was allocated with this stack (return addresses, the innermost first). `lines` names the functions of an
    /// address that was not there before.
    pub fn add(&mut self, stack: &[u64], objects: i64, bytes: i64, lines: impl Fn(u64) -> Vec<Line>) {
        let stack = stack.iter().map(|address| {
            *self.frame_of.entry(*address).or_insert_with(|| {
                self.frames.push(Frame { address: *address, lines: lines(*address) });
                self.frames.len() - 1
            })
        });
        let stack: Vec<usize> = stack.collect();
        let place = *self.sample_of.entry(stack).or_insert_with_key(|stack| {
            self.samples.push(Sample { stack: stack.clone(), objects: 0, bytes: 0 });
            self.samples.len() - 1
        });
        let sample = &mut self.samples[place];
        sample.objects = sample.objects.saturating_add(objects);
        sample.bytes = sample.bytes.saturating_add(bytes);
    }

    /// All places in the program that samples name.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// What is live, a line a stack.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// What is live in all: blocks and bytes.
    pub fn sum(&self) -> (i64, i64) {
        self.samples.iter().fold((0_i64, 0_i64), |(objects, bytes), sample| {
            (objects.saturating_add(sample.objects), bytes.saturating_add(sample.bytes))
        })
    }

    /// What is live here and was not in `base`, an earlier profile of the same process; what was and is no more counts as negative.
    /// Stacks that did not change are left out.
    #[must_use]
    pub fn since(&self, base: &Self) -> Self {
        let mut difference = Self {
            period_bytes: self.period_bytes,
            at: self.at,
            duration: self.at.duration_since(base.at).unwrap_or_default(),
            mapping: self.mapping.clone(),
            ..Self::default()
        };
        let mut sum: HashMap<Vec<u64>, (i64, i64)> = HashMap::new();
        for (profile, sign) in [(self, 1), (base, -1)] {
            for sample in &profile.samples {
                let held = sum.entry(profile.addresses(sample)).or_default();
                held.0 = held.0.saturating_add(sample.objects.saturating_mul(sign));
                held.1 = held.1.saturating_add(sample.bytes.saturating_mul(sign));
            }
        }
        let mut changed: Vec<_> = sum.into_iter().filter(|(_, held)| *held != (0, 0)).collect();
        // The order of a hash table is no order.
        changed.sort_unstable_by(|a, b| b.1.1.cmp(&a.1.1).then_with(|| a.0.cmp(&b.0)));
        for (stack, (objects, bytes)) in changed {
            difference
                .add(&stack, objects, bytes, |address| self.lines(address).or(base.lines(address)).unwrap_or_default());
        }
        difference
    }

    fn addresses(&self, sample: &Sample) -> Vec<u64> {
        sample.stack.iter().map(|place| self.frames[*place].address).collect()
    }

    fn lines(&self, address: u64) -> Option<Vec<Line>> {
        self.frame_of.get(&address).map(|place| self.frames[*place].lines.clone())
    }
}
