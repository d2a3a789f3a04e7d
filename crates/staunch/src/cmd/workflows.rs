//! `staunch workflows`.

use super::invoke::client;
use crate::cli::{AllFlags, Workflows};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Ink, Table, Terminal};

/// Lists the workflows of the server, and the files that have errors.
pub(super) fn run(arguments: &Workflows, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let list = client(&arguments.server, all, terminal)?.workflows()?;
    if arguments.json.json {
        terminal.json(&list)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["workflow", ">steps", "inputs", "description"]);
    for workflow in &list.items {
        let inputs: Vec<String> = workflow
            .inputs
            .iter()
            .map(|input| format!("{}{}", input.name, if input.required { "*" } else { "" }))
            .collect();
        table.row(vec![
            (workflow.name.clone(), Some(Ink::Strong)),
            (workflow.steps.len().to_string(), None),
            (inputs.join(", "), None),
            (workflow.description.clone().unwrap_or_default(), Some(Ink::Faint)),
        ]);
    }
    if table.is_empty() {
        terminal.say("there is no workflow yet: put a .yaml file into the server's workflows directory");
    } else {
        let table = table.show(terminal.out_paint()).to_string();
        terminal.line(table);
    }
    for broken in &list.broken {
        let first = broken.diagnostics.first();
        let why = first.map_or_else(String::new, |first| format!(" (line {}: {})", first.line, first.message));
        let known = list.items.iter().any(|workflow| workflow.file.as_ref() == Some(&broken.file));
        let so = if known { "; its last good text stays in use" } else { "" };
        let said = format!("{} has errors{why}{so}", broken.file);
        terminal.say(terminal.talk_paint().ink(Ink::Warn, &said).to_string());
    }
    Ok(Exit::Ok)
}
