//! `staunch user`: makes, shows, changes and removes users.

use std::slice;

use serde_json::json;
use staunch_server::wire::{self, NewUser, User, UserPatch};

use super::invoke::client;
use super::prompt::new_password;
use super::rescue::rescue;
use crate::cli::{
    self, AllFlags, Json, Role, UserChange, UserCommand, UserCreate, UserDelete, UserList, UserSessions, UserShow,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Ink, Table, Terminal, ago, plain};

/// Does what is asked.
pub(super) fn run(arguments: &cli::User, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match &arguments.command {
        UserCommand::Create(arguments) => create(arguments, all, terminal),
        UserCommand::List(arguments) => list(arguments, all, terminal),
        UserCommand::Show(arguments) => show(arguments, all, terminal),
        UserCommand::Change(arguments) => change(arguments, all, terminal),
        UserCommand::Delete(arguments) => delete(arguments, all, terminal),
        UserCommand::Sessions(arguments) => sessions(arguments, all, terminal),
        UserCommand::Rescue(arguments) => rescue(arguments, all, terminal),
    }
}

fn create(arguments: &UserCreate, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    // Before somebody types one that may not be sent.
    client.confide("the password")?;
    let (name, role) = (&arguments.name, wire::Role::from(arguments.role));
    let password = new_password(arguments.password.password_file.as_deref(), name, terminal)?;
    let user = client.create_user(&NewUser { name: name.clone(), role, password, current_password: None })?;
    if arguments.json.json {
        terminal.json(&user)?;
        return Ok(Exit::Ok);
    }
    terminal.say(format_args!("made {name}, {}", role.word()));
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
    say(&user, arguments.json, terminal)
}

fn change(arguments: &UserChange, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let client = client(&arguments.server, all, terminal)?;
    let password = if arguments.password || arguments.password_file.is_some() {
        client.confide("the password")?;
        Some(new_password(arguments.password_file.as_deref(), &arguments.name, terminal)?)
    } else {
        None
    };
    let disabled = (arguments.disable || arguments.enable).then_some(arguments.disable);
    let change = UserPatch { role: arguments.role.map(wire::Role::from), disabled, password, current_password: None };
    let user = client.change_user(&arguments.name, &change)?;
    say(&user, arguments.json, terminal)
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
        let ended = client.end_sessions(name)?;
        if arguments.json.json {
            terminal.json(&json!({ "name": name, "ended": ended }))?;
        } else {
            terminal.say(format_args!("ended {ended} of {name}'s sessions: that is all of them"));
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
            (session.handle.clone(), Some(Ink::Strong)),
            (since(&session.created_at), None),
            (since(&session.seen_at), None),
            (session.expires_at.clone(), None),
            (plain(&session.address), None),
            // What a browser calls itself is anybody's to write.
            (plain(&session.label), Some(Ink::Faint)),
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

fn say(user: &User, json: Json, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if json.json {
        terminal.json(user)?;
    } else {
        print(slice::from_ref(user), terminal);
    }
    Ok(Exit::Ok)
}

fn print(users: &[User], terminal: &mut Terminal) {
    let mut table = Table::new(&["user", "role", "made", ""]);
    for user in users {
        table.row(vec![
            (plain(&user.name), Some(Ink::Strong)),
            (user.role.word().to_owned(), None),
            (since(&user.created_at), None),
            (if user.disabled { "disabled".to_owned() } else { String::new() }, Some(Ink::Warn)),
        ]);
    }
    if table.is_empty() {
        terminal.say("there is no user yet: `staunch user create NAME --role admin` makes the first");
    } else {
        let table = table.show(terminal.out_paint()).to_string();
        terminal.line(table);
    }
}

/// How long ago a time is.
pub(super) fn since(time: &str) -> String {
    ago(time, jiff::Timestamp::now())
}
