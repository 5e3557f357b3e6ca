//! How far a web is, by what its steps cost.

use bifrost_science::work::{Failure, Make, Memory, Work};

/// Hears of a step how many parts of it are done.
pub(super) type Told<'a> = &'a (dyn Fn(&str, usize, usize) + Sync);

/// What steps cost of a galaxy, in the order in which they are done: by a tessellation of galaxies alone, in
/// percent. What is not listed costs nothing.
const COSTS: [(&str, u64); 8] = [
    ("groups", 20),
    ("neighbours", 80),
    ("mesh", 100),
    ("density", 20),
    ("gradient", 90),
    ("pairs", 40),
    ("contrasts", 20),
    ("distances", 40),
];
/// Of one set of random points, with as many galaxies.
const CLASSES: u64 = 230;

/// What a galaxy costs, with so many sets of random points.
pub(super) fn of_a_galaxy(realisations: u32) -> u64 {
    COSTS.iter().map(|(_, cost)| cost).sum::<u64>() + CLASSES * u64::from(realisations)
}

/// The shares of all samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    /// What a galaxy costs.
    pub(super) of_a_galaxy: u64,
    /// Galaxies of all samples.
    pub(super) all: usize,
}

impl Shares {
    /// All of them.
    pub(super) fn total(&self) -> u64 {
        self.all as u64 * self.of_a_galaxy
    }

    /// Those that are done when so many galaxies have their web, and a sample of so many has so many parts
    /// of a step.
    pub(super) fn done(
        &self,
        before: usize,
        galaxies: usize,
        step: &str,
        done: usize,
        parts: usize,
    ) -> u64 {
        let part = |cost: u64| cost * done as u64 / parts.max(1) as u64;
        let until = |name: &str| -> u64 {
            COSTS.iter().take_while(|(own, _)| *own != name).map(|(_, cost)| cost).sum()
        };
        let (name, number) = step.split_once(' ').unwrap_or((step, ""));
        let of_this = match (name, number.parse::<u64>()) {
            ("classes", Ok(set)) => until(name) + CLASSES * set + part(CLASSES),
            ("tessellation", _) => until("mesh"),
            ("smooth" | "skeleton", _) => until("gradient"),
            ("boundaries", _) => until("pairs"),
            _ => match COSTS.iter().find(|(own, _)| *own == name) {
                Some((_, cost)) => until(name) + part(*cost),
                None => until(name),
            },
        };
        before as u64 * self.of_a_galaxy + galaxies as u64 * of_this.min(self.of_a_galaxy)
    }
}

/// Outputs in memory, of which it is told how many there are.
pub(super) struct Watched<'a> {
    pub(super) work: Memory,
    pub(super) told: Told<'a>,
}

impl Work for Watched<'_> {
    fn each(&self, step: &str, parts: usize, make: Make<'_>) -> Result<(), Failure> {
        let watched = |part: usize| {
            (self.told)(step, part, parts);
            make(part)
        };
        self.work.each(step, parts, &watched)?;
        (self.told)(step, parts, parts);
        Ok(())
    }

    fn read(&self, step: &str, part: usize) -> Result<Vec<u8>, Failure> {
        self.work.read(step, part)
    }

    fn forget(&self, step: &str) {
        self.work.forget(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_from_step_to_step_until_all_are_done() {
        let shares = Shares { of_a_galaxy: of_a_galaxy(2), all: 30 };
        let steps = [
            ("groups", 0, 1),
            ("neighbours", 0, 1),
            ("tessellation", 0, 1),
            ("mesh", 1, 4),
            ("mesh", 4, 4),
            ("density", 4, 4),
            ("smooth 0", 1, 4),
            ("skeleton", 0, 1),
            ("gradient", 2, 4),
            ("boundaries 3", 1, 4),
            ("pairs", 1, 1),
            ("contrasts", 1, 1),
            ("distances", 1, 1),
            ("classes", 0, 1),
            ("classes 0", 4, 8),
            ("classes 1", 0, 8),
            ("classes 1", 8, 8),
        ];
        for before in [0, 10] {
            let done: Vec<u64> =
                steps.iter().map(|(s, d, p)| shares.done(before, 20, s, *d, *p)).collect();
            assert!(done.is_sorted(), "{done:?}");
            assert_eq!(done[0], before as u64 * shares.of_a_galaxy);
            assert_eq!(done[16], (before as u64 + 20) * shares.of_a_galaxy);
        }
        assert_eq!(shares.done(10, 20, "classes 1", 8, 8), shares.total());
    }
}
