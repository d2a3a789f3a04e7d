//! Guards for a server on the internet, as tower layers: rate limits in fixed memory, and defence against cross-site
//! request forgery.
//!
//! A guard decides before the service behind it is polled, allocates nothing on behalf of a client it refuses but the
//! answer, spawns nothing, and keeps no global: whoever builds a guard owns it, and passes it the time.
#![forbid(unsafe_code)]

pub mod csrf;
mod refusal;

pub use csrf::{Csrf, CsrfLayer, CsrfStore};
pub use refusal::Refusal;
