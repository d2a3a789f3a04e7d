//! A keeper alone, for this crate's tests: in the product, `staunch __keep` is one.

fn main() -> std::process::ExitCode {
    staunch_engine::runner::keep()
}
