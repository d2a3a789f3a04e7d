//! Which names this server answers to.
//!
//! A page of another site can make a browser call a server on loopback: by a plain cross-site request, or by DNS rebinding,
//! where the page's own name comes to mean 127.0.0.1. The first is for the CSRF guard; the second is seen here, by a `Host` that is a
//! name nobody configured. An IP address in `Host` cannot be rebound.

use std::net::{IpAddr, Ipv6Addr};

use http::Request;
use http::header::HOST;
use http::uri::Authority;

use crate::problem::{Code, Refusal};

/// The names this server answers to, besides loopback names and IP addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// These names, without ports.
    pub(crate) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect())
    }

    /// Whether the request means this server.
    pub(crate) fn admit<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let host = authority(request).ok_or_else(|| Refusal::new(Code::MissingHost))?;
        if !self.answers_to(host.host()) {
            return Err(Refusal::new(Code::UnknownHost).detail(format_args!("{:?} is not configured", host.host())));
        }
        Ok(())
    }

    fn answers_to(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .map_or_else(|| host.parse::<IpAddr>().is_ok(), |inner| inner.parse::<Ipv6Addr>().is_ok());
        address || host == "localhost" || host.ends_with(".localhost") || self.0.contains(&host)
    }
}

/// Whom the request is for: the target's authority if it has one (RFC 9112 §3.2.2), else the one Host header.
fn authority<B>(request: &Request<B>) -> Option<Authority> {
    let mut given = request.headers().get_all(HOST).iter();
    let header = given.next();
    if given.next().is_some() {
        return None;
    }
    let authority = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => header?.to_str().ok()?.parse().ok()?,
    };
    let plain = !authority.as_str().contains('@') && !authority.host().is_empty();
    plain.then_some(authority)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn request(method: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    fn code(hosts: &Hosts, request: &Request<()>) -> Option<Code> {
        hosts.admit(request).err().map(|refusal| refusal.code())
    }

    #[test]
    fn loopback_names_and_addresses_are_answered_and_other_names_are_not() {
        let hosts = Hosts::new(&["Staunch.Example".to_owned()]);
        for good in [
            "localhost",
            "LOCALHOST:7878",
            "a.localhost",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]:7878",
            "10.1.2.3",
            "staunch.example",
            "staunch.example.:80",
        ] {
            assert_eq!(code(&hosts, &request("GET", &[("host", good)])), None, "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "0x7f.1", "notlocalhost"] {
            assert_eq!(code(&hosts, &request("GET", &[("host", bad)])), Some(Code::UnknownHost), "{bad}");
        }
        for broken in ["", "a b", "user@localhost", "[::1", "localhost/path"] {
            assert_eq!(code(&hosts, &request("GET", &[("host", broken)])), Some(Code::MissingHost), "{broken:?}");
        }
        assert_eq!(code(&hosts, &request("GET", &[])), Some(Code::MissingHost));
        let two = request("GET", &[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(code(&hosts, &two), Some(Code::MissingHost));
    }

    #[test]
    fn an_absolute_target_counts_before_the_header() {
        let hosts = Hosts::default();
        let request = Request::builder().uri("http://evil.example/").header("host", "localhost").body(()).unwrap();
        assert_eq!(code(&hosts, &request), Some(Code::UnknownHost));
    }
}
