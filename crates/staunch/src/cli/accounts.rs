//! `staunch user` and `staunch token`: their arguments and flags.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use staunch_server::wire;

use super::{Json, Server};

/// `staunch user`.
#[derive(Debug, Args)]
pub(crate) struct User {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user
    Create(UserCreate),
    /// List the users
    List(UserList),
    /// Show a user
    Show(UserShow),
    /// Change a user's role or password, or keep them out
    Change(UserChange),
    /// Remove a user with their sessions and tokens
    Delete(UserDelete),
    /// List a user's sessions, or end them
    Sessions(UserSessions),
}

/// What a user may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Look
    Viewer,
    /// Start and stop runs
    Operator,
    /// Everything
    Admin,
}

/// Where a password comes from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Password {
    /// A file whose first line is the password; `-` is standard input. Without it the terminal is asked
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// `staunch user create`.
#[derive(Debug, Args)]
pub(crate) struct UserCreate {
    /// What they log in with: 1 to 64 of A-Z a-z 0-9 . _ @ -
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What they may do
    #[arg(long, value_enum, default_value = "viewer")]
    pub(crate) role: Role,
    #[command(flatten)]
    pub(crate) password: Password,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch user list`.
#[derive(Debug, Args)]
pub(crate) struct UserList {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch user show`.
#[derive(Debug, Args)]
pub(crate) struct UserShow {
    /// Who
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch user change`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["role", "disable", "enable", "password", "password_file"]))]
pub(crate) struct UserChange {
    /// Who
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What they may do from now on
    #[arg(long, value_enum)]
    pub(crate) role: Option<Role>,
    /// Keep them out: their sessions end and their tokens stop working
    #[arg(long, conflicts_with = "enable")]
    pub(crate) disable: bool,
    /// Let them in again
    #[arg(long)]
    pub(crate) enable: bool,
    /// Ask the terminal for a new password
    #[arg(long, conflicts_with = "password_file")]
    pub(crate) password: bool,
    /// A file whose first line is the new password; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch user delete`.
#[derive(Debug, Args)]
pub(crate) struct UserDelete {
    /// Who
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch user sessions`.
#[derive(Debug, Args)]
pub(crate) struct UserSessions {
    /// Who
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// End them all
    #[arg(long)]
    pub(crate) end: bool,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch token`.
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

/// What to do with API tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is shown this once
    Create(TokenCreate),
    /// List one's tokens, or a user's
    List(TokenList),
    /// Make a token worthless, at once
    Revoke(TokenRevoke),
}

/// What a token may be used for; each includes those before it. It never may what its user may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// Look
    Read,
    /// Start and stop runs
    Run,
    /// Everything
    Admin,
}

/// When a token expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// After so many days.
    Days(u32),
    /// Not by itself.
    Never,
}

/// `staunch token create`.
#[derive(Debug, Args)]
pub(crate) struct TokenCreate {
    /// What it is for, such as `ci`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What it may be used for
    #[arg(long, value_enum, default_value = "read")]
    pub(crate) scope: Scope,
    /// When it expires: a number of days such as `90d`, or `never`
    #[arg(long, value_name = "DAYS", default_value = "90d", value_parser = expiry)]
    pub(crate) expires: Expiry,
    /// Whose it is to be; asks for their password. Without it, whose token this command sends
    #[arg(long, value_name = "USER")]
    pub(crate) login: Option<String>,
    /// With --login: a file whose first line is the password; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "login")]
    pub(crate) password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch token list`.
#[derive(Debug, Args)]
pub(crate) struct TokenList {
    /// Whose; only an admin may ask for others'
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch token revoke`.
#[derive(Debug, Args)]
pub(crate) struct TokenRevoke {
    /// Its id, as `staunch token list` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Whose; only an admin may revoke others'
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok()).filter(|days| *days > 0);
    days.map(Expiry::Days).ok_or_else(|| format!("`{text}` is not a number of days such as 90d, nor `never`"))
}

impl From<Role> for wire::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<Scope> for wire::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Run => Self::Run,
            Scope::Admin => Self::Admin,
        }
    }
}

impl Expiry {
    /// In days, for the API; `None`: never.
    pub(crate) fn days(self) -> Option<u32> {
        match self {
            Self::Days(days) => Some(days),
            Self::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_whole_days_or_never() {
        assert_eq!(expiry("90d"), Ok(Expiry::Days(90)));
        assert_eq!(expiry("never"), Ok(Expiry::Never));
        for wrong in ["", "90", "0d", "-1d", "1.5d", "12h", "4294967296d"] {
            assert!(expiry(wrong).expect_err(wrong).contains("such as 90d"), "{wrong}");
        }
    }
}
