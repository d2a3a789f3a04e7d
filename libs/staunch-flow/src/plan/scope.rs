//! What the expressions of a step see, and what it needs to start.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::expr::{ExprError, Scope, Status, Template};
use crate::workflow::StepIndex;

use super::{Cancel, Launch, Plan, Settled};

impl Plan {
    /// What to start for an attempt of `step` that is in flight.
    ///
    /// The workflow's `env` is rendered first and the step's after it, each in the file's order; an expression in `env`
    /// sees the variables above it as `env.NAME`.
    ///
    /// # Errors
    /// An expression in `env` or `working-directory` has no value: the attempt fails with that message.
    pub fn launch(&self, step: StepIndex) -> Result<Launch, ExprError> {
        let Some(rules) = self.workflow.steps.get(step.0 as usize) else {
            let message = format!("there is no step number {}", step.0);
            return Err(ExprError { expression: String::new(), offset: 0, message });
        };
        let env = self.env(step.0)?;
        let working_directory = rules
            .working_directory
            .as_ref()
            .map(|template| self.render(step.0, template, &env).map_err(|error| within("working-directory", error)));
        let mut argv = rules.shell.argv.clone();
        argv.push(rules.run.clone());
        Ok(Launch { argv, working_directory: working_directory.transpose()?, env: env.list, timeout: rules.timeout })
    }

    /// Whether the `if` of a step says to run it. Its expression sees the same `env` as its process would.
    pub(super) fn condition(&self, step: u32) -> Result<bool, ExprError> {
        let Some(condition) = &self.workflow.steps[step as usize].condition else { return Ok(true) };
        let reads_env = condition.names().any(|name| name.parts[0] == "env");
        let env = if reads_env { self.env(step)? } else { Env::default() };
        let scope = Scope { names: self.names(condition, &env), status: self.status(step) };
        condition.test(&scope).map_err(|error| self.explain(condition, error))
    }

    /// What the status functions say to a step.
    fn status(&self, step: u32) -> Status {
        let taint = self.taint_of_needs(step);
        let failure = self.deadline || taint.is_some_and(|taint| taint.failure);
        Status { success: taint.is_none() && !failure, failure, cancelled: self.cancel != Cancel::No }
    }

    fn env(&self, step: u32) -> Result<Env, ExprError> {
        let rules = &self.workflow.steps[step as usize];
        let mut env = Env::default();
        for (name, template) in self.workflow.env.iter().chain(&rules.env) {
            let value = self.render(step, template, &env).map_err(|error| within(&format!("env {name}"), error))?;
            env.set(name, value);
        }
        Ok(env)
    }

    fn render(&self, step: u32, template: &Template, env: &Env) -> Result<String, ExprError> {
        if template.is_literal() {
            return template.render(&Scope::default());
        }
        let scope = Scope { names: self.names(template, env), status: self.status(step) };
        template.render(&scope).map_err(|error| self.explain(template, error))
    }

    /// Only the names that the template reads: 5,000 steps that each look at one other cost 5,000 looks, not 25 million.
    fn names(&self, template: &Template, env: &Env) -> Value {
        let mut names = Map::new();
        for name in template.names() {
            let root = name.parts[0].as_str();
            let key = name.parts.get(1).map(String::as_str);
            match root {
                "inputs" => select(&mut names, root, key, self.inputs.keys(), |key| self.inputs.get(key).cloned()),
                "env" => select(&mut names, root, key, env.places.keys(), |key| env.get(key).map(Value::from)),
                "steps" => {
                    let value = |id: &str| {
                        let settled = self.settled(self.graph.step(&self.workflow, id)?)?;
                        Some(step_value(settled))
                    };
                    // Unlike the others, step ids are checked when the file is, so a missing one needs no hint.
                    let all = self.workflow.steps.iter().filter(|_| key.is_none()).map(|step| &step.id);
                    select(&mut names, root, key, all, value);
                }
                "run" => {
                    names.insert("run".to_owned(), json!({"id": &*self.run_id, "workflow": &self.workflow.name}));
                }
                "trigger" => {
                    names.insert("trigger".to_owned(), json!({}));
                }
                _ => {}
            }
        }
        Value::Object(names)
    }

    /// Says it if a name is missing because its step has not ended.
    fn explain(&self, template: &Template, mut error: ExprError) -> ExprError {
        let culprit =
            template.names().filter(|name| name.offset == error.offset && name.parts[0] == "steps").find_map(|name| {
                let id = name.parts.get(1)?;
                let step = self.graph.step(&self.workflow, id)?;
                self.settled(step).is_none().then_some(id)
            });
        if let Some(id) = culprit {
            error.message =
                format!("`steps.{id}` has no value here: that step may not have ended yet, add it to `needs`");
        }
        error
    }
}

/// Puts `root.key`, or all of `root` if there is no key, into `names`. If there is no such key, the names of its
/// siblings are put there instead, without values, for the error to suggest one; nothing in the template reads them.
fn select<'k>(
    names: &mut Map<String, Value>,
    root: &str,
    key: Option<&str>,
    all: impl Iterator<Item = &'k String>,
    value: impl Fn(&str) -> Option<Value>,
) {
    let entry = names.entry(root).or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(entry) = entry else { return };
    match key.map(|key| (key, value(key))) {
        Some((key, Some(value))) => {
            entry.insert(key.to_owned(), value);
        }
        Some((_, None)) => {
            for sibling in all {
                entry.entry(sibling.as_str()).or_insert(Value::Null);
            }
        }
        None => entry.extend(all.filter_map(|key| Some((key.clone(), value(key)?)))),
    }
}

/// `steps.<id>`.
fn step_value(settled: &Settled) -> Value {
    json!({"outcome": settled.outcome.word(), "exit_code": settled.exit_code, "outputs": &settled.outputs})
}

/// The environment as far as it is rendered: each name once, at its first place, with its last value.
#[derive(Default)]
struct Env {
    list: Vec<(String, String)>,
    places: BTreeMap<String, usize>,
}

impl Env {
    fn set(&mut self, name: &str, value: String) {
        match self.places.get(name) {
            Some(&place) => self.list[place].1 = value,
            None => {
                self.places.insert(name.to_owned(), self.list.len());
                self.list.push((name.to_owned(), value));
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(|&place| self.list[place].1.as_str())
    }
}

fn within(place: &str, error: ExprError) -> ExprError {
    ExprError { message: format!("in {place}: {}", error.message), ..error }
}
