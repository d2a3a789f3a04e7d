//! Whatever the bytes are, there is an answer, in bounded time, and it is sound.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::answer::answer;
use crate::mutate::{Rng, mutated};

/// The fuzzer's seeds.
fn corpus() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_seed_of_the_corpus_is_answered_and_most_are_right() {
    let corpus = corpus();
    let right = corpus.iter().filter(|seed| answer(seed).workflow.is_some()).count();
    assert!(corpus.len() >= 20 && right >= 12, "{right} of {} seeds are usable", corpus.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..2_000)) {
        answer(&bytes);
    }

    #[test]
    fn arbitrary_text(text in "\\PC{0,400}") {
        answer(text.as_bytes());
    }

    #[test]
    fn arbitrary_yaml(text in "(- |: |\n|  |\\[|\\]|\\{|\\}|,|steps|run|needs|&a|\\*a|<<|\"|'|[a-c]|\\$\\{\\{|\\}\\}){0,80}") {
        answer(text.as_bytes());
    }

    #[test]
    fn mutated_files(seed: u64) {
        let corpus = corpus();
        let mut rng = Rng::new(seed);
        for _ in 0..16 {
            answer(&mutated(&mut rng, &corpus));
        }
    }
}
