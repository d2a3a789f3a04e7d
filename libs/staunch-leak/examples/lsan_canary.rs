//! A leak that LeakSanitizer must find, and the same without a leak, so that the gate is known to see: `lsan_canary leak` must
//! end by the sanitizer's exit code, `lsan_canary clean` by 0. Run by `cargo xtask lsan` before any test.

use std::hint::black_box;
use std::process::ExitCode;

/// Many, as a pointer that happens to stay in a register or on the stack makes one of them reachable.
const BLOCKS: usize = 100;

#[inline(never)]
fn lose_blocks() {
    for n in 0..BLOCKS {
        // Nobody has the address any more, and so nobody can free it.
        black_box(Box::into_raw(Box::new([n; 8])));
    }
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("leak") => lose_blocks(),
        Some("clean") => drop(black_box(vec![0u8; BLOCKS])),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}
