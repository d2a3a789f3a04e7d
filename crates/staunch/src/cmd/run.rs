//! `staunch run`: a file in this process, or a workflow of the server by its name.

use std::path::Path;
use std::sync::Arc;

use staunch_engine::{Limits, Submission, SubmitError, Target};
use staunch_server::wire::SubmitRequest;
use staunch_store::RunId;

use super::invoke::{client, runtime};
use super::validate::{Checked, check, render};
use super::watch::{Watching, accepted, watch};
use crate::cli::{AllFlags, Run};
use crate::config::{Config, Sources};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::Followed;
use crate::inputs;
use crate::interrupt::Interrupts;
use crate::local::{Room, absolute, refused};
use crate::render::Terminal;

/// Runs a workflow and waits for it.
pub(super) fn run(arguments: &Run, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if is_file(&arguments.target) { local(arguments, all, terminal) } else { remote(arguments, all, terminal) }
}

/// Whether an argument is a file and not the name of a workflow: it has a `/` or ends as workflow files do.
fn is_file(target: &str) -> bool {
    target.contains('/') || target.ends_with(".yaml") || target.ends_with(".yml")
}

fn remote(arguments: &Run, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let name = &arguments.target;
    let near = Path::new(name).is_file().then(|| format!("`{name}` is also a file here: write ./{name} to run that"));
    if arguments.data.is_some() {
        let failure =
            Failure::usage("--data is only for a workflow file: where a server keeps its runs is its own affair");
        return Err(near.into_iter().fold(failure, Failure::hint));
    }
    let client = client(&arguments.server, all, terminal)?;
    let request = SubmitRequest { inputs: inputs::read(&arguments.input, arguments.input_file.as_deref())? };
    let new = client.submit(name, &request, &RunId::generate().to_string()).map_err(|failure| match near {
        Some(near) if matches!(failure.exit, Exit::NotFound | Exit::Unreachable) => failure.hint(near),
        _ => failure,
    })?;
    if arguments.detach {
        return accepted(&new, arguments.json, terminal);
    }
    let watching = Watching { wait: arguments.wait, json: arguments.json };
    let run = Followed::Remote(client, new.id);
    runtime()?.block_on(async { watch(&run, watching, Interrupts::new()?, terminal).await })
}

fn local(arguments: &Run, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let server = &arguments.server;
    for (given, flag) in [
        (arguments.detach, "--detach"),
        (server.server.is_some(), "--server"),
        (server.token_file.is_some(), "--token-file"),
        (server.insecure_http, "--insecure-http"),
    ] {
        if given {
            return Err(Failure::usage(format!(
                "{flag} is only for a workflow of a server, and `{}` is a file",
                arguments.target
            ))
            .hint("put the file into the server's workflows directory and run it by its name"));
        }
    }
    crate::serve::quiet();
    let data = arguments.data.as_deref().map(absolute).transpose()?;
    let config = Config::load(&Sources::of_process(all.config.clone()))?;
    let path = Path::new(&arguments.target);
    let checked = check(path, &config.limits)?;
    report(path, &checked, arguments.wait.quiet, terminal)?;
    let text =
        String::from_utf8(checked.bytes).map_err(|_| Failure::new(Exit::InvalidWorkflow, "the file is not UTF-8"))?;
    let submission = Submission {
        target: Target::Text { text: Arc::from(text), stem: checked.stem },
        inputs: inputs::read(&arguments.input, arguments.input_file.as_deref())?,
        trigger: "cli".to_owned(),
        key: None,
    };
    let watching = Watching { wait: arguments.wait, json: arguments.json };
    runtime()?.block_on(in_room(config.limits, data.as_deref(), submission, watching, terminal))
}

/// Says what there is to say about the file; an error if it cannot be used.
fn report(path: &Path, checked: &Checked, quiet: bool, terminal: &mut Terminal) -> Result<(), Failure> {
    let valid = checked.parsed.workflow.is_some();
    let warned = !checked.parsed.diagnostics.is_empty() && !quiet;
    if warned || !valid {
        let text = render(path, checked, terminal.talk_paint());
        terminal.say(text);
    }
    // All was said already.
    if valid { Ok(()) } else { Err(Failure::new(Exit::InvalidWorkflow, "")) }
}

/// Runs it in an engine of its own, which is closed whatever happens.
async fn in_room(
    limits: Limits,
    data: Option<&Path>,
    submission: Submission,
    watching: Watching,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    // Heard from before there is anything to leave behind; what comes before the run does is kept for it.
    let signals = Interrupts::new()?;
    let room = Room::open(limits, data).await?;
    let exit = match room.engine().submit(submission).await {
        Ok(new) => watch(&Followed::Local(room.engine().clone(), new.run), watching, signals, terminal).await,
        Err(error) => Err(not_accepted(error)),
    };
    let closed = room.close().await;
    // How the run ended weighs more than a bug of ours in the closing, but that is said too.
    match (exit, closed) {
        (Ok(exit), Err(failure)) => {
            terminal.fail(&failure);
            Ok(if exit == Exit::Ok { failure.exit } else { exit })
        }
        (exit, _) => exit,
    }
}

fn not_accepted(error: SubmitError) -> Failure {
    match error {
        SubmitError::Inputs(errors) => {
            let lines: String = errors.iter().map(|error| format!("\n  {}: {}", error.input, error.message)).collect();
            Failure::usage(format!("the inputs do not fit{lines}")).hint("give them as -i KEY=VALUE")
        }
        SubmitError::Invalid(_) => Failure::new(Exit::InvalidWorkflow, error.to_string()),
        SubmitError::Store(error) => refused(&error),
        error => Failure::broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_file;

    #[test]
    fn a_file_has_a_slash_or_an_ending_and_a_name_has_neither() {
        for file in ["a.yaml", "a.yml", "./a", "dir/a", "/a", "a/"] {
            assert!(is_file(file), "{file}");
        }
        for name in ["a", "nightly-build", "a.yaml.bak", "a.json", "yaml", "A.YAML"] {
            assert!(!is_file(name), "{name}");
        }
    }
}
