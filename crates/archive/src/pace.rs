//! How fast we ask. The archive says what it can bear, and we listen.
//!
//! * [`Pace`]: how many requests may be under way. Each that ends well allows a little more
//!   (additive increase, one more after a full round); an answer that says *slower*, or none in
//!   time, halves it (multiplicative decrease, once a round: the others that were under way saw the
//!   same jam). A `Retry-After` holds all new requests back.
//! * [`Patience`]: how long to wait before one thing is tried again, with full jitter, and when to
//!   give up. Whatever makes progress starts afresh.
//! * [`Valve`]: at most so many bytes a second, over all transfers.

use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

/// No server may hold us back for longer than this at a time.
const HOLD_MAX: Duration = Duration::from_secs(300);

/// How many requests may be under way at once. Turns come in the order in which they were asked for,
/// so that what was begun first is whole first.
#[derive(Debug)]
pub struct Pace {
    state: Mutex<State>,
    turns: Semaphore,
    ceiling: f64,
}

#[derive(Debug)]
struct State {
    limit: f64,
    /// Turns that are taken or free; more than the limit until enough of them have ended.
    turns: usize,
    /// Requests that began before this have been counted in the last decrease.
    cut_at: Instant,
    held_until: Instant,
    cuts: u64,
}

/// How a request ended, as far as the pace is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answered in time.
    Well,
    /// The archive is busy; perhaps it said for how long.
    Slower(Option<Duration>),
    /// It says nothing about the archive's strength.
    Neither,
}

/// The right to one request. Dropped without a verdict, it says nothing.
#[derive(Debug)]
pub struct Turn<'a> {
    pace: &'a Pace,
    began: Instant,
    verdict: Verdict,
}

impl Pace {
    /// Starts with `start` requests at once and never goes beyond `ceiling`.
    #[must_use]
    pub fn new(start: usize, ceiling: usize) -> Self {
        let ceiling = ceiling.max(1) as f64;
        let now = Instant::now();
        let limit = (start.max(1) as f64).min(ceiling);
        let turns = limit as usize;
        let state = State { limit, turns, cut_at: now, held_until: now, cuts: 0 };
        Self { state: Mutex::new(state), turns: Semaphore::new(turns), ceiling }
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Turn<'_> {
        if let Ok(permit) = self.turns.acquire().await {
            // `end` gives it back, or does not
            permit.forget();
        }
        let mut turn = Turn { pace: self, began: Instant::now(), verdict: Verdict::Neither };
        loop {
            let held_until = self.lock().held_until;
            turn.began = Instant::now();
            if turn.began >= held_until {
                return turn;
            }
            sleep_until(held_until).await;
        }
    }

    /// How many may ever be under way.
    #[must_use]
    pub fn ceiling(&self) -> usize {
        self.ceiling as usize
    }

    /// How many may be under way now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.lock().limit as usize
    }

    /// How often it was halved.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.lock().cuts
    }

    fn end(&self, began: Instant, verdict: Verdict) {
        let mut state = self.lock();
        match verdict {
            Verdict::Neither => {}
            Verdict::Well => state.limit = (state.limit + 1.0 / state.limit).min(self.ceiling),
            Verdict::Slower(hold) => {
                let now = Instant::now();
                if began >= state.cut_at {
                    state.limit = (state.limit / 2.0).max(1.0);
                    state.cut_at = now;
                    state.cuts += 1;
                }
                let until = now + hold.unwrap_or_default().min(HOLD_MAX);
                state.held_until = state.held_until.max(until);
            }
        }
        let limit = state.limit as usize;
        let mut free = 1;
        if state.turns > limit {
            (free, state.turns) = (0, state.turns - 1);
            let idle = self.turns.forget_permits(state.turns.saturating_sub(limit));
            state.turns -= idle;
        }
        let more = limit.saturating_sub(state.turns);
        state.turns += more;
        self.turns.add_permits(free + more);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // no code under the lock can panic
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Gives the turn back, with what was learnt.
    pub fn end(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.end(self.began, self.verdict);
    }
}

/// How often and after what waits something is tried again.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Longest first wait; later ones double.
    pub first: Duration,
    /// Longest wait of all.
    pub longest: Duration,
    /// Failures in a row, without any progress between them, that are borne.
    pub retries: u32,
    failures: u32,
}

impl Patience {
    /// Bears `retries` failures in a row.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, retries: u32) -> Self {
        Self { first, longest, retries, failures: 0 }
    }

    /// Something was gained: what failed before no longer counts.
    pub fn restore(&mut self) {
        self.failures = 0;
    }

    /// One more failure: how long to wait before the next try (anything up to a ceiling that
    /// doubles, so that those who failed together do not come back together); none = give up.
    pub fn after_failure(&mut self) -> Option<Duration> {
        if self.failures >= self.retries {
            return None;
        }
        let ceiling = self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures += 1;
        Some(ceiling.mul_f64(rand::random::<f64>()))
    }
}

/// At most so many bytes a second.
#[derive(Debug)]
pub struct Valve {
    bytes_per_s: f64,
    free_at: Mutex<Instant>,
}

impl Valve {
    /// What may pass at once after a pause.
    const BURST: Duration = Duration::from_millis(100);

    /// Lets `bytes_per_s` through, and at least one.
    #[must_use]
    pub fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s: bytes_per_s.max(1) as f64, free_at: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may have passed.
    pub async fn pass(&self, bytes: usize) {
        let time = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s);
        let until = {
            let mut free_at =
                self.free_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let now = Instant::now();
            *free_at = (*free_at).max(now.checked_sub(Self::BURST).unwrap_or(now)) + time;
            *free_at
        };
        if until > Instant::now() {
            sleep_until(until).await;
        }
    }
}

/// Waits; where the wait is nothing, not even for the timer.
pub(crate) async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test(start_paused = true)]
    async fn it_halves_once_a_round_and_grows_by_one_a_round() {
        let pace = Pace::new(8, 8);
        let mut turns = Vec::new();
        for _ in 0..8 {
            turns.push(pace.turn().await);
        }
        assert!(pace.turn().now_or_never().is_none(), "a ninth began");
        tokio::time::advance(Duration::from_millis(5)).await;
        // all eight ran into the same jam
        turns.into_iter().for_each(|turn| turn.end(Verdict::Slower(None)));
        assert_eq!((pace.limit(), pace.cuts()), (4, 1));
        for _ in 0..5 {
            pace.turn().await.end(Verdict::Well);
        }
        assert_eq!(pace.limit(), 5);
        for _ in 0..1000 {
            pace.turn().await.end(Verdict::Well);
        }
        assert_eq!(pace.limit(), 8, "beyond the ceiling");
        for _ in 0..10 {
            tokio::time::advance(Duration::from_millis(1)).await;
            pace.turn().await.end(Verdict::Slower(None));
        }
        assert_eq!(pace.limit(), 1, "nobody could ever ask again");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_everybody_back() {
        let pace = Pace::new(4, 8);
        pace.turn().await.end(Verdict::Slower(Some(Duration::from_secs(7))));
        let asked = Instant::now();
        drop(pace.turn().await);
        assert_eq!(asked.elapsed().as_secs(), 7);
        pace.turn().await.end(Verdict::Slower(Some(Duration::from_secs(86_400))));
        let asked = Instant::now();
        drop(pace.turn().await);
        assert!(asked.elapsed() <= HOLD_MAX + Duration::from_millis(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_turn_is_given_back() {
        let pace = Pace::new(1, 1);
        for _ in 0..3 {
            drop(pace.turn().await);
        }
        assert_eq!((pace.limit(), pace.cuts()), (1, 0));
    }

    #[test]
    fn patience_doubles_with_full_jitter_and_ends() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_millis(350));
        let mut longest_seen = [Duration::ZERO; 4];
        for _ in 0..2_000 {
            let mut patience = Patience::new(first, longest, 4);
            for seen in &mut longest_seen {
                *seen = (*seen).max(patience.after_failure().expect("patient"));
            }
            assert_eq!(patience.after_failure(), None);
            patience.restore();
            assert!(patience.after_failure().expect("patient again") <= first);
        }
        for (seen, ceiling) in longest_seen.into_iter().zip([100, 200, 350, 350]) {
            let ceiling = Duration::from_millis(ceiling);
            assert!(seen <= ceiling && seen > ceiling.mul_f64(0.9), "{seen:?} of {ceiling:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_valve_keeps_its_rate() {
        let valve = Valve::new(1_000_000);
        let start = Instant::now();
        for _ in 0..100 {
            valve.pass(50_000).await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((4.8..5.1).contains(&took), "5 MB at 1 MB/s took {took} s");
    }
}
