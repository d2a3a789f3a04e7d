//! Files made to hurt. Each gets a clear answer; [`answer`] checks the time and everything else that always holds.

use std::fmt::Write;

use staunch_flow::{Budgets, parse};

use crate::answer::{answer, codes};

/// Asserts that the answer has this code, and returns the message that goes with it.
fn said(bytes: &[u8], code: &str) -> String {
    let parsed = answer(bytes);
    let found = parsed.diagnostics.iter().find(|said| said.code == code);
    found.unwrap_or_else(|| panic!("{code} is not among {:?}", codes(&parsed))).message.clone()
}

#[test]
fn billion_laughs() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ('b'..='k').zip('a'..) {
        let _ = writeln!(
            text,
            "{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]"
        );
    }
    assert!(said(text.as_bytes(), "too_big").contains("50000 YAML values"));
}

#[test]
fn long_text_in_aliases() {
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(90));
    assert!(said(text.as_bytes(), "too_big").contains("aliases repeat more than"));
}

#[test]
fn aliases_at_and_over_the_bound() {
    let text = |aliases: usize| format!("steps: [{{ run: &a x }}{}]", ", { run: *a }".repeat(aliases));
    assert_eq!(answer(text(100).as_bytes()).workflow.unwrap().steps.len(), 101);
    assert!(said(text(101).as_bytes(), "too_big").contains("more than 100 aliases"));
}

#[test]
fn aliases_do_not_get_round_the_depth() {
    let mut text = "a0: &a0 [[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]\n".to_owned();
    for level in 1..50 {
        let _ = writeln!(text, "a{level}: &a{level} [*a{}]", level - 1);
    }
    assert!(said(text.as_bytes(), "too_big").contains("nested more than 32 deep"));
}

#[test]
fn ten_megabytes() {
    let text = "# nothing\n".repeat(1_000_000);
    assert!(said(text.as_bytes(), "too_big").contains("10000000 bytes"));
}

#[test]
fn bytes_at_and_over_the_bound() {
    let text = |bytes: usize| format!("steps: [{{ run: a }}] #{}", "x".repeat(bytes - 21));
    assert!(answer(text(1 << 20).as_bytes()).workflow.is_some());
    assert!(said(text((1 << 20) + 1).as_bytes(), "too_big").contains("1048577 bytes"));
}

#[test]
fn depth_ten_thousand() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("[{a: ", "}]"), ("? ", ""), ("(", ")")] {
        let text = format!("x: {}{}", open.repeat(10_000), close.repeat(10_000));
        assert!(answer(text.as_bytes()).workflow.is_none());
        assert!(answer(open.repeat(10_000).as_bytes()).workflow.is_none());
    }
    let indented: String = (0..1_000).fold(String::new(), |text, level| text + &" ".repeat(level) + "a:\n");
    assert!(said(indented.as_bytes(), "too_big").contains("nested more than 32 deep"));
    let brackets = "[".repeat(10_000);
    assert!(said(brackets.as_bytes(), "too_big").contains("nested more than 32 deep"));
}

#[test]
fn deep_expressions() {
    for open in ["(", "[", "!", "-", "not ", "{'a':", "a.", "f("] {
        let text = format!("steps: [{{ run: a, env: {{ A: \"${{{{ {} }}}}\" }} }}]", open.repeat(10_000));
        assert!(answer(text.as_bytes()).workflow.is_none());
    }
}

#[test]
fn nodes_over_the_bound() {
    let text = format!("[{}]", "a,".repeat(50_001));
    assert!(said(text.as_bytes(), "too_big").contains("50000 YAML values"));
}

#[test]
fn steps_at_and_over_the_bound() {
    let text = |steps: usize| format!("steps:\n{}", "- run: a\n".repeat(steps));
    assert_eq!(answer(text(4_999).as_bytes()).workflow.unwrap().steps.len(), 4_999);
    let full = answer(text(5_000).as_bytes()).workflow.unwrap();
    assert_eq!((full.steps.len(), full.steps[4_999].needs.len()), (5_000, 1));
    assert!(said(text(5_001).as_bytes(), "too_big").contains("more than 5000 steps"));
    let group = format!("steps:\n- parallel: [{}]\n- run: last", "{run: a},".repeat(4_999));
    assert_eq!(answer(group.as_bytes()).workflow.unwrap().steps[4_999].needs.len(), 4_999);
}

#[test]
fn edges_over_the_bound() {
    let group = |steps: usize| format!("- parallel: [{}]\n", "{run: a},".repeat(steps));
    let fits = format!("steps:\n{}{}", group(400), group(400));
    assert_eq!(answer(fits.as_bytes()).workflow.unwrap().steps[799].needs.len(), 400);
    let over = format!("steps:\n{}{}", group(2_500), group(2_500));
    assert!(said(over.as_bytes(), "too_big").contains("200000 edges"));
}

#[test]
fn five_thousand_steps_in_one_circle() {
    let steps: String = (0..5_000).fold(String::new(), |text, step| {
        text + &format!("- {{id: s{step}, run: a, needs: [s{}]}}\n", (step + 1) % 5_000)
    });
    let message = said(format!("steps:\n{steps}").as_bytes(), "cycle");
    assert!(
        message.contains("s0 -> s1 -> ") && message.contains("(4981 more)") && message.ends_with("s4999 -> s0"),
        "{message}"
    );
}

#[test]
fn a_circle_of_ids_that_are_too_long() {
    let id = |step: usize| format!("{}{}", "x".repeat(4_000), step % 18);
    let steps: String = (0..18).fold(String::new(), |text, step| {
        text + &format!("- {{id: {}, run: a, needs: [{}]}}\n", id(step), id(step + 1))
    });
    said(format!("steps:\n{steps}").as_bytes(), "cycle");
}

#[test]
fn many_circles_are_said_once_each() {
    let steps: String = (0..200).fold(String::new(), |text, pair| {
        text + &format!("- {{id: a{pair}, run: x, needs: [b{pair}]}}\n- {{id: b{pair}, run: x, needs: [a{pair}]}}\n")
    });
    let parsed = answer(format!("steps:\n{steps}").as_bytes());
    assert_eq!(parsed.diagnostics.len(), 100);
    assert_eq!(codes(&parsed)[..99], ["cycle"; 99]);
    assert_eq!(parsed.diagnostics[99].message, "and 101 more, not shown");
}

#[test]
fn thousands_of_unknown_needs_and_keys() {
    let needs: String = (0..5_000).fold(String::new(), |text, need| text + &format!("stap-{need}, "));
    let steps: String =
        (0..500).fold(String::new(), |text, step| text + &format!("- {{id: step-with-a-long-name-{step}, run: a}}\n"));
    let parsed = answer(format!("steps:\n{steps}- {{run: b, needs: [{needs}]}}\n").as_bytes());
    assert_eq!(codes(&parsed)[..99], ["unknown_step"; 99]);
    let keys: String = (0..20_000).fold(String::new(), |text, key| text + &format!("unknown-{key}: x\n"));
    let parsed = answer(keys.as_bytes());
    assert_eq!(parsed.diagnostics.len(), 100);
    assert_eq!(codes(&parsed)[99], "too_many_diagnostics");
}

#[test]
fn errors_come_before_warnings_when_there_is_too_much_to_say() {
    let text = |need: &str| {
        let needs = "a, ".repeat(150);
        format!("steps:\n- {{id: a, run: x}}\n- {{run: y, needs: [{needs}]}}\n- {{run: z, needs: [{need}]}}\n")
    };
    let warned = answer(text("a").as_bytes());
    assert!(warned.workflow.is_some(), "warnings do not make a file unusable, however many");
    assert_eq!((warned.diagnostics.len(), codes(&warned)[99]), (100, "too_many_diagnostics"));
    assert_eq!(warned.diagnostics[99].message, "and 50 more, not shown");
    let refused = answer(text("nobody").as_bytes());
    assert!(refused.workflow.is_none());
    assert_eq!(refused.diagnostics.len(), 100);
    assert!(codes(&refused).contains(&"unknown_step"), "{:?}", codes(&refused));
}

#[test]
fn tens_of_thousands_of_names_in_expressions() {
    // 64 expressions of 40 names in each of 12 variables: 30,720 names, right and wrong ones.
    for (name, code) in [
        ("inputs.a", None),
        ("inputs.b", Some("unknown_input")),
        ("steps.x.outcome", Some("unknown_step")),
        ("nobody", Some("unknown_name")),
    ] {
        let expression = vec![name; 40].join("~");
        let value = format!("${{{{{expression}}}}} ").repeat(64);
        let env: String = (0..12).fold(String::new(), |env, number| env + &format!("V{number}: \"{value}\"\n  "));
        let parsed = answer(format!("inputs: {{ a: }}\nenv:\n  {env}\nsteps: [{{ run: x }}]\n").as_bytes());
        assert_eq!(parsed.diagnostics.first().map(|said| said.code), code);
        assert_eq!(parsed.workflow.is_some(), code.is_none());
    }
}

#[test]
fn a_megabyte_of_every_mark() {
    let marks = [
        "[",
        "{",
        "- ",
        "? ",
        ": ",
        "a: ",
        "\"",
        "'",
        "\"\" ",
        "# ",
        "&a ",
        "*a ",
        "!a ",
        "| ",
        ">\n",
        "%a\n",
        "---\n",
        "...\n",
        "\t",
        " ",
        "\n",
        "\r",
        ",",
        "[]",
        "{}",
        "[],",
        "{a: b},",
        "a\n",
        "a: b\n",
        "- a\n",
        "-\n",
        "?\n",
        ":\n",
        "a:\n",
        "\\",
        "${{",
        "}}",
        "é",
        "\u{feff}",
        "\u{2028}",
        "<<: ",
        "a: *a\n",
        "'a': ",
        "\"a\": [",
        "- ? ",
        "@",
        "`",
        "a:b",
        "a #",
        "[a, ",
        "{a, ",
        "steps:\n",
        "- run: a\n",
        "? a\n: b\n",
        "\n ",
        "\n\t",
        "'\n",
        "\"\\\n",
        "|\n a\n",
        "&a\n",
        "!<a> ",
    ];
    for mark in marks {
        for (before, after) in [("", ""), ("steps: [", "]"), ("steps:\n- run: |\n    ", "")] {
            let count = ((1 << 20) - before.len() - after.len()) / mark.len();
            answer(format!("{before}{}{after}", mark.repeat(count)).as_bytes());
        }
    }
}

#[test]
fn huge_scalars() {
    let big = "x".repeat(900_000);
    for text in [
        format!("name: {big}\nsteps: [{{run: a}}]"),
        format!("description: {big}\nsteps: [{{run: a}}]"),
        format!("{big}: a"),
        format!("steps: [{{run: {big}}}]"),
        format!("steps: [{{run: a, id: {big}}}]"),
        format!("steps: [{{run: a, needs: {big}}}]"),
        format!("steps: [{{run: a, env: {{A: {big}}}}}]"),
        format!("steps: [{{run: a, env: {{? {big}\n : b}}}}]"),
        format!("steps: [{{run: a, if: {big}}}]"),
        format!("steps: [{{run: a, shell: {big}}}]"),
        format!("steps: [{{run: a, timeout: 1{big}}}]"),
        format!("steps: [{{run: a, retry: {}}}]", "9".repeat(900_000)),
        format!("inputs: {{a: {{default: {big}}}}}\nsteps: [{{run: a}}]"),
        format!("inputs: {{a: {{type: {big}}}}}\nsteps: [{{run: a}}]"),
        format!("on: {big}\nsteps: [{{run: a}}]"),
        format!("steps: [{{run: !{big} a}}]"),
        format!("steps: [{{run: \"${{{{ {big} }}}}\"}}]"),
        format!("\"{}", "\\".repeat(900_000)),
    ] {
        let parsed = answer(text.as_bytes());
        assert!(parsed.workflow.is_none(), "{}", &text[..60]);
    }
    assert!(said(format!("steps: [{{run: {big}}}]").as_bytes(), "too_big").contains("more than 131071"));
}

/// What a file of `count` of something is, and the message when there is one too many.
type Counted = (usize, fn(usize) -> String, &'static str);

fn listed(count: usize, entry: impl Fn(usize) -> String) -> String {
    (0..count).map(entry).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_count_and_length_at_and_over_its_bound() {
    let bounds: [Counted; 10] = [
        (
            256,
            |n| format!("steps: [{{run: a, env: {{{}}}}}]", listed(n, |i| format!("A{i}: b"))),
            "`env` has 257 variables",
        ),
        (100, |n| format!("inputs: {{{}}}\nsteps: [{{run: a}}]", listed(n, |i| format!("i{i}: {{}}"))), "101 inputs"),
        (
            1_000,
            |n| format!("inputs: {{i: {{options: [{}]}}}}\nsteps: [{{run: a}}]", listed(n, |i| i.to_string())),
            "found 1001",
        ),
        (64, |n| format!("steps: [{{run: a, shell: [{}]}}]", listed(n, |_| "a".to_owned())), "found 65"),
        (
            256,
            |n| format!("steps: [{{run: a, continue-on-error: [{}]}}]", listed(n, |i| (i % 255 + 1).to_string())),
            "found 257",
        ),
        (100, |n| format!("steps: [{{run: a, id: {}}}]", "x".repeat(n)), "cannot be an id"),
        (100, |n| format!("name: {}\nsteps: [{{run: a}}]", "x".repeat(n)), "cannot name a workflow"),
        (4_096, |n| format!("description: {}\nsteps: [{{run: a}}]", "x".repeat(n)), "4097 bytes"),
        (256, |n| format!("steps: [{{run: a, env: {{{}: b}}}}]", "X".repeat(n)), "cannot name an environment variable"),
        (65_536, |n| format!("steps: [{{run: a, env: {{A: {}}}}}]", "x".repeat(n)), "65537 bytes"),
    ];
    for (bound, file, message) in bounds {
        for fits in [bound - 1, bound] {
            let said = answer(file(fits).as_bytes()).diagnostics;
            assert!(said.is_empty(), "{fits}: {}", said[0].message);
        }
        let parsed = answer(file(bound + 1).as_bytes());
        assert!(parsed.workflow.is_none() && parsed.diagnostics.len() == 1, "{message}");
        assert!(parsed.diagnostics[0].message.contains(message), "{}", parsed.diagnostics[0].message);
    }
}

#[test]
fn scripts_at_and_over_what_the_system_takes() {
    let text = |bytes: usize| format!("steps: [{{run: {}}}]", "x".repeat(bytes));
    assert!(answer(text(131_071).as_bytes()).workflow.is_some());
    assert!(said(text(131_072).as_bytes(), "too_big").contains("131072 bytes"));
    let commands = |bytes: usize| format!("steps: [{{commands: [{}, {}]}}]", "x".repeat(65_536), "x".repeat(bytes));
    assert!(answer(commands(65_534).as_bytes()).workflow.is_some());
    assert!(said(commands(65_535).as_bytes(), "too_big").contains("131072 bytes"));
}

#[test]
fn one_line_of_a_megabyte_is_clipped_in_the_snippet() {
    let text = format!("steps: [{{run: a}}{}, {{run: b, tiemout: 5s}}]", ", {run: é}".repeat(4_000));
    let parsed = answer(text.as_bytes());
    let shown = parsed.diagnostics[0].render("w.yaml", &text, false);
    assert!(shown.contains("w.yaml:1:40028") && shown.contains("tiemout: 5s") && shown.len() < 2_000, "{shown}");
}

#[test]
fn text_that_is_none() {
    assert_eq!(codes(&answer(b"")), ["empty_file"]);
    assert_eq!(codes(&answer(b" \n\n  \n")), ["empty_file"]);
    assert_eq!(codes(&answer(b"# a\n# b")), ["empty_file"]);
    assert_eq!(codes(&answer(b"---\n...\n")), ["empty_file"]);
    assert_eq!(codes(&answer(b"null")), ["empty_file"]);
    assert_eq!(codes(&answer(&[0; 1_000])), ["binary_file"]);
    assert_eq!(codes(&answer(b"steps: [{run: a}]\0")), ["binary_file"]);
    assert_eq!(codes(&answer(b"\xff\xfes\0")), ["binary_file"]);
    assert_eq!(codes(&answer(b"\xfe\xff\0s")), ["binary_file"]);
    assert_eq!(codes(&answer(b"steps: \xc3\x28")), ["not_utf8"]);
    assert_eq!(codes(&answer(b"\x80")), ["not_utf8"]);
    assert!(!codes(&answer(b"\x1b[2J: a\x07")).is_empty());
}

#[test]
fn byte_order_mark_and_line_ends() {
    let unix = "steps:\n  - run: |\n      a\n      b\n    env: { A: b }\n";
    let expected = answer(unix.as_bytes()).workflow.unwrap();
    let windows = unix.replace('\n', "\r\n");
    assert_eq!(answer(windows.as_bytes()).workflow.unwrap(), expected);
    assert_eq!(answer(format!("\u{feff}{unix}").as_bytes()).workflow.unwrap(), expected);
    assert_eq!(answer(format!("\u{feff}{windows}").as_bytes()).workflow.unwrap(), expected);
    assert_eq!(answer(format!("%YAML 1.2\n---\n{unix}...\n").as_bytes()).workflow.unwrap(), expected);
    let parsed = answer(windows.replace("env", "enw").as_bytes());
    assert_eq!((parsed.diagnostics[0].span.line, parsed.diagnostics[0].span.column), (5, 5));
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "steps:\n  - &base { run: a, timeout: 5s, env: &env { A: b } }\n  - { <<: *base, run: c }\n  - <<: [{ timeout: 1s }, *base]\n    env: { <<: *env, C: d }\n";
    let workflow = answer(text.as_bytes()).workflow.unwrap();
    let runs: Vec<_> = workflow
        .steps
        .iter()
        .map(|step| (step.run.as_str(), step.timeout.unwrap().as_secs(), step.env.len()))
        .collect();
    assert_eq!(runs, [("a", 5, 1), ("c", 5, 1), ("a", 1, 2)]);
    let keys = "steps:\n  - { &r run: x, &i id: *r , name: *i }\n  - { *r : *i, ? *i : b }\n";
    let steps = answer(keys.as_bytes()).workflow.unwrap().steps;
    assert_eq!((steps[0].id.as_str(), steps[0].name.as_deref(), steps[1].run.as_str()), ("run", Some("id"), "id"));
    assert!(said(b"steps: [{ <<: a, run: b }]", "wrong_type").contains("merge key"));
    assert_eq!(codes(&answer(b"steps: [{ '<<': a, run: b }]")), ["unknown_key"]);
    assert_eq!(codes(&answer(b"a: &a { <<: *a }")), ["syntax"]);
}

#[test]
fn tighter_budgets_are_kept() {
    let tight = Budgets { bytes_max: 100, nodes_max: 20, depth_max: 4, aliases_max: 1, steps_max: 2 };
    let code = |text: &str| parse(text.as_bytes(), "stem", &tight).diagnostics.first().map(|said| said.code);
    assert_eq!(code("steps: [{run: a}, {run: b}]"), None);
    assert_eq!(code("steps: [{run: a}, {run: b}, {run: c}]"), Some("too_big"));
    assert_eq!(code("steps: [{run: a, needs: [[a]]}]"), Some("too_big"));
    assert_eq!(code("steps: [{run: &a a, id: *a, name: *a}]"), Some("too_big"));
    assert_eq!(code(&"#".repeat(101)), Some("too_big"));
}

#[test]
fn a_file_name_that_cannot_name_a_workflow() {
    let text = b"steps: [{run: a}]";
    for stem in ["", "a b", "ü", ".hidden", "a/b", &"x".repeat(101)] {
        let parsed = parse(text, stem, &Budgets::default());
        assert_eq!(codes(&parsed), ["invalid_id"], "{stem}");
    }
    assert_eq!(parse(text, "nightly.v2_x-1", &Budgets::default()).workflow.unwrap().name, "nightly.v2_x-1");
}
