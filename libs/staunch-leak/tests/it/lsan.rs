//! A test that leaks where only LeakSanitizer sees it.

use std::hint::black_box;

#[inline(never)]
fn lose_blocks() {
    // Many, as a pointer that stays in a register makes one of them reachable.
    for n in 0..100 {
        black_box(Box::into_raw(Box::new([n; 8])));
    }
}

#[test]
#[ignore = "leaks on purpose: `cargo xtask lsan` runs it and wants it to fail"]
fn lsan_canary() {
    lose_blocks();
}
