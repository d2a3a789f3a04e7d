//! The parser's answer to any bytes, with everything checked that must hold for every answer.
//! Also the fuzzer's oracle, so it names nothing of the test binary.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use staunch_flow::{Budgets, CODES, Parsed, Severity, Workflow, parse};

/// The longest an answer may take, in an unoptimised build on a busy machine. The usual answer takes under a
/// millisecond; the worst known file within the budgets some hundred.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Parses with the default budgets and checks the answer.
pub(crate) fn answer(bytes: &[u8]) -> Parsed {
    let began = Instant::now();
    let parsed = parse(bytes, "stem", &Budgets::default());
    let text = String::from_utf8_lossy(bytes);
    diagnostics(&parsed, bytes, &text);
    if let Some(workflow) = &parsed.workflow {
        sound(workflow);
    }
    let took = began.elapsed();
    assert!(took < ANSWER_MAX, "the answer took {took:?}");
    parsed
}

/// The codes of an answer, in its order.
pub(crate) fn codes(parsed: &Parsed) -> Vec<&'static str> {
    parsed.diagnostics.iter().map(|said| said.code).collect()
}

fn diagnostics(parsed: &Parsed, bytes: &[u8], text: &str) {
    let errors = parsed.diagnostics.iter().filter(|said| said.severity == Severity::Error).count();
    assert_eq!(parsed.workflow.is_none(), errors > 0, "a workflow if and only if there is no error");
    assert!(parsed.diagnostics.len() <= 100);
    assert!(parsed.diagnostics.is_sorted_by_key(|said| said.span.start));
    for (number, said) in parsed.diagnostics.iter().enumerate() {
        assert!(CODES.iter().any(|(code, _)| *code == said.code), "{} is not in the table", said.code);
        assert!(said.span.start <= said.span.end && said.span.end <= bytes.len());
        assert!(said.span.line >= 1 && said.span.column >= 1);
        assert!(!said.message.is_empty() && said.message.len() < 4_096, "{}", said.message);
        assert!(said.help.as_ref().is_none_or(|help| help.len() < 8_192), "{:?}", said.help);
        // Rendering is checked on a few: a hundred times a megabyte is not what anybody waits for.
        if number < 5 {
            let plain = said.render("file.yaml", text, false);
            assert!(plain.contains(said.code) && plain.len() < 32_768, "{}", plain.len());
            assert!(!plain.contains('\u{1b}'), "no escape sequence reaches a terminal: {plain:?}");
            assert!(said.render("file.yaml", text, true).len() < 65_536);
            assert!(serde_json::to_string(said).is_ok());
        }
    }
}

/// What every workflow promises to those who run it.
fn sound(workflow: &Workflow) {
    let count = workflow.steps.len();
    assert!((1..=5_000).contains(&count));
    let ids: HashSet<&str> = workflow.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids.len(), count, "ids are unique");
    let mut waiting = Vec::with_capacity(count);
    let mut followers = vec![Vec::new(); count];
    for (index, step) in workflow.steps.iter().enumerate() {
        assert!(!step.run.contains("${{") && !step.run.contains('\0') && !step.shell.argv.is_empty());
        assert!((1..=100).contains(&step.retry.attempts));
        assert!(step.retry.backoff.delay <= step.retry.backoff.max_delay && step.retry.backoff.factor >= 1.0);
        let needs: HashSet<u32> = step.needs.iter().map(|need| need.step.0).collect();
        assert_eq!(needs.len(), step.needs.len(), "no need twice");
        waiting.push(needs.len());
        needs.iter().for_each(|need| followers[*need as usize].push(index));
    }
    let mut ready: Vec<usize> = (0..count).filter(|step| waiting[*step] == 0).collect();
    let mut done = 0;
    while let Some(step) = ready.pop() {
        done += 1;
        for follower in &followers[step] {
            waiting[*follower] -= 1;
            if waiting[*follower] == 0 {
                ready.push(*follower);
            }
        }
    }
    assert_eq!(done, count, "there is no circle");
}
