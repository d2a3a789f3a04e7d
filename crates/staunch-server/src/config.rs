//! What a server needs to know besides the engine, and what becomes of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::HeaderName;
use http::uri::Authority;
use staunch_guard::csrf::{Origin, OriginError, Origins};
use staunch_guard::{Cidr, CidrError, ForwardedBy, Proxies};
use staunch_store::StoreError;

use crate::allocator::Allocator;
use crate::debug::DebugListen;
use crate::lookout::WatchConfig;
use crate::pressure::Ceiling;
use crate::rate::{Rates, Throttle};
use crate::serve::is_loopback;

/// What a server needs to know besides the engine. The default is a server for this machine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Names of this host that requests may carry, besides loopback names, IP addresses and the name in `public_url`.
    pub hosts: Vec<String>,
    /// The address in browsers, as an origin: `https://flows.example`. To be set behind a proxy, and for https.
    pub public_url: Option<String>,
    /// Addresses or networks of proxies that are believed.
    pub trusted_proxies: Vec<String>,
    /// The one header in which they name the client: `x-forwarded-for`, `forwarded`, or one with a single address.
    pub client_header: Option<String>,
    /// A session ends this long after it was last used.
    pub session_idle: Duration,
    /// A session ends this long after it began.
    pub session_absolute: Duration,
    /// Rate limits.
    pub rates: Rates,
    /// Where whoever looks into the process may ask for heap profiles; `None`: nowhere.
    pub debug_listen: Option<DebugListen>,
    /// What it goes by when memory gets scarce; `None`: nothing.
    pub ceiling: Option<Ceiling>,
    /// The process's allocator, which only the binary knows.
    pub allocator: Allocator,
    /// How the server watches what its process holds.
    pub watch: WatchConfig,
}

/// Why a server cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be had.
    #[error(transparent)]
    Listen(#[from] io::Error),
    /// `public_url` is no origin.
    #[error("public_url: {0}")]
    PublicUrl(#[from] OriginError),
    /// One of `trusted_proxies` is no network.
    #[error("trusted_proxies: {0}")]
    Proxy(#[from] CidrError),
    /// `client_header` and `trusted_proxies` do not fit each other.
    #[error("client_header: {0}")]
    ClientHeader(String),
    /// `session_idle` and `session_absolute` do not fit each other.
    #[error(
        "session_idle ({idle:?}) is at least one second and at most session_absolute ({absolute:?}), which is at most 366 days"
    )]
    Session {
        /// The one.
        idle: Duration,
        /// The other.
        absolute: Duration,
    },
    /// A rate is out of bounds.
    #[error("{0}")]
    Rate(String),
    /// The operating system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The store of accounts failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A configuration that is understood.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Origins,
    /// Whether browsers come by https.
    pub(crate) secure: bool,
    pub(crate) proxies: Proxies,
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    pub(crate) throttle: Throttle,
    /// Whether whoever is on this machine is an admin while there is none.
    pub(crate) local: bool,
}

const IDLE_MIN: Duration = Duration::from_secs(1);
/// A year: whoever wants a session to last longer wants an API token.
const ABSOLUTE_MAX: Duration = Duration::from_secs(366 * 86_400);

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7878)),
            hosts: Vec::new(),
            public_url: None,
            trusted_proxies: Vec::new(),
            client_header: None,
            session_idle: Duration::from_secs(2 * 3_600),
            session_absolute: Duration::from_secs(12 * 3_600),
            rates: Rates::default(),
            debug_listen: None,
            ceiling: None,
            allocator: Allocator::SYSTEM,
            watch: WatchConfig::default(),
        }
    }
}

impl Settings {
    /// Understands a configuration.
    pub(crate) fn of(config: &ServerConfig) -> Result<Self, BindError> {
        let public = config.public_url.as_deref().map(str::parse::<Origin>).transpose()?;
        let mut hosts = config.hosts.clone();
        hosts.extend(public.as_ref().and_then(host_of));
        let (idle, absolute) = (config.session_idle, config.session_absolute);
        if idle < IDLE_MIN || idle > absolute || absolute > ABSOLUTE_MAX {
            return Err(BindError::Session { idle, absolute });
        }
        Ok(Self {
            hosts,
            secure: public.as_ref().is_some_and(Origin::is_https),
            origins: Origins::new(config.public_url.as_deref(), [])?,
            proxies: proxies(&config.trusted_proxies, config.client_header.as_deref())?,
            idle,
            absolute,
            throttle: Throttle::new(&config.rates).map_err(BindError::Rate)?,
            local: is_loopback(config.listen.ip()) && public.is_none() && config.trusted_proxies.is_empty(),
        })
    }
}

fn host_of(origin: &Origin) -> Option<String> {
    let text = origin.to_string();
    let authority: Authority = text.split_once("://")?.1.parse().ok()?;
    Some(authority.host().to_owned())
}

fn proxies(trusted: &[String], header: Option<&str>) -> Result<Proxies, BindError> {
    let header = header.filter(|header| !header.eq_ignore_ascii_case("none"));
    let fault = |text: String| Err(BindError::ClientHeader(text));
    let trusted = trusted.iter().map(|text| text.parse::<Cidr>()).collect::<Result<Vec<_>, _>>()?;
    let header = match (header, trusted.is_empty()) {
        (None, true) => return Ok(Proxies::none()),
        (None, false) => {
            return fault("set it, or all clients behind the trusted proxies count as one (x-forwarded-for, forwarded, or a name)".into());
        }
        (Some(_), true) => return fault("set trusted_proxies too, or anybody could write this header".into()),
        (Some(header), false) => header,
    };
    let by = match header.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => ForwardedBy::XForwardedFor,
        "forwarded" => ForwardedBy::Forwarded,
        name => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => ForwardedBy::Single(name),
            Err(_) => return fault(format!("{header:?} is no name of a header")),
        },
    };
    Ok(Proxies::new(trusted, by))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn fault(change: impl FnOnce(&mut ServerConfig)) -> String {
        let mut config = ServerConfig::default();
        change(&mut config);
        Settings::of(&config).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn the_default_is_for_this_machine() {
        let settings = Settings::of(&ServerConfig::default()).unwrap();
        assert!(settings.local && !settings.secure && settings.hosts.is_empty());
        let public = ServerConfig { public_url: Some("https://flows.example:8443".into()), ..ServerConfig::default() };
        let settings = Settings::of(&public).unwrap();
        assert!(!settings.local && settings.secure);
        assert_eq!(settings.hosts, ["flows.example"]);
        let wide = ServerConfig { listen: "0.0.0.0:1".parse().unwrap(), ..ServerConfig::default() };
        assert!(!Settings::of(&wide).unwrap().local);
    }

    #[test]
    fn what_cannot_be_meant_is_said_in_words() {
        let seconds = Duration::from_secs;
        for (error, says) in [
            (fault(|config| config.public_url = Some("flows.example".into())), "public_url: "),
            (fault(|config| config.public_url = Some("https://flows.example/".into())), "no path, no trailing slash"),
            (fault(|config| config.trusted_proxies = vec!["10.0.0.1/8".into()]), "10.0.0.0/8 is meant?"),
            (fault(|config| config.trusted_proxies = vec!["10.0.0.0/8".into()]), "client_header: set it"),
            (fault(|config| config.client_header = Some("forwarded".into())), "set trusted_proxies too"),
            (fault(|config| config.session_idle = seconds(0)), "session_idle (0ns)"),
            (fault(|config| config.session_absolute = seconds(60)), "session_absolute (60s)"),
        ] {
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
        let both = ServerConfig {
            trusted_proxies: vec!["10.0.0.0/8".into()],
            client_header: Some("X-Real-IP".into()),
            ..ServerConfig::default()
        };
        assert!(Settings::of(&both).is_ok());
    }
}
