//! Random bytes, and what is said when there are none.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use zeroize::Zeroize;

/// Draws a generator makes before it takes a new seed. A stolen generator then tells no secret older than so many draws,
/// and a source that has failed is noticed. At one system call in a thousand draws the seed costs below a nanosecond each.
const DRAWS_A_SEED: u16 = 1024;

/// There were no random bytes. Nothing was issued; a token is never made of anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
pub struct NoRandom;

/// Where secrets and masks come from. Implementations must be fit for secrets.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`NoRandom`]; what `bytes` hold then must not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom>;
}

/// The operating system, asked each time (`getrandom(2)` on Linux).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

/// ChaCha12, seeded by the operating system when it is made and again every 1,024 draws.
///
/// Its lock is its own, so that no lock of a store is held while the operating system is asked. A process that forks
/// without `exec` shares the seed with its child until the next one; a server does not do that.
pub struct SeededRandom {
    generator: Mutex<Generator>,
}

struct Generator {
    stream: ChaCha12Rng,
    draws_left: u16,
}

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        getrandom::fill(bytes).map_err(|_| NoRandom)
    }
}

impl SeededRandom {
    /// A generator with a fresh seed.
    ///
    /// # Errors
    /// [`NoRandom`]: the operating system gave no seed.
    pub fn new() -> Result<Self, NoRandom> {
        Ok(Self { generator: Mutex::new(Generator { stream: seeded()?, draws_left: DRAWS_A_SEED }) })
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        // A poisoned lock is as good as any: the generator is whole after each single step.
        let mut generator = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
        if generator.draws_left == 0 {
            *generator = Generator { stream: seeded()?, draws_left: DRAWS_A_SEED };
        }
        generator.draws_left -= 1;
        generator.stream.fill_bytes(bytes);
        Ok(())
    }
}

impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededRandom(..)")
    }
}

fn seeded() -> Result<ChaCha12Rng, NoRandom> {
    let mut seed = [0; 32];
    SystemRandom.fill(&mut seed)?;
    let stream = ChaCha12Rng::from_seed(seed);
    seed.zeroize();
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_outlives_its_seed_and_never_repeats() {
        let random = SeededRandom::new().unwrap_or_else(|error| panic!("{error}"));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 * u32::from(DRAWS_A_SEED) {
            let mut bytes = [0; 16];
            assert_eq!(random.fill(&mut bytes), Ok(()));
            assert!(seen.insert(bytes));
        }
        assert_eq!(format!("{random:?}"), "SeededRandom(..)");
    }
}
