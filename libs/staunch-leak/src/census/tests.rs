#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use super::*;

fn census() -> Census {
    Census {
        fds: BTreeMap::from([(3, "socket:[10]".into()), (4, "/dev/null".into())]),
        threads: BTreeMap::from([(100, "main".into()), (101, "worker".into())]),
        children: BTreeMap::from([(200, "sleep".into())]),
        files: vec!["/tmp/a".into()],
        counts: Counts::from([("rows".into(), 3)]),
    }
}

fn told(change: impl FnOnce(&mut Census)) -> String {
    let mut after = census();
    change(&mut after);
    after.since(&census()).to_string()
}

#[test]
fn a_difference_names_what_is_more() {
    assert_eq!(told(|_| {}), "");
    assert_eq!(told(|now| drop(now.fds.insert(7, "socket:[11]".into()))), "fd socket: 1 -> 2 (+1): 7 -> socket:[11]");
    assert_eq!(told(|now| drop(now.fds.insert(7, "/etc/hosts".into()))), "fd /etc/hosts: 0 -> 1 (+1): 7 -> /etc/hosts");
    assert_eq!(told(|now| drop(now.threads.insert(150, "pool".into()))), "thread pool: 0 -> 1 (+1): 150 -> pool");
    assert_eq!(
        told(|now| drop(now.children.insert(200, "sleep (zombie)".into()))),
        "child sleep: 1 -> 0 (-1)\nchild sleep (zombie): 0 -> 1 (+1): 200 -> sleep (zombie)"
    );
    assert_eq!(told(|now| now.files.push("/tmp/b".into())), "file: 1 -> 2 (+1): /tmp/b");
    assert_eq!(
        told(|now| now.counts.extend([("tasks of kind sse".into(), 2)])),
        "count tasks of kind sse: 0 -> 2 (+2)"
    );
    assert_eq!(told(|now| now.counts.extend([("rows".into(), 1)])), "count rows: 3 -> 1 (-2)");
}

#[test]
fn one_for_another_of_its_kind_is_no_difference() {
    assert_eq!(told(|now| drop(now.fds.insert(3, "socket:[99]".into()))), "");
    assert_eq!(
        told(|now| {
            now.threads.remove(&101);
            now.threads.insert(102, "worker".into());
        }),
        ""
    );
    assert_eq!(told(|now| now.files = vec!["/tmp/other".into()]), "");
}

#[test]
fn many_new_ones_are_counted_after_the_first() {
    let text = told(|now| now.fds.extend((10..30).map(|fd| (fd, format!("pipe:[{fd}]")))));
    assert!(text.starts_with("fd pipe: 0 -> 20 (+20): 10 -> pipe:[10], "), "{text}");
    assert!(text.ends_with("17 -> pipe:[17] and 12 more"), "{text}");
}

#[test]
fn the_listing_of_descriptors_is_not_in_the_list() {
    let fds = Census::take(None, &[]).fds;
    assert!(!fds.values().any(|target| target.starts_with("/proc/")), "{fds:?}");
}

#[test]
fn own_threads_and_children_are_seen() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It has this thread's name until it is its own program, so it answers first.
    child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let (sender, receiver) = std::sync::mpsc::sync_channel::<()>(0);
    let thread = std::thread::Builder::new().name("counted".into()).spawn(move || (receiver.recv(), receiver.recv()));
    let thread = thread.unwrap();
    // It names itself as it starts, so it is spoken to first.
    sender.send(()).unwrap();
    let census = Census::take(None, &[]);
    assert_eq!(census.children.get(&child.id()).map(String::as_str), Some("cat"));
    assert!(census.threads.values().any(|name| name == "counted"), "{census:?}");
    drop(sender);
    assert!(thread.join().unwrap().1.is_err());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(!Census::take(None, &[]).children.contains_key(&child.id()));
}
