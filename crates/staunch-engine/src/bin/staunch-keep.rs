//! A keeper alone, for this crate's tests: in the product, `staunch __keep` is one.

fn main() -> std::process::ExitCode {
    #[cfg(feature = "faults")]
    arm();
    staunch_engine::runner::keep()
}

/// What fails in it, if anything: `POINT NTH error|panic|abort`.
#[cfg(feature = "faults")]
fn arm() {
    use staunch_bounded::faults::{Manner, arm_at};

    let plan = std::env::var("STAUNCH_TEST_KEEPER_FAILS").unwrap_or_default();
    let words: Vec<&str> = plan.split(' ').collect();
    if let [point, nth, manner] = words[..] {
        let manner = match manner {
            "error" => Manner::Error,
            "panic" => Manner::Panic,
            _ => Manner::Call(|| std::process::abort()),
        };
        arm_at(point, nth.parse().unwrap_or(0), false, manner);
    }
}
