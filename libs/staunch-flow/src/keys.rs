//! Every key of a workflow file, in one table: the parser knows no other, and the manual is printed from it.

use std::fmt::Write;

/// A mapping of the file that has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The file itself.
    Workflow,
    /// `on:`.
    On,
    /// An entry of `inputs:`.
    Input,
    /// A step.
    Step,
    /// A list entry that is a group: `- parallel: [...]`.
    Group,
    /// `retry:`.
    Retry,
}

impl Place {
    /// Every place, in the manual's order.
    pub const ALL: [Self; 6] = [Self::Workflow, Self::On, Self::Input, Self::Step, Self::Group, Self::Retry];

    /// What stands before a key's name in its path.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Workflow => "",
            Self::On => "on.",
            Self::Input => "inputs.NAME.",
            Self::Step | Self::Group => "steps[].",
            Self::Retry => "steps[].retry.",
        }
    }

    /// What to call the mapping in a message.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Workflow => "a workflow",
            Self::On => "`on`",
            Self::Input => "an input",
            Self::Step => "a step",
            Self::Group => "a `parallel` group",
            Self::Retry => "`retry`",
        }
    }
}

/// Whether this version knows what to do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Now,
    /// It is part of the language, and refused as "not supported yet".
    Later,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it may stand.
    pub place: Place,
    /// Its name, in kebab case; snake case is accepted for it too.
    pub name: &'static str,
    /// Other names it is accepted by.
    pub aliases: &'static [&'static str],
    /// What it holds, in words.
    pub kind: &'static str,
    /// What holds if it is not there, in words; empty if nothing does.
    pub default: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// How it is written; empty if `doc` says enough.
    pub example: &'static str,
    /// Whether it can be used.
    pub support: Support,
}

impl Key {
    /// Its whole path, such as `steps[].retry.max-delay`.
    pub fn path(&self) -> String {
        format!("{}{}", self.place.prefix(), self.name)
    }

    const fn now(place: Place, name: &'static str, kind: &'static str, doc: &'static str) -> Self {
        Self { place, name, aliases: &[], kind, default: "", doc, example: "", support: Support::Now }
    }

    const fn later(place: Place, name: &'static str, doc: &'static str) -> Self {
        Self { place, name, aliases: &[], kind: "", default: "", doc, example: "", support: Support::Later }
    }

    const fn or(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn like(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

/// The table.
pub const KEYS: &[Key] = &[
    // The workflow.
    Key::now(Place::Workflow, "name", "name", "The workflow's name: letters, digits, `-`, `_`, `.`; at most 100 bytes.")
        .or("the file's name without its ending")
        .like("name: nightly-backup"),
    Key::now(Place::Workflow, "description", "text", "What it is for; at most 4 KiB.").like("description: Dumps and checks the database"),
    Key::now(Place::Workflow, "inputs", "mapping of inputs", "What a run can be given, at most 100. See `inputs.NAME`.")
        .also(&["params"])
        .like("inputs: { target: { type: choice, options: [s3, disk], default: disk } }"),
    Key::now(
        Place::Workflow,
        "env",
        "mapping of templates",
        "Environment of every step, at most 256 variables of at most 64 KiB each. Values are texts as written (`no` stays `no`, `012` stays `012`) and may hold `${{ }}`.",
    )
    .also(&["environment"])
    .like("env: { TARGET: \"${{ inputs.target }}\" }"),
    Key::now(Place::Workflow, "on", "mapping, list or text", "What starts a run. Only `manual` in this version; a run can always be started by hand.")
        .or("`manual`")
        .like("on: { manual: {} }"),
    Key::now(Place::Workflow, "steps", "list of steps", "What a run does, at least one entry, at most 5,000 steps. An entry is a step or a `parallel` group.")
        .like("steps: [{ run: make }, { run: make test }]"),
    Key::now(Place::Workflow, "timeout", "duration", "The longest a run may take, from the start of its first step.").like("timeout: 1h30m"),
    Key::now(Place::Workflow, "timeout-minutes", "number", "As `timeout`, in minutes."),
    Key::now(Place::Workflow, "timeout-sec", "number", "As `timeout`, in seconds."),
    Key::now(Place::Workflow, "max-parallel", "whole number", "How many steps of one run may be in flight at once, 1 to 10,000.")
        .or("the server's limit")
        .also(&["max-active-steps"])
        .like("max-parallel: 4"),
    Key::now(Place::Workflow, "on-lost", "`retry` or `fail`", "What happens to a step whose worker was lost while it ran: it is run again (at most 3 losses), or it ends as `interrupted`.")
        .or("`retry`")
        .like("on-lost: fail"),
    Key::now(Place::Workflow, "left-behind", "`warn` or `fail`", "What happens if a step leaves processes behind. They are killed and named in its result; with `fail` its outcome is `leaked`.")
        .or("`warn`")
        .like("left-behind: fail"),
    Key::later(Place::Workflow, "version", "The version of the language."),
    Key::later(Place::Workflow, "schedule", "Cron triggers."),
    Key::later(Place::Workflow, "webhook", "A trigger by HTTP."),
    Key::later(Place::Workflow, "secrets", "Secrets the steps can read."),
    Key::later(Place::Workflow, "concurrency", "How many runs may be in flight at once."),
    Key::later(Place::Workflow, "queue", "The queue runs wait in."),
    Key::later(Place::Workflow, "retention", "How long runs are kept."),
    Key::later(Place::Workflow, "limits", "Memory, CPU and processes of a step."),
    Key::later(Place::Workflow, "logs", "How much of a log is kept."),
    Key::later(Place::Workflow, "outputs", "Outputs of the workflow."),
    Key::later(Place::Workflow, "hooks", "Steps at the run's start and end.").also(&["handler-on"]),
    Key::later(Place::Workflow, "defaults", "Defaults of all steps."),
    Key::later(Place::Workflow, "strategy", "A matrix of runs.").also(&["matrix"]),
    // Triggers.
    Key::now(Place::On, "manual", "empty mapping", "Somebody starts the run, by API, CLI or UI.").like("on: { manual: {} }"),
    Key::later(Place::On, "schedule", "Cron, with time zone, catch-up and overlap."),
    Key::later(Place::On, "webhook", "An HTTP request, signed."),
    Key::later(Place::On, "watch", "A file appears or changes."),
    Key::later(Place::On, "workflow-call", "Another workflow calls this one."),
    // Inputs.
    Key::now(Place::Input, "type", "`string`, `number`, `boolean` or `choice`", "What it may hold.")
        .or("`choice` if there are `options`, else `string`"),
    Key::now(Place::Input, "description", "text", "What people read in the form.").also(&["desc"]),
    Key::now(Place::Input, "default", "value of the type", "What it is if nobody says.").like("default: disk"),
    Key::now(Place::Input, "required", "boolean", "Whether somebody must say.").or("`false`"),
    Key::now(Place::Input, "options", "list of texts", "What a `choice` may be, 1 to 1,000 texts.").like("options: [s3, disk]"),
    // Steps.
    Key::now(Place::Step, "id", "id", "Its id, unique in the workflow: letters, digits, `-`, `_`, at most 100 bytes, starting with a letter or `_`.")
        .or("`step-N`, N its place in the file from 1")
        .like("id: dump"),
    Key::now(Place::Step, "name", "text", "What people read instead of the id."),
    Key::now(Place::Step, "run", "text", "The script, under 128 KiB. Taken literally: `${{ }}` is refused, values come by `env`.")
        .also(&["command"])
        .like("run: pg_dump \"$DATABASE\" > dump.sql"),
    Key::now(Place::Step, "commands", "list of texts", "As `run`, a line each.").like("commands: [make, make test]"),
    Key::now(
        Place::Step,
        "shell",
        "`sh`, `bash`, `python3`, or a list",
        "What runs the script: `sh` is `[sh, -e, -c]`, `bash` is `[bash, --noprofile, --norc, -eo, pipefail, -c]`, `python3` (or `python`) is `[python3, -c]`. A list is taken as given. The script follows as the last argument.",
    )
    .or("`sh`")
    .like("shell: [perl, -e]"),
    Key::now(Place::Step, "working-directory", "template", "Where it runs, relative to the workspace.")
        .or("the workspace")
        .also(&["working-dir"])
        .like("working-directory: crates/core"),
    Key::now(Place::Step, "env", "mapping of templates", "Its own environment, over the workflow's.")
        .also(&["environment"])
        .like("env: { PART: \"${{ steps.split.outputs.part }}\" }"),
    Key::now(Place::Step, "needs", "id or list of ids", "The steps that must have run and succeeded first. Replaces list order; `[]` starts at once.")
        .or("the list entry before")
        .also(&["depends", "depends-on"])
        .like("needs: [dump, check]"),
    Key::now(Place::Step, "if", "expression", "Whether it runs. `success()` is implied unless it calls `always()`, `failure()` or `cancelled()`.")
        .or("`success()`")
        .like("if: ${{ failure() && inputs.target == 's3' }}"),
    Key::now(Place::Step, "timeout", "duration", "The longest one attempt may take. Then its processes are killed and its outcome is `timed_out`.").like("timeout: 10m"),
    Key::now(Place::Step, "timeout-minutes", "number", "As `timeout`, in minutes."),
    Key::now(Place::Step, "timeout-sec", "number", "As `timeout`, in seconds."),
    Key::now(Place::Step, "retry", "mapping or whole number", "When to try again after a failure. A number is `attempts`.")
        .or("one attempt")
        .like("retry: { attempts: 3, delay: 5s, backoff: 2, max-delay: 1m, jitter: true }"),
    Key::now(Place::Step, "continue-on-error", "boolean or list of exit codes", "Which failures do not count: all, or those with these exit codes.")
        .or("`false`")
        .like("continue-on-error: [3, 4]"),
    Key::later(Place::Step, "uses", "A typed step.").also(&["action"]),
    Key::later(Place::Step, "with", "What a typed step is given."),
    Key::later(Place::Step, "strategy", "A matrix of steps.").also(&["matrix"]),
    Key::later(Place::Step, "foreach", "A step for each of a list."),
    Key::later(Place::Step, "background", "The list goes on while it runs."),
    Key::later(Place::Step, "wait", "Waits for a background step."),
    Key::later(Place::Step, "wait-all", "Waits for all background steps."),
    Key::later(Place::Step, "cancel", "Cancels a background step."),
    Key::later(Place::Step, "approval", "Waits for a person."),
    Key::later(Place::Step, "secrets", "Secrets it can read."),
    Key::later(Place::Step, "limits", "Its memory, CPU and processes."),
    Key::later(Place::Step, "logs", "How much of its log is kept."),
    Key::later(Place::Step, "outputs", "Outputs by name; for now write `key=value` to `$STAUNCH_OUTPUT`.").also(&["output"]),
    Key::later(Place::Step, "concurrency", "Keeps it from running beside another."),
    Key::later(Place::Step, "fail-fast", "Belongs to a matrix."),
    Key::later(Place::Step, "args", "A program without a shell."),
    Key::later(Place::Step, "hooks", "Steps at its start and end.").also(&["handler-on"]),
    // Groups.
    Key::now(Place::Group, "parallel", "list of steps", "Steps beside each other: each needs the entry before the group, and the entry after it needs them all.")
        .like("- parallel: [{ run: make lint }, { run: make test }]"),
    // Retry.
    Key::now(Place::Retry, "attempts", "whole number", "Attempts in all, the first one included, 1 to 100.").or("3").like("retry: 3"),
    Key::now(Place::Retry, "delay", "duration", "The wait before the second attempt.").or("`1s`"),
    Key::now(Place::Retry, "backoff", "number", "What the wait is multiplied by after each attempt, 1 to 100.").or("2"),
    Key::now(Place::Retry, "max-delay", "duration", "The longest wait.").or("`5m`, or `delay` if that is longer"),
    Key::now(Place::Retry, "jitter", "boolean", "Whether each wait is drawn between half of itself and itself, so that runs that failed together part.").or("`false`"),
    Key::now(Place::Retry, "on-exit-codes", "list of exit codes", "Only these are tried again. A timeout has no exit code.").or("any failure"),
];

/// Keys of other tools, and what to write instead: better than a did-you-mean.
const FOREIGN: &[(Place, &str, &str)] = &[
    (Place::Workflow, "jobs", "a workflow is one flat list: put the steps under `steps:` and order them by `needs:`"),
    (Place::Workflow, "runs-on", "steps run on the machine of the server: remove it"),
    (Place::Workflow, "permissions", "steps hold no token: remove it"),
    (Place::Workflow, "stages", "put the steps under `steps:`, those of one stage into `- parallel: [...]`"),
    (Place::Workflow, "when", "triggers stand under `on:`"),
    (Place::Workflow, "working-directory", "set it on each step"),
    (Place::Workflow, "shell", "set it on each step"),
    (Place::On, "workflow-dispatch", "write `manual: {}`, and the inputs under `inputs:` of the workflow"),
    (Place::On, "push", "start runs by hand or over the API; webhooks come with a later version"),
    (Place::On, "pull-request", "start runs by hand or over the API; webhooks come with a later version"),
    (Place::On, "cron", "schedules come with a later version"),
    (Place::Step, "script", "the script stands under `run:`"),
    (Place::Step, "preconditions", "write `if: ${{ ... }}`"),
    (Place::Step, "when", "write `if: ${{ ... }}`"),
    (Place::Step, "retry-policy", "write `retry: { attempts: 3, delay: 5s }`"),
    (Place::Step, "retries", "write `retry: 3`"),
    (Place::Step, "continue-on", "write `continue-on-error: true` or a list of exit codes"),
    (Place::Step, "failure", "write `continue-on-error: true`"),
    (Place::Step, "image", "steps run on the machine of the server: call `docker run` or `podman run` in `run:`"),
    (Place::Step, "container", "steps run on the machine of the server: call `docker run` or `podman run` in `run:`"),
    (Place::Step, "steps", "a group is written `- parallel: [...]`"),
    (Place::Input, "enum", "write `options: [...]`"),
    (Place::Input, "values", "write `options: [...]`"),
    (Place::Input, "choices", "write `options: [...]`"),
    (Place::Retry, "limit", "write `attempts:`, which counts the first attempt too"),
    (Place::Retry, "max", "write `attempts:`, which counts the first attempt too"),
    (Place::Retry, "interval", "write `delay:`, such as `delay: 5s`"),
    (Place::Retry, "interval-sec", "write `delay:`, such as `delay: 5s`"),
];

/// The key that stands for `word` in a place: by its name or an alias, in kebab or snake case.
pub(crate) fn find(place: Place, word: &str) -> Option<&'static Key> {
    let kebab = word.replace('_', "-");
    KEYS.iter().find(|key| key.place == place && (key.name == kebab || key.aliases.contains(&kebab.as_str())))
}

/// What to write instead of a key of another tool.
pub(crate) fn foreign(place: Place, word: &str) -> Option<&'static str> {
    let kebab = word.replace('_', "-");
    FOREIGN.iter().find(|(at, name, _)| *at == place && *name == kebab).map(|(_, _, help)| *help)
}

/// The names that may be suggested in a place.
pub(crate) fn names(place: Place) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |key| key.place == place && key.support == Support::Now).map(|key| key.name)
}

/// The reference of all keys, as Markdown: a table a place, then what is not supported yet.
pub fn manual() -> String {
    let mut page = String::new();
    for place in Place::ALL {
        let rows: Vec<&Key> = KEYS.iter().filter(|key| key.place == place && key.support == Support::Now).collect();
        let _ = writeln!(page, "### Keys of {}\n", place.noun());
        let _ = writeln!(page, "| Key | Holds | Default | Meaning |\n|---|---|---|---|");
        for key in rows {
            let _ = writeln!(page, "| `{}` | {} | {} | {} |", key.path(), key.kind, key.default, meaning(key));
        }
        page.push('\n');
    }
    let _ = writeln!(page, "### Not supported yet\n");
    let _ = writeln!(page, "Part of the language, refused with `not_supported_yet` in this version:\n");
    for key in KEYS.iter().filter(|key| key.support == Support::Later) {
        let _ = writeln!(page, "- `{}`: {}", key.path(), meaning(key));
    }
    page
}

fn meaning(key: &Key) -> String {
    let mut meaning = key.doc.to_owned();
    if !key.aliases.is_empty() {
        let aliases: Vec<String> = key.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let _ = write!(meaning, " Also accepted: {}.", aliases.join(", "));
    }
    if !key.example.is_empty() {
        let _ = write!(meaning, " Example: `{}`", key.example);
    }
    // A bar would end the table's cell.
    meaning.replace('|', "\\|")
}

#[cfg(test)]
mod tests;
