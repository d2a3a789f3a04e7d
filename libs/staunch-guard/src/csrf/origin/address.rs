//! An origin: scheme, host and port, compared as such and never as text.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Characters of a host name ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035), section 2.3.4).
const NAME_CHARS_MAX: usize = 253;

/// Why a configured origin was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no origin: {fault}")]
pub struct OriginError {
    /// What was configured.
    pub text: String,
    /// What is wrong with it.
    pub fault: OriginFault,
}

/// What is wrong with a configured origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginFault {
    /// Not `http` or `https`, or no scheme at all.
    #[error("it begins with neither https:// nor http://")]
    Scheme,
    /// Anything after the host and port, were it only a slash.
    #[error("it ends at the host or the port: no path, no trailing slash, no query, no fragment")]
    Tail,
    /// A user name or password.
    #[error("a user name has no place in it")]
    User,
    /// Letters beyond ASCII.
    #[error("write the host in ASCII, as browsers send it (xn--...)")]
    NotAscii,
    /// A pattern.
    #[error("there are no patterns: write each origin out")]
    Pattern,
    /// A name that ends in a dot is another origin than the one without.
    #[error("the host ends in a dot")]
    TrailingDot,
    /// No host, or none that a browser would send.
    #[error("there is no such host; write names in letters, digits and hyphens, and addresses in full")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port is a number from 1 to 65535")]
    Port,
    /// More of them than there may be.
    #[error("there are more than 64 origins")]
    TooMany,
}

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// A host: a name as it is, or an address as a number, so that no two ways to write one differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Name(&'a str),
    V6(Ipv6Addr),
}

/// An origin as a request shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    pub(super) scheme: Scheme,
    pub(super) host: Host<'a>,
    pub(super) port: u16,
}

/// A configured origin: scheme, lower-case host, and port, the scheme's own where none is written.
///
/// ```
/// use staunch_guard::csrf::Origin;
/// let origin: Origin = "https://App.Example:443".parse()?;
/// assert_eq!(origin.to_string(), "https://app.example");
/// assert!("https://app.example/".parse::<Origin>().is_err());
/// # Ok::<(), staunch_guard::csrf::OriginError>(())
/// ```
///
/// Source: [RFC 6454](https://www.rfc-editor.org/rfc/rfc6454), sections 4 and 6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    name: Name,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Name(Box<str>),
    V6(Ipv6Addr),
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn split(text: &str) -> Option<(Self, &str)> {
        let https = text.strip_prefix("https://").map(|rest| (Self::Https, rest));
        https.or_else(|| text.strip_prefix("http://").map(|rest| (Self::Http, rest)))
    }
}

impl Host<'_> {
    /// Hosts are equal in any case of their letters; what browsers send is lower-case.
    fn same(self, other: Host<'_>) -> bool {
        match (self, other) {
            (Self::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V6(a), Host::V6(b)) => a == b,
            _ => false,
        }
    }
}

impl<'a> Seen<'a> {
    /// Reads the value of an `Origin` header: nothing but an origin.
    pub(super) fn origin(text: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = Scheme::split(std::str::from_utf8(text).ok()?)?;
        let (host, port) = authority(rest).ok()?;
        Some(Self { scheme, host, port: port.unwrap_or(scheme.port()) })
    }

    /// Reads the origin of a `Referer`, an absolute URL.
    pub(super) fn referer(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (_, rest) = Scheme::split(text)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Self::origin(&text.as_bytes()[..text.len() - rest.len() + end])
    }

    /// Whether a `Host` header, or the authority of the request's target, names this host and port.
    pub(super) fn is_at(&self, host: &[u8]) -> bool {
        let Some((host, port)) = std::str::from_utf8(host).ok().and_then(|text| authority(text).ok()) else {
            return false;
        };
        self.host.same(host) && self.port == port.unwrap_or(self.scheme.port())
    }
}

impl Origin {
    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Exact: what a browser sends is in lower case and in one form, and what is in another form is of no browser.
    pub(super) fn is(&self, seen: &Seen<'_>) -> bool {
        let host = match (&self.name, seen.host) {
            (Name::Name(ours), Host::Name(theirs)) => **ours == *theirs,
            (Name::V6(ours), Host::V6(theirs)) => *ours == theirs,
            _ => false,
        };
        host && self.scheme == seen.scheme && self.port == seen.port
    }

    fn configured(text: &str) -> Result<Self, OriginFault> {
        if !text.is_ascii() {
            return Err(OriginFault::NotAscii);
        }
        let lower = text.to_ascii_lowercase();
        let (scheme, rest) = Scheme::split(&lower).ok_or(OriginFault::Scheme)?;
        for (signs, fault) in [
            (['/', '?', '#', '\\'].as_slice(), OriginFault::Tail),
            (['@'].as_slice(), OriginFault::User),
            (['*'].as_slice(), OriginFault::Pattern),
        ] {
            if rest.contains(signs) {
                return Err(fault);
            }
        }
        let (host, port) = authority(rest)?;
        let name = match host {
            Host::Name(name) if name.ends_with('.') => return Err(OriginFault::TrailingDot),
            Host::Name(name) => Name::Name(name.into()),
            Host::V6(address) => Name::V6(address),
        };
        Ok(Self { scheme, name, port: port.unwrap_or(scheme.port()) })
    }
}

impl std::str::FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::configured(text).map_err(|fault| OriginError { text: text.chars().take(200).collect(), fault })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_https() { "https://" } else { "http://" })?;
        match &self.name {
            Name::Name(name) => f.write_str(name)?,
            Name::V6(address) => write!(f, "[{address}]")?,
        }
        if self.port == self.scheme.port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Splits `host[:port]`. Nothing else may be there: no user, no path, no second value folded in by a proxy.
fn authority(text: &str) -> Result<(Host<'_>, Option<u16>), OriginFault> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, tail) = rest.split_once(']').ok_or(OriginFault::Host)?;
            let port = if tail.is_empty() { None } else { Some(tail.strip_prefix(':').ok_or(OriginFault::Host)?) };
            (Host::V6(address.parse().map_err(|_| OriginFault::Host)?), port)
        }
        None => {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            (Host::Name(name_of(name).ok_or(OriginFault::Host)?), port)
        }
    };
    Ok((host, port.map(port_of).transpose()?))
}

/// A number without sign or leading zero, from 1 to 65535.
fn port_of(text: &str) -> Result<u16, OriginFault> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if digits { text.parse().map_err(|_| OriginFault::Port) } else { Err(OriginFault::Port) }
}

/// A name of labels, with or without a dot at its end; or four numbers, written as browsers write them.
fn name_of(text: &str) -> Option<&str> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let is_name = bare.len() <= NAME_CHARS_MAX && bare.split('.').all(label);
    // A host whose last label is a number is an address to a browser, which would rewrite `127.1` or `0x7f.1`.
    let last = bare.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    (is_name && (!is_number || text.parse::<Ipv4Addr>().is_ok())).then_some(text)
}

#[cfg(test)]
mod tests;
