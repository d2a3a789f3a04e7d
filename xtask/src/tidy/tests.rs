//! Files in, complaints out.

use serde_json::json;

use super::check::sources;
use super::walls;

/// What tidy says about one file, a line each.
fn about(path: &str, text: &str) -> String {
    let complaints = sources(&[(path.to_owned(), text.to_owned())], "/where/");
    complaints.iter().map(|complaint| format!("{complaint}\n")).collect()
}

/// What tidy says about the lines below a proper caption.
fn below_caption(path: &str, text: &str) -> String {
    about(path, &format!("//! A caption.\n{text}"))
}

/// What the walls say about one crate and its dependencies, `name` or `dev:name`.
fn walls_of(name: &str, dependencies: &[&str]) -> String {
    let dependencies: Vec<_> = dependencies
        .iter()
        .map(|d| match d.strip_prefix("dev:") {
            Some(name) => json!({ "name": name, "kind": "dev" }),
            None => json!({ "name": d, "kind": null }),
        })
        .collect();
    let metadata = json!({ "packages": [{ "name": name, "dependencies": dependencies }] });
    walls::check(&metadata).iter().map(|complaint| format!("{complaint}\n")).collect()
}

#[test]
fn an_ordinary_file_is_in_order() {
    assert_eq!(below_caption("xtask/src/x.rs", "pub(crate) struct Ring;\nfn f() -> u8 { 1 }\n"), "");
}

#[test]
fn a_caption_comes_first() {
    assert_eq!(
        about("xtask/src/x.rs", "use std::fs;\n"),
        "xtask/src/x.rs:1: the first line is not the file's caption, `//! ...` [caption]\n"
    );
}

#[test]
fn walls_let_arrows_run_down() {
    assert_eq!(walls_of("staunch-store", &["staunch-flow", "staunch-bounded", "rusqlite", "dev:staunch-leak"]), "");
}

#[test]
fn walls_stop_arrows_that_run_up() {
    assert_eq!(
        walls_of("staunch-flow", &["staunch-store"]),
        "staunch-flow/Cargo.toml: staunch-flow may not know staunch-store: the arrow runs up or aside [wall]\n"
    );
    assert_eq!(
        walls_of("staunch-store", &["dev:staunch-engine"]),
        "staunch-store/Cargo.toml: staunch-store may not know staunch-engine: the arrow runs up or aside [wall]\n"
    );
}

#[test]
fn walls_keep_http_out_of_the_engine() {
    assert_eq!(
        walls_of("staunch-engine", &["tokio", "axum"]),
        "staunch-engine/Cargo.toml: staunch-engine may not use axum: it is on the wrong side of the wall [wall]\n"
    );
    assert_eq!(walls_of("staunch-engine", &["dev:axum"]), "", "its tests may");
}

#[test]
fn a_crate_without_a_room_is_named() {
    assert!(walls_of("staunch-attic", &[]).contains("has no room"));
}

#[test]
fn a_library_does_not_name_a_crate() {
    let said = below_caption("libs/staunch-flow/src/plan.rs", "use staunch_store::Store;\n");
    assert_eq!(said, "libs/staunch-flow/src/plan.rs:2: a library names `staunch_store`: the arrow runs up [wall]\n");
}

#[test]
fn file_length_below_at_over() {
    let of = |lines: usize| about("xtask/src/x.rs", &format!("//! X.\n{}", "const A: u8 = 1;\n".repeat(lines - 1)));
    assert_eq!(of(499), "");
    assert_eq!(of(500), "");
    assert!(of(501).contains("501 lines besides tests, at most 500"));
}

#[test]
fn file_length_leaves_tests_out() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// a case\n".repeat(600));
    assert_eq!(below_caption("xtask/src/x.rs", &tests), "");
    assert_eq!(below_caption("xtask/tests/it/x.rs", &"// a case\n".repeat(600)), "");
    let declared_only = format!("#[cfg(test)]\nmod tests;\n{}", "const A: u8 = 1;\n".repeat(600));
    assert!(below_caption("xtask/src/x.rs", &declared_only).contains("[file-length]"));
}

#[test]
fn function_length_below_at_over() {
    let of =
        |lines: usize| below_caption("xtask/src/x.rs", &format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2)));
    assert_eq!(of(69), "");
    assert_eq!(of(70), "");
    assert_eq!(of(71), "xtask/src/x.rs:2: `f` has 71 lines, at most 70 [function-length]\n");
}

#[test]
fn function_length_is_not_fooled() {
    let braces_in_text = format!("fn f() {{\n    let a = \"}}\"; // }}\n{}}}\n", "    g('}');\n".repeat(70));
    assert!(below_caption("xtask/src/x.rs", &braces_in_text).contains("`f` has 73 lines"));
    let without_body = format!("trait T {{\n    fn f(&self, a: [u8; 4]);\n{}}}\n", "    // words\n".repeat(80));
    assert_eq!(below_caption("xtask/src/x.rs", &without_body), "");
}

#[test]
fn line_width_in_characters() {
    let code = |characters: usize| below_caption("xtask/src/x.rs", &format!("f({});\n", "x".repeat(characters - 4)));
    assert_eq!(code(119), "");
    assert_eq!(code(120), "");
    assert!(code(121).contains("121 characters, at most 120"));
    let text =
        |characters: usize| below_caption("xtask/src/x.rs", &format!("f(\"{}\");\n", "é".repeat(characters - 6)));
    assert_eq!(text(240), "");
    assert!(text(241).contains("241 characters, at most 240"));
    let comment = |characters: usize| below_caption("xtask/src/x.rs", &format!("// {}\n", "é".repeat(characters - 3)));
    assert_eq!(comment(140), "");
    assert!(comment(141).contains("141 characters, at most 140"));
    assert_eq!(below_caption("xtask/src/x.rs", &format!("// https://{}\n", "x".repeat(200))), "", "a link stays whole");
}

#[test]
fn banned_words_in_names() {
    assert_eq!(
        below_caption(
            "xtask/src/x.rs",
            "pub struct TaskManager;\nmod utils {}\nenum ServiceKind {}\ntype RunData = ();\n"
        ),
        "xtask/src/x.rs:2: `TaskManager`: nothing of ours is called manager [word]\n\
         xtask/src/x.rs:3: `utils`: nothing of ours is called util [word]\n\
         xtask/src/x.rs:4: `ServiceKind`: nothing of ours is called service [word]\n\
         xtask/src/x.rs:5: `RunData`: nothing of ours is called data [word]\n"
    );
    assert!(below_caption("crates/x/src/common/y.rs", "").contains("`common`: nothing of ours is called common"));
}

#[test]
fn banned_words_elsewhere_are_no_names() {
    let text =
        "impl Iterator for X {\n    type Item = u8;\n}\nfn f(data: Database, item: &Utility) {}\n// struct Manager\n";
    assert_eq!(below_caption("xtask/src/x.rs", text), "");
}

#[test]
fn nothing_unfinished() {
    assert_eq!(
        below_caption("xtask/src/x.rs", "fn f() { todo!() }\n"),
        "xtask/src/x.rs:2: `todo!`: nothing unfinished is committed [unfinished]\n"
    );
    assert_eq!(below_caption("xtask/src/x.rs", "// todo!\nconst A: &str = r#\"dbg!(\"x\")\"#;\n"), "");
}

#[test]
fn pure_crates_read_no_clock() {
    let text = "fn f() { let now = std::time::Instant::now(); }\n";
    assert!(below_caption("libs/staunch-flow/src/plan.rs", text).contains("`Instant::now` in a pure crate"));
    assert_eq!(below_caption("libs/staunch-flow/src/plan/tests.rs", text), "");
    assert_eq!(below_caption("crates/staunch-engine/src/x.rs", text), "");
}

#[test]
fn a_face_only_re_exports() {
    let face = "mod a;\npub mod b;\n#[cfg(test)]\nmod tests;\n\npub use a::{\n    One,\n    Two,\n};\n";
    assert_eq!(below_caption("crates/x/src/lib.rs", face), "");
    assert!(
        below_caption("crates/x/src/y/mod.rs", "mod a;\npub struct One;\n").contains("y/mod.rs:3: a face only names")
    );
    assert!(below_caption("crates/x/src/lib.rs", "pub use a::*;\n").contains("by name, not by `*`"));
}

#[test]
fn names_of_ground_rows() {
    assert_eq!(below_caption("crates/x/src/y/tests.rs", "#[test]\nfn ground_g5_frees_on_error() {}\n"), "");
    assert!(below_caption("crates/x/src/y/tests.rs", "#[test]\nfn ground_truth() {}\n").contains("[ground-row]"));
    assert!(below_caption("crates/x/src/y/tests.rs", "#[test]\nfn ground_g0_x() {}\n").contains("[ground-row]"));
    assert!(below_caption("crates/x/src/y.rs", "fn ground_g5_frees() {}\n").contains("[ground-row]"), "not a test");
    assert_eq!(below_caption("crates/x/tests/it/y.rs", "fn ground_g5_frees() {}\n"), "", "a harness of its own");
}

#[test]
fn machine_paths_in_any_text() {
    assert_eq!(
        about("docs/x.md", "see /home/me/notes\n"),
        "docs/x.md:1: a path below /home/ is true on one machine only [machine-path]\n"
    );
    assert!(about("a.toml", "x = \"/where/it/stands\"\n").contains("a path below /where/"));
    assert_eq!(about("docs/x.md", "`<data>/where/`, https://example.org/home/, $X/root/ and /tmp/x\n"), "");
}

#[test]
fn links_lead_somewhere() {
    let page = |text: &str| {
        let files = [("docs/a.md", text), ("docs/b.md", ""), ("README.md", ""), ("examples/x.yaml", "")];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        sources(&files, "/where/").iter().map(|complaint| format!("{complaint}\n")).collect::<String>()
    };
    assert_eq!(
        page("[b](b.md#part) [up](../README.md) [x](../examples/) [web](https://example.org) [here](#part)\n"),
        ""
    );
    assert_eq!(page("\n[gone](c.md)\n"), "docs/a.md:2: the link leads nowhere: c.md [link]\n");
    assert_eq!(page("```\n[not a link](c.md)\n```\n"), "");
}

#[test]
fn strings_and_comments_are_blank() {
    let text = "a(\"x\\\"y\", 'c', '\\'', b\"z\", r#\"q\"q\"#, 'life) /* m /* n */ o */ b // c\nd";
    let code = super::source::Source::new("x.rs", text).code;
    let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    assert_eq!(words, ["a", "b", "life", "b", "d"], "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
}
