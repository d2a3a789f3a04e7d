//! Guards for a server on the internet, as tower layers: rate limits in fixed memory, and defence against cross-site
//! request forgery.
//!
//! A guard decides before the service behind it is polled, allocates nothing on behalf of a client it refuses but the
//! answer, spawns nothing, and keeps no global: whoever builds a guard owns it, and passes it the time.
#![forbid(unsafe_code)]

mod client;
pub mod csrf;
mod rate;
mod refusal;

pub use client::{Cidr, CidrError, Client, ForwardedBy, Network, Proxies};
pub use csrf::{Csrf, CsrfLayer, CsrfStore};
pub use rate::{Allowed, Decision, Denied, Key, NeverFits, Quota, QuotaError, QuotaTextError, Receipt};
pub use rate::{Caller, Callers, KeyKind, Limiter, POLICIES_MAX, Policy, PolicyError, PolicySet, Principal};
pub use rate::{Clock, Coarse, Monotonic, Rate, RateFuture, RateLayer, Ruling, Standing};
pub use rate::{Stats, Table, TableError};
pub use refusal::Refusal;
