//! What the guards of the server are told: its public face, its proxies, how long a session lasts, and the rates.

use std::time::Duration;

use staunch_guard::{Cidr, Quota};
use staunch_server::{Rates, ServerConfig};
use ureq::http::{HeaderName, Uri};

use super::layer::Layers;
use super::origin::{Origin, Setting};
use super::resolved::{Shown, typed};
use super::span;
use crate::failure::Failure;

/// What is more than this for the length of a session is a slip of the unit.
const SESSION_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The settings of the guards, each with where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Guards {
    /// Where browsers reach the server: an origin.
    pub(crate) public_url: Setting<Option<String>>,
    /// More names of this host.
    pub(crate) hosts: Setting<Vec<String>>,
    /// Proxies that are believed: addresses or blocks.
    pub(crate) trusted_proxies: Setting<Vec<String>>,
    /// Where they say for whom they ask.
    pub(crate) client_header: Setting<Option<String>>,
    /// A session ends after this long without a request.
    pub(crate) session_idle: Setting<Duration>,
    /// A session ends after this long in any case.
    pub(crate) session_absolute: Setting<Duration>,
    /// Logins from one address.
    login: Setting<Quota>,
    /// Logins of one account.
    account: Setting<Quota>,
    /// New users, by address.
    register: Setting<Quota>,
    /// Passwords that are given again.
    password: Setting<Quota>,
    /// E-mails.
    email: Setting<Quota>,
    /// Requests of callers that nobody knows.
    api: Setting<Quota>,
    /// Requests of one user.
    api_token: Setting<Quota>,
}

impl Guards {
    /// Checks every value, and those that depend on another.
    pub(super) fn load(layers: &mut Layers) -> Result<Self, Failure> {
        let ServerConfig { session_idle, session_absolute, rates, .. } = ServerConfig::default();
        let guards = Self {
            public_url: typed(layers, "public_url", |text| origin(text).map(Some), || None)?,
            hosts: typed(layers, "hosts", |text| words(text, host), Vec::new)?,
            trusted_proxies: typed(layers, "trusted_proxies", |text| words(text, block), Vec::new)?,
            client_header: typed(layers, "client_header", header, || None)?,
            session_idle: typed(layers, "session_idle", session, || session_idle)?,
            session_absolute: typed(layers, "session_absolute", session, || session_absolute)?,
            login: rate(layers, "rate.login", rates.login)?,
            account: rate(layers, "rate.account", rates.account)?,
            register: rate(layers, "rate.register", rates.register)?,
            password: rate(layers, "rate.password", rates.password)?,
            email: rate(layers, "rate.email", rates.email)?,
            api: rate(layers, "rate.api", rates.api)?,
            api_token: rate(layers, "rate.api_token", rates.api_token)?,
        };
        guards.agree().map(|()| guards)
    }

    /// What is right alone can be wrong together.
    fn agree(&self) -> Result<(), Failure> {
        let (proxies, header) = (&self.trusted_proxies, &self.client_header);
        if !proxies.value.is_empty() && header.value.is_none() {
            let message =
                format!("{}: trusted_proxies: nothing says where these proxies name the client", proxies.origin);
            let hint = "set client_header to x-forwarded-for, or to the header that they set";
            return Err(Failure::usage(message).hint(hint));
        }
        if proxies.value.is_empty() && header.value.is_some() {
            let message = format!(
                "{}: client_header: there are no trusted_proxies, and anybody may write this header",
                header.origin
            );
            return Err(Failure::usage(message)
                .hint("set trusted_proxies to the addresses of your proxies, or leave both away"));
        }
        let (idle, absolute) = (&self.session_idle, &self.session_absolute);
        if idle.value > absolute.value {
            let (key, origin) = match idle.origin {
                Origin::Default => ("session_absolute", &absolute.origin),
                _ => ("session_idle", &idle.origin),
            };
            let (idle, absolute) = (span::written(idle.value), span::written(absolute.value));
            let message = format!("{origin}: {key}: session_idle ({idle}) is more than session_absolute ({absolute})");
            return Err(Failure::usage(message).hint("a session cannot idle longer than it may last"));
        }
        Ok(())
    }

    /// The rates, as the server takes them.
    pub(crate) fn rates(&self) -> Rates {
        Rates {
            login: self.login.value,
            account: self.account.value,
            register: self.register.value,
            password: self.password.value,
            email: self.email.value,
            api: self.api.value,
            api_token: self.api_token.value,
        }
    }

    /// Every key of it, in the manual's order.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let text = |text: &Option<String>| text.clone().into();
        let list = |list: &Vec<String>| list.clone().into();
        let length = |length: &Duration| span::written(*length).into();
        let mut shown = vec![
            Shown::line("public_url", &self.public_url, text),
            Shown::line("hosts", &self.hosts, list),
            Shown::line("trusted_proxies", &self.trusted_proxies, list),
            Shown::line("client_header", &self.client_header, text),
            Shown::line("session_idle", &self.session_idle, length),
            Shown::line("session_absolute", &self.session_absolute, length),
        ];
        let rates = [
            ("rate.login", &self.login),
            ("rate.account", &self.account),
            ("rate.register", &self.register),
            ("rate.password", &self.password),
            ("rate.email", &self.email),
            ("rate.api", &self.api),
            ("rate.api_token", &self.api_token),
        ];
        shown.extend(rates.map(|(key, setting)| {
            let line = Shown::line(key, setting, |quota| quota.to_string().into());
            Shown { worst_case: Some(setting.value.worst_case_in_window()), ..line }
        }));
        shown
    }
}

fn rate(layers: &mut Layers, key: &str, default: Quota) -> Result<Setting<Quota>, Failure> {
    typed(layers, key, |text| text.parse::<Quota>().map_err(|error| error.to_string()), || default)
}

/// The scheme, the host and the port that a browser shows; a path is none of it.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not an address such as https://staunch.example.org");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(wrong());
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(format!(
            "`{text}` has a path: the server is reached at the root of a host, such as {scheme}://{authority}"
        ));
    }
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = authority.port_u16().filter(|port| *port != usual).map_or_else(String::new, |port| format!(":{port}"));
    Ok(format!("{scheme}://{}{port}", authority.host().to_ascii_lowercase()))
}

fn words(text: &str, check: fn(&str) -> Result<String, String>) -> Result<Vec<String>, String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(check).collect()
}

fn host(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if text.chars().all(good) && !text.starts_with('.') {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("`{text}` is not the name of a host, such as staunch.example.org, without scheme and port"))
    }
}

fn block(text: &str) -> Result<String, String> {
    let block: Cidr = text.parse().map_err(|error| format!("{error}"))?;
    // As it was understood: a block of mapped addresses is the IPv4 block.
    let block = block.to_string();
    if block.ends_with("/0") {
        return Err(format!("`{text}` trusts everybody, and then anybody may claim any address: name your proxies"));
    }
    Ok(block)
}

fn header(text: &str) -> Result<Option<String>, String> {
    if text == "none" {
        return Ok(None);
    }
    let name: HeaderName = text.parse().map_err(|_| {
        format!(
            "`{text}` is not the name of a header: use x-forwarded-for, forwarded, none, or one that holds one address"
        )
    })?;
    Ok(Some(name.as_str().to_owned()))
}

fn session(text: &str) -> Result<Duration, String> {
    let length = crate::render::parse_duration(text)?;
    if length < Duration::from_secs(60) {
        return Err(format!("`{text}` is too short: a session lasts at least 1m"));
    }
    if length > SESSION_MAX {
        return Err(format!("`{text}` is too long: a session lasts at most 366d"));
    }
    Ok(length)
}
