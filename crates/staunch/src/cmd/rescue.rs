//! `staunch user rescue`: the way back in for whoever owns the data directory.

use std::path::Path;

use staunch_server::hash_password;
use staunch_store::{Accounts, Actor, Durability, PasswordHash, Role, Store, UserChange, UserChanged};

use super::invoke::runtime;
use super::prompt::new_password;
use crate::cli::{AllFlags, UserRescue};
use crate::config::{Config, Sources};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::{absolute, open_store, refused};
use crate::render::Terminal;

/// Gives a user a new password, and makes them an admin who is let in. The server is stopped: its directory is locked while it runs.
pub(super) fn rescue(arguments: &UserRescue, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let data = arguments.data.as_ref().map(|path| path.to_string_lossy().into_owned());
    let config = Config::load(&Sources::of_process(all.config.clone()).flag("data", "--data", data))?;
    let data = absolute(&config.data.value)?;
    // Opening would make one.
    if !data.join("staunch.db").is_file() {
        return Err(Failure::not_found(format!("{} holds no server's data", data.display())));
    }
    let name = &arguments.name;
    let password = new_password(arguments.password.password_file.as_deref(), name, terminal)?;
    let password = hash_password(&password).map_err(|error| Failure::usage(format!("the password: {error}")))?;
    let ended = runtime()?.block_on(change(&config, &data, name, password))?;
    terminal.say(format_args!("{name} is an admin with the new password; {ended} sessions have ended"));
    Ok(Exit::Ok)
}

/// How many sessions ended with it.
async fn change(config: &Config, data: &Path, name: &str, password: PasswordHash) -> Result<u64, Failure> {
    let (store, _) = open_store(data, &config.limits, Durability::Full)?;
    let changed = change_in(store.as_ref(), name, password).await;
    Store::close(store.as_ref()).await;
    changed
}

async fn change_in(accounts: &dyn Accounts, name: &str, password: PasswordHash) -> Result<u64, Failure> {
    let unknown = || Failure::not_found(format!("there is no user {name}"));
    let found = accounts.credentials(name).await.map_err(|error| refused(&error))?.ok_or_else(unknown)?;
    let change = UserChange { role: Some(Role::Admin), disabled: Some(false), password: Some(password), keep: None };
    match accounts.change_user(found.user.id, change, Actor::server()).await.map_err(|error| refused(&error))? {
        UserChanged::Changed { sessions_ended, .. } => Ok(sessions_ended),
        UserChanged::Same(_) => Ok(0),
        UserChanged::Unknown => Err(unknown()),
        UserChanged::LastAdmin => Err(Failure::broken("an admin cannot be made an admin")),
    }
}
