//! Mutations of workflow files, from a seed: the same seed makes the same bytes on every machine.

/// A small generator of numbers that look random (xorshift64*, Vigna 2014).
pub(crate) struct Rng(u64);

impl Rng {
    /// Any seed will do.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`, or 0 if there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }
}

/// Bytes with a meaning to YAML, to expressions or to workflow files.
const WORDS: &[&str] = &[
    "steps:",
    "- ",
    "run:",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "\u{feff}",
    "\0",
    "---\n",
    "...\n",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "!x ",
    "|",
    ">-",
    "? ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "%YAML 1.2\n",
    "${{",
    "}}",
    "${{ inputs.x }}",
    "steps.a.outcome",
    "always()",
    "needs: [a]",
    "parallel:",
    "retry: 3",
    "timeout: 5m",
    "id: a",
    "if: ",
    "env: {A: b}",
    "null",
    "~",
    "true",
    "no",
    "012",
    "1e999",
    "99999999999999999999",
    "\u{10ffff}",
    "é",
    "\\x00",
    "matrix:",
    "on: push",
    "inputs: {x: {}}",
    "continue-on-error: [1]",
    "shell: [a]",
    "commands: [a]",
    ",",
];

/// One of the seeds, mostly changed in a few places, so that most of it keeps its meaning, and now and then in many.
pub(crate) fn mutated(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds.get(rng.below(seeds.len())).cloned().unwrap_or_default();
    let changes = if rng.below(8) == 0 { 16 } else { 3 };
    for _ in 0..=rng.below(changes) {
        change(rng, &mut bytes, seeds);
    }
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = rng.below(bytes.len() + 1);
    let end = (at + rng.below(64)).min(bytes.len());
    match rng.below(9) {
        // Bytes above 127 end the reading at once, so they come seldom.
        0 if at < bytes.len() => bytes[at] = (rng.next() as u8) >> usize::from(rng.below(8) != 0),
        1 if at < bytes.len() => bytes[at] = b" \n:-[]{}\"'#&*|>,?!%@`0a"[rng.below(23)],
        2 => drop(bytes.drain(at..end)),
        3 => {
            let word = WORDS[rng.below(WORDS.len())].as_bytes();
            drop(bytes.splice(at..at, word.iter().copied()));
        }
        4 => {
            let part = bytes[at..end].to_vec();
            let times = 1 + rng.below(40);
            drop(bytes.splice(at..at, part.repeat(times)));
        }
        5 => bytes.truncate(at),
        6 => {
            let other = seeds.get(rng.below(seeds.len())).map(Vec::as_slice).unwrap_or_default();
            let from = rng.below(other.len() + 1);
            let to = (from + rng.below(200)).min(other.len());
            drop(bytes.splice(at..end, other[from..to].iter().copied()));
        }
        7 => swap_lines(rng, bytes),
        _ => {
            let word = WORDS[rng.below(WORDS.len())].as_bytes();
            drop(bytes.splice(at..end, word.iter().copied()));
        }
    }
    bytes.truncate(64 * 1024);
}

fn swap_lines(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (one, other) = (rng.below(lines.len()), rng.below(lines.len()));
    if !lines.is_empty() {
        lines.swap(one, other);
    }
    *bytes = lines.concat();
}
