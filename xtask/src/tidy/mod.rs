//! Walls, lengths, words and habits: what no compiler checks.

mod check;
mod exceptions;
mod faults;
mod habits;
mod lengths;
mod links;
mod source;
#[cfg(test)]
mod tests;
mod walls;
mod words;

pub(crate) use check::run;
