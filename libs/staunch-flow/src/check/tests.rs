use crate::parse::{Budgets, parse};

/// What is said about a file with the inputs `target` and `dry-run`, and these steps.
fn said(steps: &str) -> Vec<String> {
    let text = format!("inputs: {{ target: , dry-run: }}\nsteps:\n{steps}");
    let parsed = parse(text.as_bytes(), "stem", &Budgets::default());
    let marked = |start: usize, end: usize| text[start..end].to_owned();
    parsed
        .diagnostics
        .iter()
        .map(|said| format!("{} at {}", said.code, marked(said.span.start, said.span.end)))
        .collect()
}

#[test]
fn names_that_are_there_in_time_are_fine() {
    for step in [
        "- { run: x, if: \"inputs.target == 'a' && inputs.dry-run\" }",
        "- { run: x, if: \"${{ run.id != '' }}\", env: { A: \"${{ trigger }}\", B: \"${{ env.A }}\" } }",
        "- { id: a-b, run: x }\n- { run: y, env: { A: \"${{ steps.a-b.outputs.k }} ${{ steps['a-b'].exit_code }}\" } }",
        "- { id: a, run: x }\n- { run: y }\n- { run: z, if: \"steps.a.outcome == 'failed' || always()\" }",
        "- { run: x }\n- { run: y, if: \"steps.step-1.outcome == 'failed' || always()\" }",
        "- parallel: [{ id: a, run: x }]\n- { run: z, if: steps.a.outputs.go }",
        "- { run: y, env: { A: \"${{ steps.b.outputs.k | default('-') }}\" } }\n- { id: b, run: x }",
        "- { run: x, env: { A: \"${{ inputs }}\", B: \"${{ 'steps.nobody' }}\" } }",
    ] {
        assert_eq!(said(step), Vec::<String>::new(), "{step}");
    }
}

#[test]
fn names_that_are_not_there_are_errors_at_their_place() {
    for (step, expected) in [
        ("- { run: x, if: inputs.tarjet }", "unknown_input at inputs.tarjet"),
        ("- { run: x, if: \"true && (input.target)\" }", "unknown_name at input.target"),
        ("- { run: x, env: { A: \"1 ${{ steps.nobody.outcome }} 2\" } }", "unknown_step at steps.nobody.outcome"),
        ("- { run: x, env: { A: \"${{ secrets.KEY }}\" } }", "not_supported_yet at secrets.KEY"),
        ("- { run: x, working-directory: \"${{ matrix.part }}\" }", "not_supported_yet at matrix.part"),
        ("- { run: x, env: { A: \"${{ item }}\" } }", "not_supported_yet at item"),
        ("- { id: a, run: x }\n- { run: y, if: steps.a.output.k }", "unknown_name at steps.a.output.k"),
        ("- { run: x, env: { A: \"\\x24{{ inputs.tarjet }}\" } }", "unknown_input at inputs.tarjet"),
    ] {
        assert_eq!(said(step), [expected], "{step}");
    }
}

#[test]
fn the_second_of_two_same_names_is_marked_at_the_second() {
    let text = "steps: [{ run: x, env: { A: \"${{ nobody }}\", B: \"nobody ${{ nobody }}\" } }]";
    let parsed = parse(text.as_bytes(), "stem", &Budgets::default());
    let columns: Vec<usize> = parsed.diagnostics.iter().map(|said| said.span.column).collect();
    assert_eq!(columns, [34, 61]);
}

#[test]
fn steps_that_may_not_be_over_are_warnings() {
    for (steps, expected) in [
        ("- { id: a, run: x, env: { A: \"${{ steps.a.outcome }}\" } }", "not_before at steps.a.outcome"),
        ("- { run: y, if: steps.b.outputs.k }\n- { id: b, run: x }", "not_before at steps.b.outputs.k"),
        ("- { id: a, run: x }\n- { run: y, needs: [], if: steps.a.outputs.k }", "not_before at steps.a.outputs.k"),
        ("- parallel: [{ id: a, run: x }, { run: y, if: steps.a.outputs.k }]", "not_before at steps.a.outputs.k"),
    ] {
        assert_eq!(said(steps), [expected], "{steps}");
    }
}

#[test]
fn the_workflows_env_is_made_for_early_steps_too() {
    let text = "env: { A: \"${{ steps.a.outcome }}\" }\nsteps: [{ id: a, run: x }]";
    let parsed = parse(text.as_bytes(), "stem", &Budgets::default());
    assert_eq!(parsed.diagnostics.iter().map(|said| said.code).collect::<Vec<_>>(), ["not_before"]);
    assert!(parsed.workflow.is_some());
}
