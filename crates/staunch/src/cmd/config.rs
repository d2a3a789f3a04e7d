//! `staunch config show`.

use serde_json::{Map, Value, json};

use crate::cli::{AllFlags, ConfigShow};
use crate::config::{Config, Shown, Sources};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Ink, Table, Terminal};

/// Prints every key, its value and, if asked, where that comes from.
pub(super) fn show(arguments: &ConfigShow, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let shown = Config::load(&Sources::of_process(all.config.clone()))?.shown();
    if arguments.json.json {
        let keys: Map<String, Value> = shown
            .into_iter()
            .map(|line| match arguments.origin {
                true => (line.key.clone(), with_origin(&line)),
                false => (line.key, line.value),
            })
            .collect();
        terminal.json(&keys)?;
        return Ok(Exit::Ok);
    }
    let head: &[&str] = if arguments.origin { &["key", "value", "origin"] } else { &["key", "value"] };
    let mut table = Table::new(head);
    for line in shown {
        let value = match &line.value {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            Value::Array(words) if words.is_empty() => "-".to_owned(),
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        };
        let value = match line.worst_case {
            Some(most) => format!("{value} (at most {most} in one window)"),
            None => value,
        };
        let mut cells = vec![(line.key, None), (value, Some(Ink::Strong))];
        if arguments.origin {
            cells.push((line.origin.to_string(), Some(Ink::Faint)));
        }
        table.row(cells);
    }
    let table = table.show(terminal.out_paint()).to_string();
    terminal.line(table);
    Ok(Exit::Ok)
}

fn with_origin(line: &Shown) -> Value {
    let mut object = json!({ "value": line.value, "origin": line.origin.to_string() });
    if let Some(most) = line.worst_case {
        object["worst_case"] = most.into();
    }
    object
}
