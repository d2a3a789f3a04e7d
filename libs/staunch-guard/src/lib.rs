//! Guards for a server on the internet, as tower layers: rate limits in fixed memory, and defence against cross-site
//! request forgery.
//!
//! A guard decides before the service behind it is polled, allocates nothing on behalf of a client it refuses but the
//! answer, spawns nothing, and keeps no global: whoever builds a guard owns it, and passes it the time.
//!
//! # Rate limits
//! A [`Policy`] has a [`Quota`] and says whose requests are counted together. A [`Limiter`] asks several of them, each with a
//! [`Table`] of fixed size, which never admits a key beyond its quota however many other keys there are. [`RateLayer`] puts a
//! limiter in front of a service; [`Proxies`] find the client's address. Refused requests are answered 429 with `Retry-After`,
//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11) and a problem (RFC 9457).
//!
//! ```
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use staunch_guard::{ForwardedBy, Limiter, Policy, PolicySet, Proxies, RateLayer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // 5 attempts a minute to log in for each IPv4 address or IPv6 /64, and 80 for each /48.
//! let policies = PolicySet::new(Policy::login().with_site()?.to_vec())?;
//! for policy in policies.policies() {
//!     println!("{}: at most {} in one unlucky {:?}", policy.name, policy.quota.worst_case_in_window(), policy.quota.window());
//! }
//! let layer = RateLayer::new(Arc::new(Limiter::new(policies)?))
//!     // With axum: `axum::extract::ConnectInfo<SocketAddr>`.
//!     .peer(|extensions| extensions.get::<SocketAddr>().copied())
//!     .proxies(Proxies::new(vec!["10.0.0.0/8".parse()?], ForwardedBy::XForwardedFor));
//! // Each five minutes, from a timer of yours:
//! layer.sweep(usize::MAX);
//! # Ok(())
//! # }
//! ```
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
