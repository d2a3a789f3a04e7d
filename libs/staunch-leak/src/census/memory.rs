//! What the kernel says of the process's memory.

use std::fs;

/// Bytes by the kernel's account. These are not compared in gates: the allocator keeps freed pages for a while, so they say
/// how much the process costs, not whether it leaks.
///
/// ```
/// let memory = staunch_leak::census::Memory::read();
/// assert!(memory.resident_max >= memory.resident);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now: `VmRSS`.
    pub resident: u64,
    /// The most that was ever resident: `VmHWM`.
    pub resident_max: u64,
    /// Resident and backed by no file: `RssAnon`.
    pub anonymous: u64,
    /// In swap: `VmSwap`.
    pub swapped: u64,
    /// Mapped, resident or not: `VmSize`.
    pub mapped: u64,
    /// Threads.
    pub threads: u64,
}

impl Memory {
    /// Reads `/proc/self/status`, in some tens of microseconds. What is not there is 0.
    pub fn read() -> Self {
        fs::read_to_string("/proc/self/status").map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut memory = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let number = value.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            // "kB" is 1,024 bytes here (man 5 proc).
            match name {
                "VmRSS" => memory.resident = number * 1_024,
                "VmHWM" => memory.resident_max = number * 1_024,
                "RssAnon" => memory.anonymous = number * 1_024,
                "VmSwap" => memory.swapped = number * 1_024,
                "VmSize" => memory.mapped = number * 1_024,
                "Threads" => memory.threads = number,
                _ => {}
            }
        }
        memory
    }

    /// Bytes that are this process's part: a page shared by three counts a third in each (`Pss` of `smaps_rollup`). The kernel
    /// walks all mappings for it, which takes milliseconds in a large process, so it is not part of [`Memory::read`].
    pub fn proportional() -> Option<u64> {
        let text = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1_024)
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn a_status_is_read() {
        let text = "Name:\tx: y\nVmSize:\t  20 kB\nVmHWM:\t 9 kB\nVmRSS:\t 8 kB\nRssAnon:\t 3 kB\nVmSwap:\t 1 kB\nThreads:\t7\n";
        let kib = |n: u64| n * 1_024;
        let read = Memory {
            resident: kib(8),
            resident_max: kib(9),
            anonymous: kib(3),
            swapped: kib(1),
            mapped: kib(20),
            threads: 7,
        };
        assert_eq!(Memory::parse(text), read);
        assert_eq!(Memory::parse("VmRSS: many kB\nnonsense"), Memory::default());
    }

    #[test]
    fn a_live_process_has_some() {
        let memory = Memory::read();
        assert!(memory.resident > 0 && memory.mapped >= memory.resident && memory.threads >= 1, "{memory:?}");
        assert!(Memory::proportional().is_none_or(|bytes| bytes > 0));
    }
}
