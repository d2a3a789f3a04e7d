//! A block of addresses, as in `10.0.0.0/8`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses in CIDR notation (RFC 4632, RFC 4291). A plain address is a block of one.
///
/// ```
/// use staunch_guard::Cidr;
/// let office: Cidr = "10.1.0.0/16".parse().unwrap();
/// assert!(office.contains("10.1.2.3".parse().unwrap()));
/// assert!(office.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert_eq!("10.1.2.3/16".parse::<Cidr>().unwrap_err().to_string(), "\"10.1.2.3/16\" has bits below its prefix: 10.1.0.0/16 is meant?");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// What is no block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// No address before the slash.
    #[error("{0:?} is not an IP address, nor one with a prefix, like 10.0.0.0/8")]
    NoAddress(String),
    /// No number behind the slash.
    #[error("{text:?} has no prefix length from 0 to {most} behind its slash")]
    Prefix {
        /// What was written.
        text: String,
        /// 32 or 128.
        most: u8,
    },
    /// The address is inside the block, not its first.
    #[error("{text:?} has bits below its prefix: {meant} is meant?")]
    Bits {
        /// What was written.
        text: String,
        /// The block that it lies in.
        meant: Cidr,
    },
}

impl Cidr {
    /// Whether an address lies in it. IPv4 in IPv6 clothes counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                first.to_bits() == masked(u128::from(address.to_bits()), 32, self.prefix) as u32
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => first.to_bits() == masked(address.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

/// The bits of an address of `width` bits with those below `prefix` zero.
fn masked(bits: u128, width: u8, prefix: u8) -> u128 {
    let below = u32::from(width - prefix);
    bits.checked_shr(below).map_or(0, |upper| upper << below)
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| CidrError::NoAddress(text.to_owned()))?;
        let most = if written.is_ipv4() { 32 } else { 128 };
        let no_prefix = || CidrError::Prefix { text: text.to_owned(), most };
        let prefix = match prefix {
            None => most,
            // `u8` would read `+8` and `08` too.
            Some(digits) if digits.starts_with('+') || digits.len() > 1 && digits.starts_with('0') => {
                return Err(no_prefix());
            }
            Some(digits) => digits.parse().ok().filter(|prefix| *prefix <= most).ok_or_else(no_prefix)?,
        };
        // A block of mapped addresses is the IPv4 block, since the addresses it is compared with are canonical.
        let (address, most, prefix) = match written.to_canonical() {
            IpAddr::V4(address) if most == 128 && prefix >= 96 => (IpAddr::V4(address), 32, prefix - 96),
            _ => (written, most, prefix),
        };
        let first = match address {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(masked(u128::from(v4.to_bits()), most, prefix) as u32)),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(masked(v6.to_bits(), most, prefix))),
        };
        let block = Self { first, prefix };
        if first == address { Ok(block) } else { Err(CidrError::Bits { text: text.to_owned(), meant: block }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}
