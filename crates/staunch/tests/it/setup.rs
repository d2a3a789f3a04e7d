//! The set-up link: who sees it, and when it goes.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::bed::{Bed, Serving};

/// The link that a server prints.
fn printed(server: &mut Serving) -> String {
    server.process().line(|line| line.contains("/setup#")).trim().to_owned()
}

#[test]
fn a_first_start_prints_a_link_and_keeps_it_in_a_file_for_its_user_alone() {
    let bed = Bed::new();
    let mut server = bed.serve(&[]);
    let link = printed(&mut server);
    let (address, ticket) = link.split_once("/setup#").unwrap();
    assert_eq!((address, ticket.len()), (server.url.as_str(), 43));
    let file = bed.path("data/setup-link");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{link}\n"));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let done = server.stop();
    assert!(done.out.contains("open: whoever uses this machine may do everything"), "{}", done.out);
    assert!(!done.err.contains(ticket), "it is not in the log: {}", done.err);
    assert!(!file.exists(), "it goes with the server");
}

#[test]
fn the_data_directory_is_for_its_user_alone() {
    let bed = Bed::new();
    let data = bed.path("data");
    std::fs::remove_dir(&data).unwrap();
    let mode = || data.metadata().unwrap().permissions().mode() & 0o777;
    bed.serve(&[]).stop();
    assert_eq!(mode(), 0o700);
    // What somebody has made otherwise stays so.
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o750)).unwrap();
    bed.serve(&[]).stop();
    assert_eq!(mode(), 0o750);
}

#[test]
fn what_a_killed_server_left_is_replaced_at_the_next_start() {
    let bed = Bed::new();
    let mut server = bed.serve(&[]);
    let first = printed(&mut server);
    server.process().signal(Signal::KILL);
    server.end();
    let file = bed.path("data/setup-link");
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), first);
    // Somebody else's file in its place is not written to, and neither is what a link leads to.
    std::fs::remove_file(&file).unwrap();
    let other = bed.path("other");
    std::fs::write(&other, "mine").unwrap();
    std::os::unix::fs::symlink(&other, &file).unwrap();
    let mut server = bed.serve(&[]);
    let second = printed(&mut server);
    assert_ne!(first, second);
    assert!(file.symlink_metadata().unwrap().is_file());
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), second);
    server.stop();
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
}

#[test]
fn the_link_is_at_the_public_address_and_nothing_is_open_behind_a_proxy() {
    let bed = Bed::new();
    let mut command = bed.serving(&[]);
    command.env("STAUNCH_PUBLIC_URL", "https://staunch.example");
    let mut server = Serving::of(command);
    assert!(printed(&mut server).starts_with("https://staunch.example/setup#"));
    let done = server.stop();
    assert!(done.out.contains("closed: there is no admin yet"), "{}", done.out);
}

#[test]
fn the_demo_says_it_in_one_line() {
    let bed = Bed::new();
    let mut demo = bed.start(&["serve", "--demo", "--listen", "127.0.0.1:0"]);
    let line = demo.line(|line| line.contains("/setup#"));
    assert!(line.starts_with("no login needed on this machine"), "{line}");
    demo.signal(Signal::TERM);
    demo.end().exits(0);
    assert!(bed.temporary().is_empty());
}
