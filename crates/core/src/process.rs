//! What a forked process lacks: threads do not follow a fork, and whoever waits for those of before, or
//! for a lock that one of them held, waits for ever. `multiprocessing` of Python and the DataLoader of
//! torch fork.

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// A process, as the maker of something that has threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// The one that runs.
    #[must_use]
    pub fn this() -> Self {
        Self(std::process::id())
    }

    /// The one that asked for it first: rayon's own threads are there, if anywhere. A library that may be
    /// forked asks when it is loaded.
    #[must_use]
    pub fn first() -> Self {
        static FIRST: OnceLock<Process> = OnceLock::new();
        *FIRST.get_or_init(Self::this)
    }

    /// Whether another one runs: it was forked from this.
    #[must_use]
    pub fn is_left(self) -> bool {
        self != Self::this()
    }
}

/// Keeps for ever what a forked process has of its parent's, and whose end it would wait for.
pub fn keep<T>(of_the_parent: T) {
    Box::leak(Box::new(of_the_parent));
}

/// What each process has one of: a forked one begins with none, and never looks at that of another, which
/// may have been locked, or half changed, when it was forked.
pub(crate) struct Own<T>(OnceLock<Box<OfOne<T>>>);

struct OfOne<T> {
    process: Process,
    value: T,
    /// That of a process forked from this one.
    forked: Own<T>,
}

impl<T: Default> Own<T> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// That of this process.
    pub(crate) fn get(&self) -> &T {
        let begin = |process| OfOne { process, value: T::default(), forked: Self::new() };
        let of = self.0.get_or_init(|| Box::new(begin(Process::this())));
        if of.process.is_left() { of.forked.get() } else { &of.value }
    }
}

/// Does work of which parts may run on all cores, by rayon: in a forked process by threads of its own.
pub fn on_all_cores<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if !Process::first().is_left() {
        return work();
    }
    match own_pool() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// From so many on, things are worth more threads than one.
const MANY: usize = 2048;

/// Maps things in their order, many of them on all cores: what lies all over memory takes the more time
/// for being waited for, and each core waits for its own.
pub(crate) fn map_many<T: Send, R: Send>(
    things: Vec<T>,
    map: impl Fn(T) -> R + Sync + Send,
) -> Vec<R> {
    if things.len() < MANY {
        return things.into_iter().map(map).collect();
    }
    on_all_cores(|| things.into_par_iter().with_min_len(MANY / 8).map(map).collect())
}

/// The threads of this process; none where the system gives it none.
fn own_pool() -> Option<&'static ThreadPool> {
    static POOL: Own<OnceLock<Option<ThreadPool>>> = Own::new();
    POOL.get().get_or_init(|| ThreadPoolBuilder::new().build().ok()).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_keep_their_order() {
        for count in [0, 1, MANY - 1, MANY, 3 * MANY + 1] {
            let doubled = map_many((0..count).collect(), |n| 2 * n);
            assert!(doubled.into_iter().eq((0..count).map(|n| 2 * n)), "{count}");
        }
    }
}
