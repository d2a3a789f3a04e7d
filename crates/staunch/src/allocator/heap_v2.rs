//! The text of a heap profile of jemalloc, `heap_v2`, and what it means.

use std::collections::BTreeSet;
use std::io;

use staunch_server::pprof::Mapping;

/// What a text says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Dump {
    /// One allocation was sampled in so many bytes, on average.
    pub(super) period_bytes: u64,
    /// What is live, by where it was allocated.
    pub(super) stacks: Vec<Stack>,
    /// Where the program lies in memory.
    pub(super) program: Option<Mapping>,
}

/// What was allocated in one place and is live.
#[derive(Debug, PartialEq)]
pub(super) struct Stack {
    /// Return addresses, the innermost first.
    pub(super) addresses: Vec<u64>,
    /// How many blocks, estimated.
    pub(super) objects: i64,
    /// How many bytes, estimated.
    pub(super) bytes: i64,
}

impl Dump {
    /// All addresses, each once.
    pub(super) fn addresses(&self) -> BTreeSet<u64> {
        self.stacks.iter().flat_map(|stack| &stack.addresses).copied().collect()
    }
}

/// Reads a text. It begins `heap_v2/524288`; then each stack is a line `@ 0x1 0x2 ...` with a line of its sum, `  t*: 3: 4096 [0: 0]`
/// (blocks, bytes, and what was ever allocated), and lines of threads, which are passed over. At the end is a copy of `/proc/self/maps`.
///
/// # Errors
/// It is something else.
pub(super) fn parse(text: &str) -> io::Result<Dump> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "this is no heap profile of jemalloc");
    let mut lines = text.lines();
    let head = lines.next().and_then(|line| line.strip_prefix("heap_v2/")).ok_or_else(wrong)?;
    let mut dump = Dump { period_bytes: head.trim().parse().map_err(|_| wrong())?, ..Dump::default() };
    let mut addresses: Option<Vec<u64>> = None;
    for line in lines.by_ref() {
        if line.starts_with("MAPPED_LIBRARIES:") {
            break;
        }
        if let Some(stack) = line.strip_prefix("@ ") {
            let stack = stack.split_whitespace().map(|word| hex(word.strip_prefix("0x")?));
            addresses = Some(stack.collect::<Option<_>>().ok_or_else(wrong)?);
        } else if let Some(sum) = line.trim_start().strip_prefix("t*:")
            && let Some(addresses) = addresses.take()
        {
            let (objects, bytes) = sums(sum).ok_or_else(wrong)?;
            let (objects, bytes) = unsampled(objects, bytes, dump.period_bytes);
            dump.stacks.push(Stack { addresses, objects, bytes });
        }
    }
    dump.program = program(lines);
    Ok(dump)
}

fn hex(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

/// ` 3: 4096 [0: 0]`
fn sums(text: &str) -> Option<(u64, u64)> {
    let (objects, rest) = text.split_once(':')?;
    let (bytes, _) = rest.trim().split_once(' ')?;
    Some((objects.trim().parse().ok()?, bytes.parse().ok()?))
}

/// From what was sampled to what there is. A block of n bytes is sampled with the probability 1 - exp(-n / period), so what was sampled
/// of blocks of that size stands for as many more.
fn unsampled(objects: u64, bytes: u64, period: u64) -> (i64, i64) {
    if objects == 0 || bytes == 0 {
        return (0, 0);
    }
    let mean = bytes as f64 / objects as f64;
    let scale = 1.0 / (1.0 - (-mean / period.max(1) as f64).exp());
    ((objects as f64 * scale).round() as i64, (bytes as f64 * scale).round() as i64)
}

/// From `55d0c6400000-55d0c6800000 r-xp 00200000 fe:00 1234 /usr/bin/staunch` and such: the first file's part that can be executed.
fn program<'a>(maps: impl Iterator<Item = &'a str>) -> Option<Mapping> {
    maps.filter_map(|line| {
        let mut words = line.split_whitespace();
        let (start, limit) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        let offset = hex(words.next()?)?;
        let file = words.nth(2)?;
        let file = (rights.contains('x') && file.starts_with('/')).then(|| file.to_owned())?;
        Some(Mapping { start: hex(start)?, limit: hex(limit)?, offset, file })
    })
    .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "heap_v2/524288
  t*: 3: 8388608 [0: 0]
  t0: 3: 8388608 [0: 0]
@ 0x1f 0x2a
  t*: 2: 8388608 [0: 0]
  t0: 2: 8388608 [0: 0]
@ 0x3b
  t*: 1: 64 [0: 0]
@ 0x4c
  t*: 0: 0 [0: 0]

MAPPED_LIBRARIES:
7f00-8f00 r--p 00000000 fe:00 7 /usr/bin/staunch
8f00-9f00 r-xp 00001000 fe:00 7 /usr/bin/staunch
af00-bf00 r-xp 00000000 fe:00 8 /lib/libc.so.6
";

    #[test]
    fn a_text_is_its_stacks_and_where_the_program_lies() {
        let dump = parse(TEXT).expect("read");
        let program = Mapping { start: 0x8f00, limit: 0x9f00, offset: 0x1000, file: "/usr/bin/staunch".to_owned() };
        assert_eq!((dump.period_bytes, dump.program.as_ref()), (524_288, Some(&program)));
        let stacks: Vec<_> = dump.stacks.iter().map(|s| (s.addresses.as_slice(), s.objects, s.bytes)).collect();
        // Blocks far larger than the period stand for themselves; one of 64 bytes stands for 8,192 such (512 KiB in all).
        let expected: [(&[u64], i64, i64); 3] =
            [(&[0x1f, 0x2a], 2, 8_391_423), (&[0x3b], 8_193, 524_320), (&[0x4c], 0, 0)];
        assert_eq!(stacks, expected);
        assert_eq!(dump.addresses().into_iter().collect::<Vec<_>>(), [0x1f, 0x2a, 0x3b, 0x4c]);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        for text in
            ["", "heap profile: 1: 2 [3: 4] @ heap/1", "heap_v2/x", "heap_v2/1\n@ zz\n", "heap_v2/1\n@ 0x1\n t*: x\n"]
        {
            assert_eq!(parse(text).expect_err("refused").kind(), io::ErrorKind::InvalidData, "{text:?}");
        }
        assert_eq!(parse("heap_v2/1\n").expect("empty").stacks, []);
    }
}
