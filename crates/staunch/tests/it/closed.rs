//! A server that wants a login, and those who have one.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::bed::{Bed, Done, Running, Serving};
use crate::curl::post;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "a long password";

/// Makes the first admin, `ada`, by the set-up link; an admin's token.
pub(crate) fn set_up(bed: &Bed, server: &Serving) -> String {
    let body = json!({ "ticket": ticket(bed), "name": "ada", "password": PASSWORD });
    post(&format!("{}/api/v1/setup", server.url), &body, &[]).is(201);
    token(bed, server, "ada", "admin")
}

/// The ticket in the link's file.
pub(crate) fn ticket(bed: &Bed) -> String {
    let link = std::fs::read_to_string(bed.path("data/setup-link")).unwrap();
    link.trim().split_once('#').unwrap().1.to_owned()
}

/// A token of a user, made with their password.
pub(crate) fn token(bed: &Bed, server: &Serving, user: &str, scope: &str) -> String {
    let file = password_file(bed, PASSWORD);
    let arguments =
        ["token", "create", "test", "--scope", scope, "--login", user, "--password-file", file.to_str().unwrap()];
    let made = server.run(bed, &arguments).exits(0);
    assert!(made.out.starts_with("stn_") && made.out.len() == 41, "one token on one line: {}", made.out);
    made.out.trim().to_owned()
}

/// A file with a password, for its user alone.
pub(crate) fn password_file(bed: &Bed, password: &str) -> PathBuf {
    let path = bed.file("password", &format!("{password}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A user, made by an admin.
pub(crate) fn user(bed: &Bed, server: &Serving, admin: &str, name: &str, role: &str) {
    let file = password_file(bed, PASSWORD);
    with(bed, server, admin, &["user", "create", name, "--role", role, "--password-file", file.to_str().unwrap()])
        .exits(0);
}

/// A command with a token.
pub(crate) fn command(bed: &Bed, server: &Serving, token: &str, arguments: &[&str]) -> Command {
    let mut command = server.command(bed, arguments);
    command.env("STAUNCH_TOKEN", token);
    command
}

/// What came of a command with a token.
pub(crate) fn with(bed: &Bed, server: &Serving, token: &str, arguments: &[&str]) -> Done {
    Running::start(command(bed, server, token, arguments)).end()
}
