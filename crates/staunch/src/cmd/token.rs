//! `staunch token`: makes, lists and revokes API tokens.

use serde_json::json;
use staunch_server::wire::{NewToken, TokenCreated};

use super::invoke::{client, tokenless};
use super::prompt::password;
use super::user::since;
use crate::cli::{AllFlags, Token, TokenCommand, TokenCreate, TokenList, TokenRevoke};
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Ink, Table, Terminal, plain};

/// Does what is asked.
pub(super) fn run(arguments: &Token, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match &arguments.command {
        TokenCommand::Create(arguments) => create(arguments, all, terminal),
        TokenCommand::List(arguments) => list(arguments, all, terminal),
        TokenCommand::Revoke(arguments) => revoke(arguments, all, terminal),
    }
}

fn create(arguments: &TokenCreate, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let new = NewToken {
        name: arguments.name.clone(),
        scope: arguments.scope.into(),
        expires_in_days: arguments.expires.days(),
        current_password: None,
    };
    let made = match &arguments.login {
        Some(user) => by_password(&tokenless(&arguments.server, all)?, user, new, arguments, terminal)?,
        None => client(&arguments.server, all, terminal)?.create_token(&new)?,
    };
    if arguments.json.json {
        terminal.json(&made)?;
        return Ok(Exit::Ok);
    }
    // Alone on standard output, so that it can go straight into a file or a variable.
    terminal.line(made.token.expose());
    let until = made.expires_at.map_or_else(|| "until it is revoked".to_owned(), |time| format!("until {time}"));
    terminal.say(format_args!("token {}, scope {}, good {until}. It is shown this once.", made.id, made.scope.word()));
    Ok(Exit::Ok)
}

/// Logs in, makes the token, logs out, whatever came of it.
fn by_password(
    client: &Client,
    user: &str,
    mut new: NewToken,
    arguments: &TokenCreate,
    terminal: &mut Terminal,
) -> Result<TokenCreated, Failure> {
    client.confide("the password")?;
    let password = password(arguments.password_file.as_deref(), user, terminal)?;
    let session = client.log_in(user, &password)?;
    new.current_password = Some(password);
    let made = session.create_token(&new);
    if let Err(failure) = session.log_out() {
        // The token counts; the session ends by itself.
        terminal.say(format_args!("warning: the session that made the token was not ended: {}", failure.message));
    }
    made
}

fn list(arguments: &TokenList, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let tokens = client(&arguments.server, all, terminal)?.tokens(arguments.user.as_deref())?;
    if arguments.json.json {
        terminal.json(&json!({ "items": tokens }))?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["id", "name", "scope", "begins", "made", "used", "expires"]);
    for token in &tokens {
        table.row(vec![
            (token.id.clone(), Some(Ink::Strong)),
            (plain(&token.name), None),
            (token.scope.word().to_owned(), None),
            (token.prefix.clone(), Some(Ink::Faint)),
            (since(&token.created_at), None),
            (token.last_used_at.as_deref().map_or_else(|| "never".to_owned(), since), None),
            (token.expires_at.clone().unwrap_or_else(|| "never".to_owned()), None),
        ]);
    }
    if table.is_empty() {
        terminal.say("there is no token");
    } else {
        let table = table.show(terminal.out_paint()).to_string();
        terminal.line(table);
    }
    Ok(Exit::Ok)
}

fn revoke(arguments: &TokenRevoke, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let id = &arguments.id;
    client(&arguments.server, all, terminal)?.revoke_token(arguments.user.as_deref(), id)?;
    if arguments.json.json {
        terminal.json(&json!({ "id": id, "revoked": true }))?;
    } else {
        terminal.say(format_args!("revoked {id}"));
    }
    Ok(Exit::Ok)
}
