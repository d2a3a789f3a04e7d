//! Hops: the elements of a forwarding header from the right, and the address in each.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV4};

/// The elements of one header line, last first; empty ones are left out (RFC 9110, section 5.6.1.2).
///
/// From the right, because only there do proxies of ours write: an unfinished quotation that a client began on the left must
/// not swallow what they appended. Bytes, because nor must one that is no text.
pub(crate) struct Hops<'a> {
    rest: Option<&'a [u8]>,
    quoted: bool,
}

impl<'a> Hops<'a> {
    /// `quoted`: whether commas may stand in quotation marks.
    pub(crate) fn new(line: &'a [u8], quoted: bool) -> Self {
        Self { rest: Some(line), quoted }
    }
}

impl<'a> Iterator for Hops<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.rest?;
            let comma = if self.quoted { last_comma(rest) } else { rest.iter().rposition(|byte| *byte == b',') };
            let element = match comma {
                Some(at) => {
                    self.rest = Some(&rest[..at]);
                    &rest[at + 1..]
                }
                None => {
                    self.rest = None;
                    rest
                }
            };
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// The last comma outside quotation marks, seen from the right.
fn last_comma(bytes: &[u8]) -> Option<usize> {
    let mut inside = false;
    for at in (0..bytes.len()).rev() {
        match bytes[at] {
            b',' if !inside => return Some(at),
            b'"' => {
                let slashes = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                // An escaped mark is part of the text.
                inside ^= slashes.is_multiple_of(2);
            }
            _ => {}
        }
    }
    None
}

/// An address as `X-Forwarded-For` has it: plain, or IPv4 with a port, or IPv6 in brackets with or without one.
pub(crate) fn bare_node(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| node(text))
}

/// The address in the `for` of an element of `Forwarded`. RFC 7239, section 4: pairs by semicolons, names in any case, each at
/// most once, values tokens or quoted.
pub(crate) fn forwarded_node(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in Pairs(Some(element)) {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    let value = found?;
    match value.strip_prefix('"') {
        // No address needs a backslash.
        Some(rest) => node(rest.strip_suffix('"')?),
        // A colon or a bracket is no token: IPv6 and ports are quoted.
        None => value.parse::<IpAddr>().ok().filter(IpAddr::is_ipv4),
    }
}

/// The pairs of an element: split at semicolons outside quotation marks.
struct Pairs<'a>(Option<&'a str>);

impl<'a> Iterator for Pairs<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let (mut inside, mut escaped) = (false, false);
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = inside,
                b'"' => inside = !inside,
                b';' if !inside => {
                    self.0 = Some(&rest[at + 1..]);
                    return Some(&rest[..at]);
                }
                _ => {}
            }
        }
        self.0 = None;
        Some(rest)
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port_is_fine = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().ok().filter(|_| port_is_fine).map(IpAddr::V6);
    }
    let v4 = text.parse().ok().filter(IpAddr::is_ipv4);
    v4.or_else(|| text.parse::<SocketAddrV4>().ok().map(|socket| IpAddr::V4(*socket.ip())))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}
