use super::*;

fn at(start: usize, end: usize, line: usize, column: usize) -> Diagnostic {
    let span = Span { start, end, line, column };
    let (message, help) = ("something is wrong".to_owned(), Some("mend it\nlike this".to_owned()));
    Diagnostic { code: code::SYNTAX, severity: Severity::Error, span, message, help }
}

#[test]
fn looks_like_the_compilers() {
    let shown = at(9, 12, 2, 4).render("dir/w.yaml", "first\n   bad here\nthird", false);
    let expected = "\
error[syntax]: something is wrong
 --> dir/w.yaml:2:4
  |
2 |    bad here
  |    ^^^
  |
  = help: mend it
          like this";
    assert_eq!(shown, expected);
}

#[test]
fn color_is_only_there_if_asked_for() {
    let diagnostic = at(0, 1, 1, 1);
    assert!(!diagnostic.render("w", "a", false).contains('\u{1b}'));
    assert!(diagnostic.render("w", "a", true).contains("\u{1b}["));
}

#[test]
fn a_text_that_is_another_cannot_break_it() {
    for text in ["", "\n", "ü", "üüüüüüü", "a\r\nb", "\u{1b}[2Jx", "\u{feff}a", "日本語"] {
        for start in 0..8 {
            for end in 0..8 {
                let shown = at(start, end, 3, 9).render("w\u{1b}.yaml", text, false);
                assert!(shown.starts_with("error[syntax]: something is wrong") && !shown.contains('\u{1b}'), "{shown}");
            }
        }
    }
    assert!(at(usize::MAX - 1, usize::MAX, 0, 0).render("w", "a", false).contains("w:1:"));
}

#[test]
fn a_file_cannot_turn_the_direction_of_writing() {
    let mut diagnostic = at(0, 1, 1, 1);
    diagnostic.message = "there is no step `\u{202e}x`".to_owned();
    let shown = diagnostic.render("w\u{2066}.yaml", "\u{202e}x\u{200e}\u{200f}", false);
    assert!(!shown.contains(['\u{202e}', '\u{2066}', '\u{200e}', '\u{200f}']), "{shown:?}");
}

#[test]
fn a_long_line_is_shown_in_part_with_the_right_column() {
    let text = format!("{}BAD{}", "x".repeat(5_000), "y".repeat(5_000));
    let shown = at(5_000, 5_003, 1, 5_001).render("w.yaml", &text, false);
    assert!(shown.contains(" --> w.yaml:1:5001\n") && shown.contains("xBADy") && shown.contains("^^^"), "{shown}");
    assert!(shown.len() < 1_000, "{}", shown.len());
}

#[test]
fn a_place_of_many_lines_is_marked_on_its_first() {
    let shown = at(3, 12, 1, 4).render("w.yaml", "ab cde\nfgh ijk\n", false);
    assert!(shown.contains("1 | ab cde\n  |    ^^^\n") && !shown.contains("fgh"), "{shown}");
}

#[test]
fn json_has_all_of_it() {
    let json = serde_json::to_value(at(9, 12, 2, 4)).unwrap_or_default();
    let expected = serde_json::json!({
        "code": "syntax", "severity": "error", "message": "something is wrong", "help": "mend it\nlike this",
        "span": {"start": 9, "end": 12, "line": 2, "column": 4},
    });
    assert_eq!(json, expected);
}

#[test]
fn codes_are_unique_and_sorted() {
    assert!(CODES.is_sorted_by(|one, other| one.0 < other.0), "{CODES:?}");
    assert!(CODES.iter().all(|(code, meaning)| !code.contains('-') && meaning.ends_with('.')));
}
