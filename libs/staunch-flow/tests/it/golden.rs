//! Files that are wrong, and what is said about them: `tests/golden/NAME.yaml` against `tests/golden/NAME.txt`.
//! `UPDATE_GOLDEN=1` writes what is said now; read the difference before you commit it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use staunch_flow::{Budgets, parse};

#[test]
fn rendered_diagnostics() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differing = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        files += 1;
        let bytes = fs::read(&path).unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let said = said(&bytes, stem);
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, &said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            differing.push(format!("{stem}.yaml:\n{said}"));
        }
    }
    assert!(files >= 20, "only {files} golden files found");
    assert!(differing.is_empty(), "{}\n(UPDATE_GOLDEN=1 accepts them)", differing.join("\n"));
}

fn said(bytes: &[u8], stem: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    let parsed = parse(bytes, stem, &Budgets::default());
    let mut said = String::new();
    for diagnostic in &parsed.diagnostics {
        let _ = writeln!(said, "{}\n", diagnostic.render(&format!("{stem}.yaml"), &text, false));
    }
    let _ = writeln!(said, "{}", if parsed.workflow.is_some() { "usable" } else { "not usable" });
    said
}
