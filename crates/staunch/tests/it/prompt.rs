//! A password that is asked for at a terminal.

use std::io::Write;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::seat::Seat;
use crate::teller::{Row, Teller};

const MAKES: &[Row] = &[(
    "POST /api/v1/users",
    201,
    "",
    r#"{"name":"ada","role":"admin","disabled":false,"created_at":"2030-01-01T00:00:00Z","password_changed_at":"2030-01-01T00:00:00Z"}"#,
)];

fn create(server: &Teller) -> [&str; 7] {
    ["user", "create", "ada", "--role", "admin", "--server", &server.url]
}

#[test]
fn it_is_asked_for_twice_and_never_shown() {
    let bed = Bed::new();
    let server = Teller::new(MAKES);
    let mut seat = Seat::at(&bed, &create(&server));
    seat.sees("new password of ada: ");
    assert!(!seat.echoes());
    // Line editing works: ^U forgets the line, DEL the last character.
    seat.types("wrong\x15a long passwordd\x7f\n");
    seat.sees("once more: ");
    seat.types("a long password\n");
    let (code, seen) = seat.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seat.echoes(), "as it was before");
    assert!(!seen.contains("long") && !seen.contains("wrong"), "{seen:?}");
    assert!(seen.contains("made ada, admin") && seen.contains("wants a login"), "{seen}");
    let body: Value = serde_json::from_str(&server.asked()[0].body).unwrap();
    assert_eq!(body, json!({ "name": "ada", "role": "admin", "password": "a long password" }));
}

#[test]
fn nothing_is_done_if_the_two_differ_or_there_is_none() {
    let bed = Bed::new();
    let server = Teller::new(MAKES);
    for (answers, why) in
        [(&["one password\n", "another one\n"][..], "differ"), (&["\n"], "no password"), (&["\x04"], "no password")]
    {
        let mut seat = Seat::at(&bed, &create(&server));
        for (answer, question) in answers.iter().zip(["new password of ada: ", "once more: "]) {
            seat.sees(question);
            seat.types(answer);
        }
        let (code, seen) = seat.end();
        assert_eq!(code, Some(2), "{seen}");
        assert!(seen.contains(why) && seen.contains("nothing was done"), "{seen}");
        assert!(seat.echoes());
    }
    assert!(server.asked().is_empty());
}

#[test]
fn ctrl_c_and_a_signal_leave_a_terminal_that_shows_what_is_typed() {
    let bed = Bed::new();
    let server = Teller::new(MAKES);
    for ctrl_c in [true, false] {
        let mut seat = Seat::at(&bed, &create(&server));
        seat.sees("new password of ada: ");
        assert!(!seat.echoes());
        if ctrl_c {
            // In one stream with what was typed, so that it comes after it. A signal may overtake what the terminal has not taken in yet.
            seat.types("half a passw\x03");
        } else {
            seat.signal(Signal::TERM);
        }
        let (code, seen) = seat.end();
        assert_eq!(code, Some(130), "{seen}");
        assert!(seat.echoes() && !seen.contains("half"), "{seen:?}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn without_a_terminal_it_is_not_asked_for() {
    let bed = Bed::new();
    let server = Teller::new(MAKES);
    let done = bed.run(&create(&server)).exits(2);
    assert!(done.err.contains("--password-file"), "{}", done.err);
    let mut command = bed.command(&create(&server));
    let mut child = command
        .args(["--json", "--password-file", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a long password\n").unwrap();
    let done = child.wait_with_output().unwrap();
    let user: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((user["name"].as_str(), user["role"].as_str()), (Some("ada"), Some("admin")));
    assert_eq!(server.asked().len(), 1);
}
