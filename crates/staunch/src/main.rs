//! Face to come.
fn main() {}
