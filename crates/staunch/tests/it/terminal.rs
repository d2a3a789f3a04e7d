//! What somebody sees who sits at a terminal.

use std::fs::{File, OpenOptions};
use std::io::Read;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::bed::Bed;

/// Runs the binary on a terminal of its own; all that the terminal got, and the exit code.
fn at_a_terminal(bed: &Bed, arguments: &[&str]) -> (String, Option<i32>) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = || OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = bed.command(arguments);
    let mut child = command.env("TERM", "xterm").stdout(end()).stderr(end()).spawn().unwrap();
    // Else this process would hold the other end open itself.
    drop(command);
    let mut bytes = Vec::new();
    // EIO is how a terminal says that nobody has the other end any more (pty(7)).
    let _eio = File::from(terminal).read_to_end(&mut bytes);
    (String::from_utf8_lossy(&bytes).into_owned(), child.wait().unwrap().code())
}

#[test]
fn a_progress_line_that_never_shares_its_line_with_output() {
    let bed = Bed::new();
    bed.file(
        "talk.yaml",
        "steps: [{id: a, run: 'for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done'}, {id: b, run: 'true'}]",
    );
    let (seen, code) = at_a_terminal(&bed, &["run", "talk.yaml"]);
    assert_eq!(code, Some(0));
    assert!(seen.contains("0/2 steps") && seen.contains("2/2 steps"), "{seen:?}");
    for number in 1..=5 {
        let line = format!(" line {number}\r\n");
        let (before, _) = seen.split_once(&line).unwrap_or_else(|| panic!("{line:?} is not in {seen:?}"));
        // From the last line end or clearing of the line to the output there is only the step's own name, in its color.
        let start =
            ["\n", "\x1b[2K"].iter().filter_map(|mark| before.rfind(mark).map(|at| at + mark.len())).max().unwrap_or(0);
        assert_eq!(&before[start..], "\x1b[36ma\x1b[0m \x1b[2m|\x1b[0m", "{seen:?}");
    }
}

#[test]
fn quiet_and_no_color_hold_at_a_terminal_too() {
    let bed = Bed::new();
    bed.file("ok.yaml", "steps: [{id: a, run: echo loud}]");
    assert_eq!(at_a_terminal(&bed, &["run", "ok.yaml", "-q"]), (String::new(), Some(0)));
    let (seen, _) = at_a_terminal(&bed, &["validate", "ok.yaml", "--color", "never"]);
    assert_eq!(seen, "ok.yaml: ok: workflow ok, 1 step\r\n");
    let (seen, _) = at_a_terminal(&bed, &["validate", "ok.yaml"]);
    assert!(seen.contains("\x1b[32mok\x1b[0m"), "{seen:?}");
}
