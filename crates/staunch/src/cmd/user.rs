//! `staunch user`: makes, shows, changes and removes users.

use serde_json::{Map, Value, json};

use super::invoke::client;
use super::prompt::new_password;
use crate::cli::{
    AllFlags, Json, Role, User, UserChange, UserCommand, UserCreate, UserDelete, UserList, UserSessions, UserShow,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Ink, Table, Terminal, ago, plain};

/// Does what is asked.
pub(super) fn run(arguments: &User, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match &arguments.command {
        UserCommand::Create(arguments) => create(arguments, all, terminal),
        UserCommand::List(arguments) => list(arguments, all, terminal),
        UserCommand::Show(arguments) => show(arguments, all, terminal),
        UserCommand::Change(arguments) => change(arguments, all, terminal),
        UserCommand::Delete(arguments) => delete(arguments, all, terminal),
        UserCommand::Sessions(arguments) => sessions(arguments, all, terminal),
    }
}

fn create(arguments: &UserCreate, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    // Before somebody types one that may not be sent.
    client.confide("the password")?;
    let (name, role) = (&arguments.name, arguments.role.word());
    let password = new_password(arguments.password.password_file.as_deref(), name, terminal)?;
    let user = client.create_user(name, role, &password)?;
    if arguments.json.json {
        terminal.json(&user)?;
        return Ok(Exit::Ok);
    }
    terminal.say(format_args!("made {name}, {role}"));
    if client.is_nobody() && arguments.role == Role::Admin {
        terminal.say("from now on the server wants a login; a token for this command line:");
        terminal.say(format_args!("  staunch token create NAME --scope admin --login {name}"));
    }
    Ok(Exit::Ok)
}

fn list(arguments: &UserList, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let users = client(&arguments.server, all, terminal)?.users()?;
    if arguments.json.json {
        terminal.json(&json!({ "items": users }))?;
        return Ok(Exit::Ok);
    }
    print(&users, terminal);
    Ok(Exit::Ok)
}

fn show(arguments: &UserShow, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let user = client(&arguments.server, all, terminal)?.user(&arguments.name)?;
    say(user, arguments.json, terminal)
}

fn change(arguments: &UserChange, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    let mut change = Map::new();
    change.extend(arguments.role.map(|role| ("role".to_owned(), role.word().into())));
    if arguments.disable || arguments.enable {
        change.insert("disabled".to_owned(), arguments.disable.into());
    }
    if arguments.password || arguments.password_file.is_some() {
        client.confide("the password")?;
        let password = new_password(arguments.password_file.as_deref(), &arguments.name, terminal)?;
        change.insert("password".to_owned(), password.reveal().into());
    }
    let user = client.change_user(&arguments.name, &change)?;
    say(user, arguments.json, terminal)
}

fn delete(arguments: &UserDelete, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let name = &arguments.name;
    client(&arguments.server, all, terminal)?.delete_user(name)?;
    if arguments.json.json {
        terminal.json(&json!({ "name": name, "deleted": true }))?;
    } else {
        terminal.say(format_args!("removed {name} with all sessions and tokens"));
    }
    Ok(Exit::Ok)
}

fn sessions(arguments: &UserSessions, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let client = client(&arguments.server, all, terminal)?;
    if arguments.end {
        client.end_sessions(name)?;
        if arguments.json.json {
            terminal.json(&json!({ "name": name, "ended": true }))?;
        } else {
            terminal.say(format_args!("ended all sessions of {name}"));
        }
        return Ok(Exit::Ok);
    }
    let sessions = client.sessions(name)?;
    if arguments.json.json {
        terminal.json(&json!({ "items": sessions }))?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["session", "begun", "seen", "expires", "from", "browser"]);
    for session in &sessions {
        table.row(vec![
            (text(session, "handle"), Some(Ink::Strong)),
            (since(session, "created_at"), None),
            (since(session, "seen_at"), None),
            (text(session, "expires_at"), None),
            (text(session, "address"), None),
            (text(session, "label"), Some(Ink::Faint)),
        ]);
    }
    if table.is_empty() {
        terminal.say(format_args!("{name} has no session"));
    } else {
        let table = table.show(terminal.out_paint()).to_string();
        terminal.line(table);
    }
    Ok(Exit::Ok)
}

fn say(user: Value, json: Json, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if json.json {
        terminal.json(&user)?;
    } else {
        print(&[user], terminal);
    }
    Ok(Exit::Ok)
}

fn print(users: &[Value], terminal: &mut Terminal) {
    let mut table = Table::new(&["user", "role", "made", ""]);
    for user in users {
        let disabled = user["disabled"] == true;
        table.row(vec![
            (text(user, "name"), Some(Ink::Strong)),
            (text(user, "role"), None),
            (since(user, "created_at"), None),
            (if disabled { "disabled".to_owned() } else { String::new() }, Some(Ink::Warn)),
        ]);
    }
    if table.is_empty() {
        terminal.say("there is no user yet: `staunch user create NAME --role admin` makes the first");
    } else {
        let table = table.show(terminal.out_paint()).to_string();
        terminal.line(table);
    }
}

/// A field of a row as a table shows it.
pub(super) fn text(row: &Value, field: &str) -> String {
    match &row[field] {
        Value::String(text) => plain(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// How long ago the time in a field of a row is.
pub(super) fn since(row: &Value, field: &str) -> String {
    row[field].as_str().map_or_else(|| "-".to_owned(), |time| ago(time, jiff::Timestamp::now()))
}
