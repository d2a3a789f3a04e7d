//! The steps: the list, its groups, and a step's keys.

use std::time::Duration;

use crate::diagnostic::code;
use crate::findings::{At, Findings, quoted};
use crate::graph::StepPlace;
use crate::keys::Place;
use crate::limits::{ATTEMPTS_MAX, ID_BYTES_MAX, PROSE_BYTES_MAX};
use crate::parse::draft::Draft;
use crate::parse::fields::{Fields, missing};
use crate::parse::run;
use crate::parse::tree::{Node, Yaml};
use crate::parse::value;
use crate::retry::{Backoff, Retry};
use crate::workflow::{ContinueOnError, Step};

/// Reads the list under `steps:`.
pub(crate) fn read_all(node: &Node, draft: &mut Draft<'_, '_>) {
    let Yaml::List(list) = &node.value else {
        let help = "steps are a list, in order: `- id: build`, then its other keys indented below `id`";
        return value::wrong::<()>(node, "`steps`", "a list", Some(help), draft.findings).unwrap_or_default();
    };
    if list.is_empty() {
        let help = "such as `steps: [{ run: echo hello }]`";
        draft.findings.error_help(code::MISSING_KEY, node.at, "a workflow must have at least one step", help);
    }
    for (entry, node) in list.iter().enumerate() {
        let more = match group(node) {
            Some(_) => group_of(node, entry, draft),
            None => one(node, entry, draft),
        };
        if let Err(Full) = more {
            return;
        }
    }
}

/// The list has as many steps as a workflow may have.
struct Full;

/// Whether a list entry is a group: it has the key `parallel`.
fn group(node: &Node) -> Option<&Node> {
    let Yaml::Mapping(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.name == "parallel").map(|entry| entry.value.as_ref())
}

/// A group's steps.
fn group_of(node: &Node, entry: usize, draft: &mut Draft<'_, '_>) -> Result<(), Full> {
    let fields = Fields::read(node, Place::Group, draft.findings);
    let Some(members) = fields.as_ref().and_then(|fields| fields.get("parallel")) else { return Ok(()) };
    let Yaml::List(list) = &members.value else {
        let help = "a group is a list of steps: `- parallel:`, then `- run: ...` indented below it";
        value::wrong::<()>(members, "`parallel`", "a list of steps", Some(help), draft.findings);
        return Ok(());
    };
    if list.is_empty() {
        draft.findings.error_help(
            code::MISSING_KEY,
            members.at,
            "a `parallel` group must have at least one step",
            "remove it",
        );
    }
    for member in list {
        if group(member).is_some() {
            let help = "list all steps in one group, or order them by `needs:`";
            draft.findings.error_help(
                code::INVALID_VALUE,
                member.at,
                "a `parallel` group cannot hold another one",
                help,
            );
            continue;
        }
        one(member, entry, draft)?;
    }
    Ok(())
}

/// One step.
fn one(node: &Node, entry: usize, draft: &mut Draft<'_, '_>) -> Result<(), Full> {
    let index = draft.places.len();
    if index >= draft.budgets.steps_max {
        let message = format!("more than {} steps", draft.budgets.steps_max);
        draft.findings.error_help(code::TOO_BIG, node.at, message, "split the workflow, or loop inside of a step");
        return Err(Full);
    }
    let start = At { start: node.at.start, end: node.at.start };
    // The place is taken even if the step is broken, so that `needs` and `step-N` do not go astray with it.
    draft.places.push(StepPlace { id: format!("step-{}", index + 1), given: false, at: start, entry, needs: None });
    draft.steps.push(None);
    if let Yaml::Scalar { text, .. } = &node.value {
        let help =
            format!("write `- run: {}`", text.lines().next().unwrap_or_default().chars().take(60).collect::<String>());
        value::wrong::<()>(node, "a step", "a mapping", Some(&help), draft.findings);
        return Ok(());
    }
    let Some(fields) = Fields::read(node, Place::Step, draft.findings) else { return Ok(()) };
    identity(&fields, index, draft);
    draft.steps[index] = step(node, &fields, index, draft);
    Ok(())
}

/// Reads `id` and `needs`.
fn identity(fields: &Fields<'_>, index: usize, draft: &mut Draft<'_, '_>) {
    if let Some(node) = fields.get("id")
        && let Some(id) = value::text(node, "`id`", PROSE_BYTES_MAX, draft.findings)
    {
        if !is_id(id) {
            let message = format!("{} cannot be an id", quoted(id));
            let help = "use letters, digits, `-` and `_`, at most 100, starting with a letter or `_`; free text goes into `name:`";
            draft.findings.error_help(code::INVALID_ID, node.at, message, help);
        }
        let place = &mut draft.places[index];
        (place.id, place.given, place.at) = (id.to_owned(), true, node.at);
    }
    if let Some(node) = fields.get("needs") {
        let named = value::texts(node, "`needs`", PROSE_BYTES_MAX, draft.findings);
        // Names that could not be read are said; what is left must not fall back to list order.
        let named = named.unwrap_or_default().into_iter().map(|(at, name)| (at, name.to_owned())).collect();
        draft.places[index].needs = Some(named);
    }
}

/// Letters, digits, `-`, `_`; at most 100 bytes. It starts with a letter or `_`, so that an expression can name it.
pub(crate) fn is_id(word: &str) -> bool {
    let charset = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let starts = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && word.len() <= ID_BYTES_MAX && word.bytes().all(charset)
}

/// Reads the rest of a step. All of it is read even if a part is wrong.
fn step(node: &Node, fields: &Fields<'_>, index: usize, draft: &mut Draft<'_, '_>) -> Option<Step> {
    let shell = run::shell(fields.get("shell"), draft.findings);
    let run = run::script(fields, shell.as_ref(), draft.findings);
    if run.is_none()
        && !fields.refused()
        && fields.get("run").or_else(|| fields.get("commands")).is_none_or(Node::is_null)
    {
        let at = At { start: node.at.start, end: node.at.start };
        missing(at, Place::Step, "run", "such as `run: echo hello`", draft.findings);
    }
    let condition = fields.get("if").and_then(|node| draft.condition(node, index));
    let names_status =
        |template: &crate::expr::Template| ["always", "failure", "cancelled"].iter().any(|name| template.calls(name));
    let working_directory =
        fields.get("working-directory").and_then(|node| draft.template(node, "`working-directory`", Some(index)));
    let env = fields.get("env").map(|node| draft.env(node, Some(index))).unwrap_or_default();
    let findings = &mut *draft.findings;
    let name = fields.get("name").and_then(|node| value::literal(node, "`name`", PROSE_BYTES_MAX, findings));
    let timeout = timeout(fields, findings);
    let retry = fields.get("retry").and_then(|node| retry(node, findings)).unwrap_or_else(|| retry_of(1));
    let continue_on_error = fields.get("continue-on-error").and_then(|node| continue_on_error(node, findings));
    Some(Step {
        id: draft.places[index].id.clone(),
        name: name.map(str::to_owned),
        run: run?,
        shell: shell?,
        working_directory,
        env,
        needs: Vec::new(),
        condition_names_status: condition.as_ref().is_some_and(names_status),
        condition,
        timeout,
        retry,
        continue_on_error: continue_on_error.unwrap_or(ContinueOnError::No),
    })
}

/// `timeout`, or one of its spellings with the unit in the name; of a step or of the workflow.
pub(crate) fn timeout(fields: &Fields<'_>, findings: &mut Findings<'_>) -> Option<Duration> {
    let given: Vec<_> =
        ["timeout", "timeout-minutes", "timeout-sec"].into_iter().filter_map(|name| fields.entry(name)).collect();
    if let [first, second, ..] = given[..] {
        let message = format!("{} and {} say the same thing twice", quoted(&first.name), quoted(&second.name));
        findings.error_help(code::DUPLICATE_KEY, second.at, message, "keep one of them");
    }
    let entry = given.first()?;
    let what = quoted(&entry.name);
    match entry.name.replace('_', "-").as_str() {
        "timeout-minutes" => value::duration_in(&entry.value, &what, 60.0, findings),
        "timeout-sec" => value::duration_in(&entry.value, &what, 1.0, findings),
        _ => value::duration(&entry.value, &what, false, findings),
    }
}

/// The wait between attempts if the file does not say.
const DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(5 * 60);
const FACTOR: f64 = 2.0;
const ATTEMPTS: u32 = 3;

fn retry_of(attempts: u32) -> Retry {
    let backoff = Backoff { delay: DELAY, factor: FACTOR, max_delay: MAX_DELAY, jitter: false };
    Retry { attempts, backoff, on_exit_codes: Vec::new() }
}

/// `retry: 3` or a mapping.
fn retry(node: &Node, findings: &mut Findings<'_>) -> Option<Retry> {
    if let Yaml::Scalar { .. } = &node.value {
        return value::integer(node, "`retry`", 1..=ATTEMPTS_MAX, findings).map(|attempts| retry_of(attempts as u32));
    }
    let fields = Fields::read(node, Place::Retry, findings)?;
    let mut retry = retry_of(ATTEMPTS);
    if let Some(attempts) =
        fields.get("attempts").and_then(|node| value::integer(node, "`attempts`", 1..=ATTEMPTS_MAX, findings))
    {
        retry.attempts = attempts as u32;
    }
    let backoff = &mut retry.backoff;
    if let Some(delay) = fields.get("delay").and_then(|node| value::duration(node, "`delay`", true, findings)) {
        backoff.delay = delay;
    }
    backoff.max_delay = MAX_DELAY.max(backoff.delay);
    if let Some(node) = fields.get("max-delay")
        && let Some(max_delay) = value::duration(node, "`max-delay`", true, findings)
    {
        if max_delay < backoff.delay {
            findings.error_help(
                code::INVALID_VALUE,
                node.at,
                "`max-delay` is shorter than `delay`",
                "make it longer, or `delay` shorter",
            );
        }
        backoff.max_delay = max_delay;
    }
    if let Some(factor) =
        fields.get("backoff").and_then(|node| value::decimal(node, "`backoff`", 1.0..=100.0, findings))
    {
        backoff.factor = factor;
    }
    if let Some(jitter) = fields.get("jitter").and_then(|node| value::boolean(node, "`jitter`", findings)) {
        backoff.jitter = jitter;
    }
    if let Some(node) = fields.get("on-exit-codes") {
        retry.on_exit_codes = match &node.value {
            Yaml::List(list) => value::exit_codes(list, "`on-exit-codes`", node.at, findings)?,
            _ => value::wrong(node, "`on-exit-codes`", "a list of exit codes", Some("such as `[1, 75]`"), findings)?,
        };
    }
    Some(retry)
}

fn continue_on_error(node: &Node, findings: &mut Findings<'_>) -> Option<ContinueOnError> {
    match &node.value {
        Yaml::List(list) => {
            value::exit_codes(list, "`continue-on-error`", node.at, findings).map(ContinueOnError::ExitCodes)
        }
        _ => {
            let yes = value::boolean(node, "`continue-on-error`", findings)?;
            Some(if yes { ContinueOnError::Yes } else { ContinueOnError::No })
        }
    }
}
