//! A client: the address that a request really comes from, and the network that stands for it in a limit.

mod cidr;
mod forwarded;
mod proxies;

use std::net::IpAddr;

pub use cidr::{Cidr, CidrError};
pub use proxies::{ForwardedBy, Proxies};

/// Whose request it is, by address. The server puts it into the request's extensions, or lets [`crate::RateLayer`] do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    address: IpAddr,
}

/// A part of the address space that one customer holds, as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// One IPv4 address.
    V4(u32),
    /// An IPv6 network.
    V6 {
        /// The upper half of the address, with the bits below the prefix zero.
        bits: u64,
        /// 64 or 48.
        prefix: u8,
    },
}

impl Client {
    /// A client at this address. An IPv4 address in IPv6 clothes (`::ffff:0:0/96`, RFC 4291 section 2.5.5.2) is that IPv4
    /// address. It is told by its bits; how it was written does not matter.
    #[inline]
    pub fn new(address: IpAddr) -> Self {
        Self { address: address.to_canonical() }
    }

    /// Its address, canonical.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What counts as one client: an IPv4 address, or the /64 that is the least an IPv6 customer holds (RFC 6177).
    #[inline]
    pub fn network(&self) -> Network {
        match self.address {
            IpAddr::V4(address) => Network::V4(address.to_bits()),
            IpAddr::V6(address) => Network::V6 { bits: (address.to_bits() >> 64) as u64, prefix: 64 },
        }
    }

    /// The /48 around it, which is the most a customer is commonly given. `None` for IPv4.
    #[inline]
    pub fn site(&self) -> Option<Network> {
        match self.network() {
            Network::V4(_) => None,
            Network::V6 { bits, .. } => Some(Network::V6 { bits: bits >> 16 << 16, prefix: 48 }),
        }
    }
}

#[cfg(test)]
mod tests;
