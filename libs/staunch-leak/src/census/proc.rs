//! `/proc/self`, read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that a census lists at most. A directory with more is compared by its first ones; a test has none such.
const FILES_MAX: usize = 100_000;

/// The names in a directory that are numbers.
fn numbers(directory: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The descriptor of the listing itself is closed before the links are read, so it is not among them.
pub(super) fn fds() -> BTreeMap<u32, String> {
    let links = numbers("/proc/self/fd").into_iter().filter_map(|fd| {
        let target = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        Some((fd, target.to_string_lossy().into_owned()))
    });
    links.collect()
}

pub(super) fn threads() -> BTreeMap<u32, String> {
    let named = numbers("/proc/self/task").into_iter().filter_map(|thread| {
        let name = fs::read_to_string(format!("/proc/self/task/{thread}/comm")).ok()?;
        Some((thread, name.trim_end().to_owned()))
    });
    named.collect()
}

/// Whether the thread that the process began with is another than the caller's and does something, as far as `/proc` says.
pub(crate) fn another_main_thread_runs() -> bool {
    // PID/task/TID
    let Ok(own) = fs::read_link("/proc/thread-self") else { return false };
    let main = own.iter().next().and_then(|pid| pid.to_str());
    if own.file_name().and_then(|thread| thread.to_str()) == main {
        return false;
    }
    main.and_then(|pid| stat(pid.parse().ok()?)).is_some_and(|(_, state, _)| state != "S")
}

/// Children of all threads: each belongs to the one that made it.
pub(super) fn children() -> BTreeMap<u32, String> {
    let mut children = BTreeMap::new();
    for thread in numbers("/proc/self/task") {
        match fs::read_to_string(format!("/proc/self/task/{thread}/children")) {
            Ok(list) => {
                children.extend(list.split_whitespace().filter_map(|pid| named_child(pid.parse().ok()?)));
            }
            // A kernel without CONFIG_PROC_CHILDREN, or a thread that has just ended.
            Err(_) => return children_by_search(),
        }
    }
    children
}

fn named_child(pid: u32) -> Option<(u32, String)> {
    let (name, state, _) = stat(pid)?;
    Some((pid, if state == "Z" { format!("{name} (zombie)") } else { name }))
}

fn children_by_search() -> BTreeMap<u32, String> {
    let own = std::process::id();
    let is_ours = |pid: &u32| stat(*pid).is_some_and(|(_, _, parent)| parent == own);
    numbers("/proc").into_iter().filter(is_ours).filter_map(named_child).collect()
}

/// Name, state and parent from `/proc/PID/stat`. The name stands in brackets and may itself hold brackets and spaces.
fn stat(pid: u32) -> Option<(String, String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (start, end) = (text.find('(')?, text.rfind(')')?);
    let mut rest = text.get(end + 1..)?.split_whitespace();
    let state = rest.next()?.to_owned();
    Some((text.get(start + 1..end)?.to_owned(), state, rest.next()?.parse().ok()?))
}

/// Everything under a directory, sorted.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(next) = waiting.pop() {
        // It may be gone by now.
        let Ok(entries) = fs::read_dir(next) else { continue };
        for entry in entries.flatten() {
            if found.len() >= FILES_MAX {
                break;
            }
            found.push(entry.path());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
