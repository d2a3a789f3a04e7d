//! Who may know whom, as ARCHITECTURE.md draws it, read from `cargo metadata`.

use serde_json::Value;

use super::check::Complaint;

/// A room of the house: a crate, the crates of ours it may know, and the outside crates it must not.
struct Room {
    name: &'static str,
    knows: &'static [&'static str],
    never: &'static [&'static str],
}

const HTTP: &[&str] = &["http", "http-body-util", "hyper", "hyper-util", "axum", "tower", "tower-http"];
const WORLD: &[&str] =
    &["tokio", "tokio-util", "futures-util", "http", "hyper", "axum", "tower", "rusqlite", "rustix", "nix", "libc"];

const HOUSE: &[Room] = &[
    Room { name: "staunch-bounded", knows: &[], never: WORLD },
    Room { name: "staunch-flow", knows: &[], never: WORLD },
    Room { name: "staunch-leak", knows: &["staunch-bounded"], never: HTTP },
    Room { name: "staunch-guard", knows: &["staunch-bounded"], never: &["axum", "tokio"] },
    Room { name: "staunch-store", knows: &["staunch-flow", "staunch-bounded"], never: HTTP },
    Room { name: "staunch-engine", knows: &["staunch-store", "staunch-flow", "staunch-bounded"], never: HTTP },
    Room {
        name: "staunch-server",
        knows: &["staunch-engine", "staunch-store", "staunch-flow", "staunch-guard", "staunch-bounded", "staunch-leak"],
        never: &["rusqlite"],
    },
    Room {
        name: "staunch",
        knows: &[
            "staunch-server",
            "staunch-engine",
            "staunch-store",
            "staunch-flow",
            "staunch-guard",
            "staunch-bounded",
            "staunch-leak",
        ],
        never: &["rusqlite", "axum"],
    },
    Room { name: "axum-guarded", knows: &["staunch-guard"], never: &[] },
    Room { name: "xtask", knows: &[], never: &["tokio", "hyper"] },
];

/// Arrows that run up or sideways, and crates that no room was drawn for.
pub(super) fn check(metadata: &Value) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let mut complain = |message| {
            let path = format!("{name}/Cargo.toml");
            complaints.push(Complaint { path, line: 0, rule: "wall", message });
        };
        let Some(room) = HOUSE.iter().find(|room| room.name == name) else {
            complain("this crate has no room in the house (xtask/src/tidy/walls.rs)".to_owned());
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or_default();
            let in_tests = dependency["kind"].as_str() == Some("dev");
            let ours = HOUSE.iter().any(|room| room.name == other);
            // Tests may measure leaks everywhere, and may use what the product must not.
            let known = room.knows.contains(&other) || in_tests && (other == "staunch-leak" || other == name);
            if ours && !known {
                complain(format!("{name} may not know {other}: the arrow runs up or aside"));
            }
            if !in_tests && room.never.contains(&other) {
                complain(format!("{name} may not use {other}: it is on the wrong side of the wall"));
            }
        }
    }
    complaints
}
