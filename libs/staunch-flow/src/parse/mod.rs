//! From text to a checked workflow.

mod draft;
mod fields;
mod file;
mod head;
mod inputs;
mod run;
mod step;
mod syntax;
mod tree;
mod value;

pub(crate) use draft::place_in;
pub use file::{Budgets, Parsed, parse};
pub(crate) use value::json_number;

#[cfg(test)]
mod tests;
