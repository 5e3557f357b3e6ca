//! Work done in parts, whose outputs are kept: how the web is made out of core, and goes on where it ended.
//!
//! A step is named, and has parts that do not need each other, only outputs of earlier steps. Outputs are
//! bytes (little-endian, determined by the input), so that a store may keep them in files, skip what is there
//! already, or share parts with other processes. The crate itself keeps them in [`Memory`].

mod bytes;

pub(crate) use bytes::{Bytes, Torn, put};

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

/// Why a step has no output: what went wrong in a part, or in the store.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Makes the output of a part.
pub type Make<'a> = &'a (dyn Fn(usize) -> Result<Vec<u8>, Failure> + Sync);

/// Where the outputs of steps are kept: those of one input and its settings, given back as they were made.
/// An output that is cut short is noticed, one that is another's is not.
pub trait Work: Sync {
    /// Sees to it that there is an output of every part of a step: those that are not there are made, best
    /// one after another, because each uses all threads and as much memory as a part may.
    ///
    /// # Errors
    /// The first that a part or the store has.
    fn each(&self, step: &str, parts: usize, make: Make<'_>) -> Result<(), Failure>;

    /// The output of a part of a step that [`Self::each`] has seen to.
    ///
    /// # Errors
    /// What the store says.
    fn read(&self, step: &str, part: usize) -> Result<Vec<u8>, Failure>;

    /// This run reads a step's outputs no more. A store that another run goes on from keeps them.
    fn forget(&self, step: &str) {
        let _ = step;
    }
}

/// Outputs in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<(String, usize), Vec<u8>>>);

/// There is no output of a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("part {part} of step {step} is not there")]
pub struct Missing {
    /// Name of the step.
    pub step: String,
    /// Number of the part.
    pub part: usize,
}

impl Memory {
    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, usize), Vec<u8>>> {
        // an output is put in as a whole, so that a thread that panicked left none in halves
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for Memory {
    fn each(&self, step: &str, parts: usize, make: Make<'_>) -> Result<(), Failure> {
        for part in 0..parts {
            let key = (step.to_owned(), part);
            let is_there = self.kept().contains_key(&key);
            if !is_there {
                let made = make(part)?;
                self.kept().insert(key, made);
            }
        }
        Ok(())
    }

    fn read(&self, step: &str, part: usize) -> Result<Vec<u8>, Failure> {
        let key = (step.to_owned(), part);
        let found = self.kept().get(&key).cloned();
        found.ok_or_else(|| Missing { step: key.0, part }.into())
    }

    fn forget(&self, step: &str) {
        self.kept().retain(|(name, _), _| name != step);
    }
}
