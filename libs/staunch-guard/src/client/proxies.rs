//! Proxies in front of the server: which to believe, and where they say whom they speak for.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use super::forwarded::{Hops, bare_node, forwarded_node};
use super::{Cidr, Client};

/// The one header in which the proxies say whom they speak for. Never whichever is there: a client could choose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedBy {
    /// `X-Forwarded-For: client, proxy, proxy`.
    XForwardedFor,
    /// `Forwarded: for=client;proto=https, for=proxy` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)).
    Forwarded,
    /// A header with one address that the proxy overwrites, such as `X-Real-IP`. If it stands there twice, it is not believed.
    Single(HeaderName),
}

/// Which peers are proxies, and how they name the client.
///
/// ```
/// use staunch_guard::{ForwardedBy, Proxies};
/// let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()], ForwardedBy::XForwardedFor);
/// let mut headers = http::HeaderMap::new();
/// headers.append("x-forwarded-for", "6.6.6.6, 192.0.2.7".parse().unwrap());
/// headers.append("x-forwarded-for", "10.0.0.2".parse().unwrap());
/// let client = proxies.client("10.0.0.1".parse().unwrap(), &headers);
/// assert_eq!(client.address().to_string(), "192.0.2.7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    trusted: Vec<Cidr>,
    by: ForwardedBy,
}

/// The longest chain of proxies that is followed. Longer ones are no network but an attempt to make us work.
const HOPS_MAX: usize = 32;

impl Default for Proxies {
    fn default() -> Self {
        Self::none()
    }
}

impl Proxies {
    /// No proxies: the client is the peer of the socket, whatever headers say.
    pub fn none() -> Self {
        Self::new(Vec::new(), ForwardedBy::XForwardedFor)
    }

    /// These peers are proxies, and name the client in this header.
    pub fn new(trusted: Vec<Cidr>, by: ForwardedBy) -> Self {
        Self { trusted, by }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|block| block.contains(address))
    }

    /// The client of a request that came over a socket from `peer`.
    ///
    /// The peer itself, unless it is trusted. Then the header's lines are one list; it is walked from the right, over hops
    /// that are trusted, to the first that is not: that one no proxy of ours vouches against. A hop that is no address (also
    /// `unknown` and `_hidden`) ends the walk at the hop before it. What stands further left anybody may have written.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let mut last = Client::new(peer);
        if !self.trusts(peer) {
            return last;
        }
        let (name, node): (_, fn(&str) -> Option<IpAddr>) = match &self.by {
            ForwardedBy::Single(name) => return single(headers, name).unwrap_or(last),
            ForwardedBy::XForwardedFor => ("x-forwarded-for", bare_node),
            ForwardedBy::Forwarded => ("forwarded", forwarded_node),
        };
        let quoted = self.by == ForwardedBy::Forwarded;
        let lines = headers.get_all(name).iter().rev();
        let hops = lines.flat_map(|line| Hops::new(line.as_bytes(), quoted));
        for hop in hops.take(HOPS_MAX) {
            let Some(address) = str::from_utf8(hop).ok().and_then(node) else { break };
            last = Client::new(address);
            if !self.trusts(address) {
                break;
            }
        }
        last
    }
}

fn single(headers: &HeaderMap, name: &HeaderName) -> Option<Client> {
    let mut lines = headers.get_all(name).iter();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    bare_node(line.to_str().ok()?.trim_matches([' ', '\t'])).map(Client::new)
}
