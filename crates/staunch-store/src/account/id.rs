//! Names of users, sessions and tokens: public, never secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::id::{BadId, read_prefixed, write_prefixed};

/// A UUID version 7 behind a prefix of four characters, written as [`crate::RunId`] is.
macro_rules! prefixed {
    ($($(#[$doc:meta])+ $name:ident, $prefix:literal, $kind:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one. Ids made later sort after ids made earlier, to the millisecond.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_prefixed($prefix, self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                read_prefixed($prefix, $kind, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

prefixed! {
    /// A user: `usr_...`.
    UserId, b"usr_", "user";
    /// An API token: `tok_...`. Not the token itself.
    TokenId, b"tok_", "token";
    /// What lists of sessions name a session by: `ses_...`. Not what is in the cookie, and worth nothing to whoever has it.
    SessionHandle, b"ses_", "session";
}
