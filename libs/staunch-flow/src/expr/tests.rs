#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn scope() -> Scope {
    Scope {
        names: json!({
            "inputs": {"target": "s3", "count": 3, "ratio": 2.5, "whole": 4.0, "on": true, "off": false, "nothing": null,
                       "dry-run": "yes", "list": [1, "b", {"c": 2}]},
            "steps": {
                "build": {"outcome": "succeeded", "exit_code": 0, "outputs": {"version": "1.2", "my-key": "k"}},
                "step-1": {"outcome": "failed", "exit_code": 7, "outputs": {}},
            },
            "env": {"A": "a b"},
            "run": {"id": "r1", "workflow": "w"},
        }),
        status: Status { success: false, failure: true, cancelled: false },
    }
}

fn render(source: &str) -> String {
    match Template::parse(source).and_then(|template| template.render(&scope())) {
        Ok(text) => text,
        Err(error) => format!("error at {}: {}", error.offset, error.message),
    }
}

fn test(source: &str) -> String {
    match Template::parse_condition(source).and_then(|template| template.test(&scope())) {
        Ok(is) => is.to_string(),
        Err(error) => format!("error at {}: {}", error.offset, error.message),
    }
}

#[test]
fn renders() {
    for (source, wanted) in [
        ("", ""),
        ("plain $HOME { }} ü", "plain $HOME { }} ü"),
        ("${{ inputs.target }}", "s3"),
        ("a-${{ inputs.target }}-${{inputs.count}}-b", "a-s3-3-b"),
        ("${{ inputs.count + 0.5 }} ${{ inputs.whole }} ${{ inputs.ratio }}", "3.5 4 2.5"),
        ("${{ inputs.on }}/${{ inputs.off }}/${{ inputs.nothing }}/", "true/false//"),
        ("${{ inputs.list }}", r#"[1,"b",{"c":2}]"#),
        ("${{ {'a': {'b': 1}} }}!", r#"{"a":{"b":1}}!"#),
        ("${{ {'a': 1}}}", r#"{"a":1}"#),
        ("${{ '}}' }}", "}}"),
        ("${{ \"it's\" ~ ' \\' ' }}", "it's ' "),
        ("${{ steps.build.outputs.version | upper }}", "1.2"),
        ("${{ steps.step-1.outcome }}", "failed"),
        ("${{ steps['step-1'].exit_code - 1 }}", "6"),
        ("${{ inputs.count -1 }} ${{ inputs.count - 1 }}", "2 2"),
        ("${{ steps.build.outputs.my-key }}${{ inputs.dry-run }}", "kyes"),
        ("${{ inputs.target == 's3' && 'yes' || 'no' }}", "yes"),
        ("${{ inputs.off && 'yes' || 'no' }}", "no"),
        ("${{ json(inputs.list) }}", r#"[1,"b",{"c":2}]"#),
        ("${{ hash('abc') }}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("${{ range(3) | list }}", "[0,1,2]"),
        ("$${{ inputs.target }}", "${{ inputs.target }}"),
        ("ü${{ 'ü' }}", "üü"),
        ("${{ inputs.missing | default('d') }}", "d"),
        ("${{ 10 ** 20 }} ${{ -3 // 2 }}", "100000000000000000000 -2"),
        ("${{\n  inputs.target\n}}\n", "s3\n"),
    ] {
        assert_eq!(render(source), wanted, "{source}");
    }
}

#[test]
fn conditions() {
    for (source, wanted) in [
        ("true", "true"),
        ("inputs.target == 's3'", "true"),
        ("${{ inputs.target == 's3' }}", "true"),
        (" ${{ inputs.off }}\n", "false"),
        ("inputs.nothing", "false"),
        ("''", "false"),
        ("'false'", "true"),
        ("0", "false"),
        ("success()", "false"),
        ("failure() && !cancelled()", "true"),
        ("always()", "true"),
        ("!success() && inputs.target != 's4'", "true"),
        ("!inputs.off == true", "true"),
        ("!!inputs.on", "true"),
        ("!(inputs.on && inputs.off) || false", "true"),
        ("!inputs.missing|default(false)", "true"),
        ("!inputs.list[0] == false", "true"),
        ("'a && b || !c' == 'a && b || !c'", "true"),
        ("inputs.missing is defined", "false"),
        ("inputs.missing is not defined", "true"),
        ("'s' in inputs.target", "true"),
        ("steps.build.outcome == 'succeeded' and steps.build.exit_code == 0", "true"),
    ] {
        assert_eq!(test(source), wanted, "{source}");
    }
}

#[test]
fn errors_name_the_place_and_the_fix() {
    for (source, wanted) in [
        ("x ${{ inputs.target", "error at 5: `${{` is not closed by `}}`"),
        ("x ${{ 'abc }}", "error at 6: this string is not closed"),
        ("${{ }}", "error at 3: there is no expression here"),
        ("${{ (1 }}", "error at 7: `}` closes nothing"),
        ("${{ 1) }}", "error at 5: `)` closes nothing"),
        ("${{ a & b }}", "error at 6: a single `&` means nothing, did you mean `&&`?"),
        ("${{ ü }}", "error at 4: `ü` means nothing outside a string"),
        ("${{ ${{ a }} }}", "error at 4: `${{` inside an expression: names stand bare here"),
        ("${{ 1 + }}", "error at 4: unexpected end of input, expected expression"),
        ("${{ 1 ! }}", "error at 6: `!` of what?"),
        ("${{ succes() }}", "error at 4: there is no function `succes`, did you mean `success`?"),
        ("${{ debug() }}", "error at 4: there is no function `debug`"),
        ("${{ success }}", "error at 4: `success` is a function, did you mean `success()`?"),
        ("${{ 'a' | uper }}", "error at 10: there is no filter `uper`, did you mean `upper`?"),
        ("${{ input.target }}", "error at 4: `input` is undefined, did you mean `inputs`?"),
        ("${{ inputs.targt }}", "error at 4: `inputs.targt` is undefined, did you mean `target`?"),
        ("${{ 1 + steps.bild.outcome }}", "error at 8: `steps.bild` is undefined, did you mean `build`?"),
        (
            "${{ inputs.q | default(1) ~ steps.bild.outputs | d('') }}",
            "error at 28: `steps.bild` is undefined, did you mean `build`?",
        ),
        ("${{ steps.build.outputs.q }}", "error at 4: `steps.build.outputs.q` is undefined"),
        (
            "${{ inputs.target + 1 }}",
            "error at 4: invalid operation: tried to use + operator on unsupported types string and number",
        ),
    ] {
        assert_eq!(render(source), wanted, "{source}");
    }
    assert_eq!(
        test("${{ inputs.on }} == true"),
        "error at 0: a condition is one expression: put all of it inside one `${{ }}`, or leave `${{ }}` out"
    );
    assert_eq!(test(""), "error at 0: there is no expression here");
    let error = Template::parse(&format!("${{{{ '{}' & }}}}", "é".repeat(500))).unwrap_err();
    assert_eq!(error.expression.chars().count(), QUOTED_CHARS_MAX);
}

#[test]
fn tells_names_functions_and_expressions() {
    let template =
        Template::parse("a ${{ inputs.x }} ${{ always() || steps['b-c'].outputs[inputs.k] | default(env.D) is none }}")
            .unwrap();
    let names: Vec<_> = template.names().map(|name| (name.offset, name.parts.join("."), name.guarded)).collect();
    assert_eq!(
        names,
        [
            (6, "inputs.x".to_owned(), false),
            (34, "steps.b-c.outputs".to_owned(), false),
            (55, "inputs.k".to_owned(), false),
            (75, "env.D".to_owned(), false)
        ]
    );
    assert!(template.calls("always") && !template.calls("failure"));
    assert_eq!(template.expressions()[0], (6, "inputs.x".to_owned()));
    assert!(Template::parse("'always()'").unwrap().is_literal());
    assert!(!Template::parse_condition("inputs.x == 'always()'").unwrap().calls("always"));
    let guarded = Template::parse("${{ inputs.x | d('') ~ (inputs.y is not defined) }}").unwrap();
    assert!(guarded.names().all(|name| name.guarded));
    assert_eq!(Template::parse("${{ f.x(1) }}").unwrap().names().next().unwrap().parts, ["f"]);
}

#[test]
fn every_listed_function_and_filter_exists() {
    for name in evaluator::FILTERS {
        let said = render(&format!("${{{{ [1] | {name} }}}}"));
        assert!(!said.contains("unknown filter"), "{name}: {said}");
    }
    for name in evaluator::FUNCTIONS {
        let said = render(&format!("${{{{ {name}() }}}}"));
        assert!(!said.contains("unknown") && !said.contains("undefined"), "{name}: {said}");
    }
}

#[test]
fn bombs_run_out_of_fuel_or_into_a_bound() {
    for bomb in [
        "range(10**9)",
        "range(100000)",
        "range(100000) | list | length > 0 and range(100000) | list",
        "'x' * 10**9",
        "'x' * 10**18",
        "[0] * 10**9",
        "('x' * 100000) ~ ('y' * 100000)",
        "10 ** 10 ** 10 ** 10",
        "'%1000000000d' | format(1)",
        "'%.1000000000f' | format(1.0)",
        "'a' | indent(1000000000)",
        "'aaaaaaaaaa' | replace('', 'x' * 10000) | replace('', 'y' * 10000)",
        "[1] | batch(1000000000, 0) | list",
        "[1] | slice(1000000000) | list",
        "json('x' * 65535)",
        "json(range(100000))",
        "range(100000) | sum and range(100000) | join(',')",
        "range(99999) | map('string') | join('-' * 1000)",
    ] {
        let said = render(&format!("${{{{ {bomb} }}}}"));
        assert!(said.starts_with("error at 4: "), "{bomb}: {} bytes: {}", said.len(), &said[..said.len().min(60)]);
    }
    assert_eq!(render("${{ 'x' * 10**9 }}"), "error at 4: out of fuel: the expression costs too much");
}

#[test]
fn results_are_bounded_below_at_and_over() {
    let of = |bytes: usize| render(&format!("${{{{ 'x' * {} }}}}y", bytes - 1));
    assert_eq!(of(RESULT_BYTES_MAX - 1).len(), RESULT_BYTES_MAX - 1);
    assert_eq!(of(RESULT_BYTES_MAX).len(), RESULT_BYTES_MAX);
    assert_eq!(of(RESULT_BYTES_MAX + 1), "error at 0: the result is over 64 KiB");
}

#[test]
fn sources_are_bounded() {
    assert!(Template::parse(&"x".repeat(SOURCE_BYTES_MAX)).is_ok());
    assert_eq!(render(&"x".repeat(SOURCE_BYTES_MAX + 1)), "error at 0: the text is over 64 KiB");
    assert_eq!(render(&"${{1}}".repeat(EXPRESSIONS_MAX)).len(), EXPRESSIONS_MAX);
    assert_eq!(render(&"${{1}}".repeat(EXPRESSIONS_MAX + 1)), "error at 384: over 64 expressions in one string");
    let long = |bytes: usize| format!("${{{{'{}'}}}}", "x".repeat(bytes - 2));
    assert_eq!(render(&long(EXPRESSION_BYTES_MAX)).len(), EXPRESSION_BYTES_MAX - 2);
    assert_eq!(render(&long(EXPRESSION_BYTES_MAX + 1)), "error at 3: the expression is over 4 KiB");
}

/// A thread of a server has 2 MiB of stack; a quarter of it must do for anything that can be written.
#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    let deepest = scan::TOKENS_MAX;
    let chains = [
        format!("{}1", "-".repeat(deepest - 1)),
        format!("{}1", "- ".repeat(9_000)),
        format!("{}true", "!".repeat(deepest - 1)),
        format!("{}true", "not ".repeat(deepest - 1)),
        format!("1{}", "+1".repeat(deepest / 2 - 1)),
        format!("1{}", "**1".repeat(deepest / 2 - 1)),
        format!("x{}", ".a".repeat(deepest / 2 - 1)),
        format!("'x'{}", "|upper".repeat(deepest / 2 - 1)),
        format!("{}1", "1 if 1 else ".repeat(deepest / 4 - 1)),
        format!("{}1{}", "(".repeat(24), ")".repeat(24)),
        format!("{}1{}", "(".repeat(9_000), ")".repeat(9_000)),
        format!("{}1{}", "[".repeat(9_000), "]".repeat(9_000)),
        format!("{}1{}", "{1:".repeat(9_000), "}".repeat(9_000)),
        format!("{}1{}", "!(".repeat(24), ")".repeat(24)),
        format!("{}1{}", "json(".repeat(24), ")".repeat(24)),
        "(".repeat(60_000),
    ];
    std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(move || {
            for chain in chains {
                let said = render(&format!("${{{{{chain}}}}}"));
                assert!(!said.is_empty(), "{chain}");
            }
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn templates_are_shared_and_sendable() {
    fn check<T: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static>(_: &T) {}
    let template = Template::parse("${{ inputs.target }}").unwrap();
    check(&template);
    assert_eq!(template, Template::parse("${{ inputs.target }}").unwrap());
    assert_ne!(Template::parse("true").unwrap(), Template::parse_condition("true").unwrap());
    assert!(template.bytes() > template.source().len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_parses_or_is_refused_within_it(source in ".{0,80}") {
        match Template::parse(&source) {
            Ok(template) => drop(template.render(&scope())),
            Err(error) => prop_assert!(error.offset <= source.len() && source.is_char_boundary(error.offset)),
        }
        drop(Template::parse_condition(&source).and_then(|template| template.test(&scope())));
    }

    #[test]
    fn any_soup_of_words_parses_or_is_refused_within_it(words in prop::collection::vec(prop::sample::select(vec![
        "${{", "}}", "$", "inputs", ".", "target", "steps", "-", "step-1", "!", "!=", "&&", "||", "|", "default", "(", ")",
        "[", "]", "{", "}", "'", "\"", "\\", "a", "1", "1.5", " ", "not", "is", "defined", "and", "if", "else", "in", ",",
        ":", "=", "==", "**", "//", "~", "%", "ü", "range", "json", "success()", "\n", "#", "{%", "{{", "0x", "1e9",
    ]), 0..25)) {
        let source = words.concat();
        for wrapped in [format!("${{{{ {source} }}}}"), source] {
            match Template::parse(&wrapped) {
                Ok(template) => drop(template.render(&scope())),
                Err(error) => prop_assert!(error.offset <= wrapped.len() && wrapped.is_char_boundary(error.offset)),
            }
            drop(Template::parse_condition(&wrapped).and_then(|template| template.test(&scope())));
        }
    }

    #[test]
    fn text_without_an_expression_renders_as_it_is(source in "[^$]{0,60}") {
        prop_assert_eq!(render(&source), source);
    }
}
