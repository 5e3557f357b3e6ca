//! Work that several processes share, and in which one that was killed goes on.
//!
//! An output is put where it is kept as a whole, and is the same whoever made it. So nothing depends on
//! [`Claims`] but how much is made twice.

mod kept;
#[cfg(test)]
mod tests;

pub use kept::{Error, Kept, Place};

use crate::heap;
use bifrost_science::work::{Failure, Make, Work};
use serde_json::Value;

/// Who works on what.
pub trait Claims: Sync {
    /// Takes a part, unless another process is at work on it.
    ///
    /// # Errors
    /// Where nobody can say, or no more work is to be begun.
    fn claim(&self, step: &str, part: usize) -> Result<bool, Failure>;

    /// Gives a part back.
    ///
    /// # Errors
    /// Where nobody can be told.
    fn release(&self, step: &str, part: usize) -> Result<(), Failure>;

    /// So many parts of a step are there, of so many.
    fn told(&self, step: &str, done: usize, parts: usize);
}

/// BLAKE3 of the document that determines a computation (hex).
#[must_use]
pub fn digest(document: &Value) -> String {
    blake3::hash(document.to_string().as_bytes()).to_hex().to_string()
}

/// The outputs of one computation, and who makes them.
pub struct Shared<'a> {
    kept: Kept,
    claims: &'a dyn Claims,
}

impl<'a> Shared<'a> {
    /// Goes on with the computation of a digest, or begins it. What nobody has worked on for a week is
    /// removed.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Remote`].
    pub fn open(place: Place<'_>, digest: &str, claims: &'a dyn Claims) -> Result<Self, Error> {
        Ok(Self { kept: Kept::open(place, digest)?, claims })
    }

    /// Nothing more is made; what is there stays, until it is finished with.
    #[must_use]
    pub fn kept(self) -> Kept {
        self.kept
    }

    fn first_free(&self, step: &str, missing: &[usize]) -> Result<Option<usize>, Failure> {
        for part in missing {
            if self.claims.claim(step, *part)? {
                return Ok(Some(*part));
            }
        }
        Ok(None)
    }
}

impl Work for Shared<'_> {
    fn each(&self, step: &str, parts: usize, make: Make<'_>) -> Result<(), Failure> {
        let mut missing: Vec<usize> = (0..parts).collect();
        loop {
            let there = self.kept.parts(step)?;
            missing.retain(|part| !there.contains(part));
            self.claims.told(step, parts - missing.len(), parts);
            let Some(part) = self.first_free(step, &missing)? else {
                if missing.is_empty() {
                    return Ok(());
                }
                self.kept.wait();
                continue;
            };
            // another may have ended it between the look and the claim
            let made = match self.kept.has(step, part) {
                Ok(true) => Ok(()),
                Ok(false) => make(part).and_then(|bytes| Ok(self.kept.put(step, part, bytes)?)),
                Err(error) => Err(error.into()),
            };
            heap::give_back();
            self.claims.release(step, part)?;
            made?;
        }
    }

    fn read(&self, step: &str, part: usize) -> Result<Vec<u8>, Failure> {
        Ok(self.kept.read(step, part)?)
    }

    fn forget(&self, step: &str) {
        self.kept.forget(step);
    }
}
