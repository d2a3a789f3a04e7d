//! Who may come in: where the server listens, and whether it is open to whoever uses this machine.

use std::path::Path;

use staunch_server::{Server, ServerConfig, is_loopback};
use staunch_store::Accounts;

use super::setup::SetupLink;
use crate::config::Config;
use crate::failure::Failure;
use crate::local::refused;

/// How a server stands to those who come without credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// There is no admin, and only this machine can ask: it may do everything.
    Open,
    /// There is no admin, and others can ask: nobody may do anything but make one.
    Waiting,
    /// There is an admin: it wants a login.
    Closed,
}

impl Door {
    /// How a server stands that has begun to listen.
    pub(super) fn of(server: &Server, link: Option<&SetupLink>) -> Self {
        match (server.is_open(), link) {
            (true, _) => Self::Open,
            (false, Some(_)) => Self::Waiting,
            (false, None) => Self::Closed,
        }
    }
}

/// Refuses, before anything is made, what cannot be: a data directory that is not there has no admin.
pub(super) fn check(config: &Config, directory: Option<&Path>) -> Result<(), Failure> {
    let known = directory.is_some_and(|directory| directory.join("staunch.db").exists());
    if is_loopback(config.listen.value.ip()) || known { Ok(()) } else { Err(no_admin(config)) }
}

/// Refuses to listen where others reach the server while there is no admin: whoever came first would be it.
pub(super) async fn guard(config: &Config, accounts: &dyn Accounts) -> Result<(), Failure> {
    if is_loopback(config.listen.value.ip()) {
        return Ok(());
    }
    let has_admin = accounts.has_admin().await.map_err(|error| refused(&error))?;
    if has_admin { Ok(()) } else { Err(no_admin(config)) }
}

fn no_admin(config: &Config) -> Failure {
    let listen = &config.listen;
    let message = format!(
        "refusing to listen on {} ({}): it is not a loopback address, and there is no admin yet: whoever reached it could run any \
         command as this user",
        listen.value, listen.origin
    );
    Failure::usage(message).hint(
        "start it with --listen 127.0.0.1:7878 first and make an admin, by the link that it prints or by `staunch user create NAME \
         --role admin`; then start it here",
    )
}

/// Says so if passwords and tokens cross a network unencrypted, as far as can be told from here.
pub(super) fn warn_if_plain(config: &Config) {
    let encrypted = config.guards.public_url.value.as_ref().is_some_and(|url| url.starts_with("https://"));
    if !encrypted && !is_loopback(config.listen.value.ip()) {
        tracing::warn!(
            "listening on {} without encryption: passwords, cookies and tokens can be read on the way; put a proxy with TLS in front \
             and set public_url to its https address",
            config.listen.value
        );
    }
}

/// What the server is told.
pub(super) fn server(config: &Config) -> ServerConfig {
    let guards = &config.guards;
    ServerConfig {
        listen: config.listen.value,
        debug_listen: config.debug_listen.value.clone(),
        hosts: guards.hosts.value.clone(),
        public_url: guards.public_url.value.clone(),
        trusted_proxies: guards.trusted_proxies.value.clone(),
        client_header: guards.client_header.value.clone(),
        session_idle: guards.session_idle.value,
        session_absolute: guards.session_absolute.value,
        rates: guards.rates(),
        ..ServerConfig::default()
    }
}

/// Where browsers find the server that listens on `address`.
pub(super) fn origin(config: &Config, address: std::net::SocketAddr) -> String {
    config.guards.public_url.value.clone().unwrap_or_else(|| format!("http://{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn what_nobody_configures_is_as_the_server_has_it() {
        let config = Config::load(&Sources::default()).expect("loaded");
        assert_eq!(server(&config), ServerConfig::default());
    }
}
