//! The program's text in this process's memory.
#![expect(unsafe_code, reason = "no safe wrapper tells the kernel that pages are not needed")]

use std::fs;
use std::ptr::with_exposed_provenance_mut;

/// Lets go of the pages of the program's own text that are mapped now. Most of them served the start alone (of an idle server's resident
/// memory they were half); those that are needed again come back from the file, or from the kernel's cache of it, when they are touched.
/// Returns how many bytes of text there are; 0 if they cannot be told from others.
pub(super) fn leave() -> usize {
    let (Ok(program), Ok(smaps)) = (fs::read_link("/proc/self/exe"), fs::read_to_string("/proc/self/smaps")) else {
        return 0;
    };
    let spans = program.to_str().map(|program| spans(&smaps, program)).unwrap_or_default();
    for (start, length) in &spans {
        // SAFETY: the kernel has just said that this is a private mapping of the program's file, not writable, of which no page differs
        // from the file (`Anonymous: 0`); and nobody unmaps a program's text while it runs. So each page that is dropped here is read
        // again from the file when it is touched, and holds what it held.
        let code = unsafe { libc::madvise(with_exposed_provenance_mut(*start), *length, libc::MADV_DONTNEED) };
        if code != 0 {
            // Pages that stay cost memory, nothing else.
            tracing::debug!("the kernel keeps the program's text: {}", std::io::Error::last_os_error());
        }
    }
    spans.iter().map(|(_, length)| length).sum()
}

/// Start and length of each mapping of `program` that is text and is as the file has it, out of proc_pid_smaps(5).
fn spans(smaps: &str, program: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut text = None;
    for line in smaps.lines() {
        let words: Vec<&str> = line.splitn(6, ' ').collect();
        if let [range, rights, _, _, _, path] = words[..]
            && let Some((start, end)) = range.split_once('-')
            && let (Ok(start), Ok(end)) = (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
        {
            text = (rights == "r-xp" && path.trim_start() == program).then_some((start, end - start));
        } else if let Some(own) = line.strip_prefix("Anonymous:")
            && let Some(span) = text.take()
            && own.trim() == "0 kB"
        {
            spans.push(span);
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_that_is_as_the_file_has_it_is_let_go() {
        let mapping = |range: &str, rights: &str, path: &str, anonymous: u32| {
            format!(
                "{range} {rights} 00001000 fe:00 7      {path}\nSize:   4 kB\nAnonymous:      {anonymous} kB\nVmFlags: rd\n"
            )
        };
        let smaps = [
            mapping("1000-2000", "r--p", "/bin/a b", 0),
            mapping("2000-5000", "r-xp", "/bin/a b", 0),
            mapping("5000-6000", "r-xp", "/bin/a b", 4),
            mapping("6000-7000", "rw-p", "/bin/a b", 0),
            mapping("7000-8000", "r-xp", "/lib/c", 0),
            mapping("8000-9000", "r-xp", "", 0),
        ];
        assert_eq!(spans(&smaps.concat(), "/bin/a b"), [(0x2000, 0x3000)]);
    }

    #[test]
    fn text_goes_and_comes_back_when_it_is_needed() {
        let program = fs::read_link("/proc/self/exe").expect("told").display().to_string();
        let smaps = || fs::read_to_string("/proc/self/smaps").expect("told");
        let resident = || {
            let smaps = smaps();
            let own = smaps.lines().skip_while(|line| !(line.contains(" r-xp ") && line.ends_with(&program)));
            let line = own.into_iter().find_map(|line| line.strip_prefix("Rss:")).expect("there is text");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
        };
        // All of it is touched, so that there is something to let go.
        let spans = spans(&smaps(), &program);
        let memory = fs::File::open("/proc/self/mem").expect("open");
        for (start, length) in &spans {
            std::os::unix::fs::FileExt::read_exact_at(&memory, &mut vec![0; *length], *start as u64).expect("read");
        }
        let before = resident();
        assert!(leave() > 1 << 20);
        let after = resident();
        assert!(after * 2 < before, "{before} kB, then {after} kB");
    }
}
