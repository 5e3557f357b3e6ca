//! Groups of a survey that is worked in blocks.

use super::forest::Forest;
use super::{Components, Error, Galaxies, NONE};

/// Puts together the components of blocks: those of the whole survey, whatever the blocks.
///
/// Each block holds its own galaxies and all within [`margin`] of them. Then each link of the survey is
/// a link of some block, and no block has a link that the survey has not; joining what blocks have
/// joined, in any order, leaves the survey's components.
#[derive(Debug)]
pub struct Blocks {
    forest: Forest,
    is_placed: Vec<bool>,
}

impl Blocks {
    /// A survey of so many rows, none of them linked yet.
    ///
    /// # Errors
    /// If there are more rows than 32 bits can number.
    pub fn new(rows: usize) -> Result<Self, Error> {
        let count = u32::try_from(rows).ok().filter(|rows| *rows != NONE);
        let count = count.ok_or(Error::TooMany(rows))?;
        Ok(Self { forest: Forest::new(count), is_placed: vec![false; rows] })
    }

    /// Adds a block: `rows` are its galaxies' rows in the survey.
    ///
    /// # Errors
    /// If there are not as many rows as the block has, or a row is not one of the survey's.
    pub fn add(&mut self, rows: &[u32], components: &Components) -> Result<(), Error> {
        let first = components.first();
        if rows.len() != first.len() {
            return Err(Error::Length { of: "row", expected: first.len(), found: rows.len() });
        }
        let count = self.is_placed.len();
        if let Some(row) = rows.iter().find(|row| **row as usize >= count) {
            return Err(Error::Row { row: *row, rows: count });
        }
        for (row, first) in rows.iter().zip(first).filter(|(_, first)| **first != NONE) {
            self.forest.join(*row, rows[*first as usize]);
            self.is_placed[*row as usize] = true;
        }
        Ok(())
    }

    /// The components of the survey.
    #[must_use]
    pub fn finish(self) -> Components {
        let mut components = Components::of(self.is_placed.len(), &self.forest, |row| row);
        components.keep(&self.is_placed);
        components
    }
}

/// How far a link can reach in a sample: a chord on the unit sphere, and comoving Mpc along the line of
/// sight. A block has to hold all galaxies that are this near to one of its own.
#[must_use]
pub fn margin(galaxies: Galaxies<'_>) -> [f64; 2] {
    [galaxies.across, galaxies.along].map(|lengths| {
        lengths.iter().copied().filter(|length| length.is_finite()).fold(0.0, f64::max)
    })
}
