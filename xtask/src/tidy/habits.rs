//! Habits of STYLE.md that can be seen in a line.

use super::check::Complaint;
use super::source::Source;

/// Calls that no committed code makes.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

/// What the pure crates never name: clocks, files, sockets, threads, the environment, waiting.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "thread::spawn",
    "thread::sleep",
    "async fn",
    ".await",
    "tokio::",
    "println!",
    "eprintln!",
];

const PURE: &[&str] = &["libs/staunch-flow/src/", "libs/staunch-bounded/src/"];

/// A caption first; nothing unfinished; pure crates pure; faces that only re-export; libraries that know no crate.
pub(super) fn check(source: &Source<'_>) -> Vec<Complaint> {
    let complain = |line, rule, message| Complaint { path: source.path.to_owned(), line, rule, message };
    let mut complaints = Vec::new();
    // `tests.rs` is captioned by the file it stands beside.
    if !source.text.starts_with("//! ") && !source.path.ends_with("/tests.rs") {
        complaints.push(complain(1, "caption", "the first line is not the file's caption, `//! ...`".to_owned()));
    }
    for (number, line) in source.code.lines().enumerate() {
        for call in UNFINISHED.iter().filter(|call| line.contains(**call)) {
            complaints.push(complain(number + 1, "unfinished", format!("`{call}`: nothing unfinished is committed")));
        }
        let server_crate = ["staunch_store", "staunch_engine", "staunch_server"].into_iter().find(|c| line.contains(c));
        if let (true, Some(name)) = (source.path.starts_with("libs/"), server_crate) {
            complaints.push(complain(number + 1, "wall", format!("a library names `{name}`: the arrow runs up")));
        }
    }
    if PURE.iter().any(|crate_| source.path.starts_with(crate_)) {
        for (number, line) in source.product_code() {
            for name in IMPURE.iter().filter(|name| line.contains(**name)) {
                complaints.push(complain(
                    number,
                    "pure",
                    format!("`{name}` in a pure crate: let it come in as an argument"),
                ));
            }
        }
    }
    if matches!(source.names().last(), Some(&"mod" | &"lib")) && !source.is_test() {
        complaints.extend(face(source));
    }
    complaints
}

/// `mod.rs` and `lib.rs` hold modules and re-exports by name, nothing else.
fn face(source: &Source<'_>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut in_use = false;
    for (number, line) in source.product_code() {
        let line = line.trim();
        let bare = ["pub(crate) ", "pub(super) ", "pub "].iter().find_map(|p| line.strip_prefix(p)).unwrap_or(line);
        let allowed = line.is_empty() || line.starts_with('#') || bare.starts_with("use ") || in_use;
        let module = bare.starts_with("mod ") && (bare.ends_with(';') || bare.contains("; "));
        if !(allowed || module) {
            let message = "a face only names modules and re-exports: move this into a file that is called what it is";
            let path = source.path.to_owned();
            // One is enough: the rest of the file is the same mistake.
            complaints.push(Complaint { path, line: number, rule: "face", message: message.to_owned() });
            break;
        }
        if (bare.starts_with("use ") || in_use) && line.contains('*') {
            let path = source.path.to_owned();
            complaints.push(Complaint {
                path,
                line: number,
                rule: "face",
                message: "re-export by name, not by `*`".to_owned(),
            });
        }
        in_use = (bare.starts_with("use ") || in_use) && !line.ends_with(';');
    }
    complaints
}
