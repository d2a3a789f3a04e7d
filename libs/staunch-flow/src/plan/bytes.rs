//! What a plan holds on the heap, in bytes: estimates from above, compared with an allocator's count when written.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expr::Template;
use crate::workflow::{ContinueOnError, Input, InputType, Need, Step, Workflow};

use super::Why;

/// Heap bytes of outputs. A tree allocates nodes for eleven entries and may fill half of them.
pub(super) fn of_outputs(outputs: &BTreeMap<String, String>) -> usize {
    let node = if outputs.is_empty() { 0 } else { 640 };
    node + outputs.iter().map(|(name, value)| name.len() + value.len() + 112).sum::<usize>()
}

/// Heap bytes of a reason.
pub(super) fn of_why(why: &Why) -> usize {
    match why {
        Why::ConditionError { message: text } | Why::NeedFailed { step: text } | Why::NeedSkipped { step: text } => {
            text.len()
        }
        Why::ConditionFalse | Why::RunCancelled | Why::RunTimedOut => 0,
    }
}

/// Heap bytes of a JSON value.
pub(super) fn of_json(value: &Value) -> usize {
    let below = match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(of_json).sum(),
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + 64 + of_json(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + below
}

/// Heap bytes of a workflow: an estimate from above.
pub(super) fn of_workflow(workflow: &Workflow) -> usize {
    // A block of the heap costs its owner some bytes besides what it holds.
    const BLOCK: usize = 16;
    let text = |text: &String| text.capacity() + BLOCK;
    let option = |optional: &Option<String>| optional.as_ref().map_or(0, text);
    let env = |env: &Vec<(String, Template)>| {
        let entries: usize = env.iter().map(|(name, template)| text(name) + template.bytes()).sum();
        env.capacity() * size_of::<(String, Template)>() + BLOCK + entries
    };
    let input = |input: &Input| {
        let choices = match &input.kind {
            InputType::Choice(words) => words.iter().map(|word| size_of::<String>() + text(word)).sum::<usize>() * 2,
            InputType::String | InputType::Number | InputType::Boolean => 0,
        };
        text(&input.name) + option(&input.description) + input.default.as_ref().map_or(0, of_json) + choices
    };
    let step = |step: &Step| {
        let templates = [&step.working_directory, &step.condition].into_iter().flatten().map(Template::bytes);
        let shell: usize = step.shell.argv.iter().map(|word| size_of::<String>() + text(word)).sum();
        let codes = match &step.continue_on_error {
            ContinueOnError::ExitCodes(codes) => size_of::<i32>() * codes.capacity() + BLOCK,
            ContinueOnError::No | ContinueOnError::Yes => 0,
        };
        let lists = size_of::<Need>() * step.needs.capacity() + size_of::<i32>() * step.retry.on_exit_codes.capacity();
        text(&step.id)
            + option(&step.name)
            + text(&step.run)
            + templates.sum::<usize>()
            + shell
            + env(&step.env)
            + codes
            + lists
            + 3 * BLOCK
    };
    size_of::<Workflow>()
        + text(&workflow.name)
        + option(&workflow.description)
        + env(&workflow.env)
        + workflow.inputs.capacity() * size_of::<Input>()
        + workflow.inputs.iter().map(input).sum::<usize>()
        + workflow.steps.capacity() * size_of::<Step>()
        + workflow.steps.iter().map(step).sum::<usize>()
}
