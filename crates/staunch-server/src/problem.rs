//! A request that is refused or failed, on its way to becoming `application/problem+json` (RFC 9457).

mod code;
mod from;
mod refusal;
#[cfg(test)]
mod tests;

pub(crate) use code::Code;
pub(crate) use from::escape;
pub(crate) use refusal::Refusal;
