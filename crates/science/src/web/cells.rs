//! Blocks of a mesh, one at a time: that of one block alone stays in memory, those of several are made
//! once, kept by the [`Work`], and read for each step.

use super::Error;
use crate::boxes::Boxes;
use crate::delaunay::{self, Delaunay, Part};
use crate::dtfe::{self, Density};
use crate::mesh::NONE;
use crate::morse::{Block, Found, Gradient, Order};
use crate::patch::{Patch, Share};
use crate::star::Stars;
use crate::tiles::Tiles;
use crate::work::{Bytes, Work, put};
use std::borrow::Cow;
use std::sync::OnceLock;

pub(super) struct Cells<'a> {
    pub(super) positions: &'a [[f64; 3]],
    tiles: &'a Tiles,
    work: &'a dyn Work,
    whole: Option<Whole<'a>>,
}

/// What stays of one block alone.
struct Whole<'a> {
    made: Delaunay<'a>,
    first: Vec<u32>,
    gradient: OnceLock<Gradient>,
}

impl<'a> Cells<'a> {
    /// Tessellates points.
    pub(super) fn new(
        positions: &'a [[f64; 3]],
        tiles: &'a Tiles,
        work: &'a dyn Work,
    ) -> Result<Self, Error> {
        let mut cells = Self { positions, tiles, work, whole: None };
        if cells.count() == 1 {
            let mut made = Delaunay::new(positions)?;
            made.gather();
            let first = Stars::new(made.mesh())?.into_first();
            cells.whole = Some(Whole { made, first, gradient: OnceLock::new() });
            return Ok(cells);
        }
        let boxes = Boxes::new(positions);
        let ids: Vec<u32> = (0..positions.len() as u32).collect();
        work.each("mesh", cells.count(), &|block| {
            let place = tiles.place(block, &boxes);
            let part = delaunay::Block::cells(&boxes, &ids, place).map_err(Error::Delaunay)?;
            Ok(part.write())
        })?;
        Ok(cells)
    }

    pub(super) fn count(&self) -> usize {
        self.tiles.regions().len()
    }

    /// Looks at a block; `with` is given its duplicates, too.
    fn with<T>(
        &self,
        block: usize,
        with: impl FnOnce(&Patch<'_>, &Stars<'_>, &[[u32; 2]]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(whole) = &self.whole {
            let mesh = whole.made.mesh();
            let stars = Stars::again(mesh, &whole.first);
            return with(&Patch::whole(mesh), &stars, whole.made.duplicates());
        }
        let mut part = Part::read(&self.work.read("mesh", block)?)?;
        let duplicates = std::mem::take(&mut part.duplicates);
        let share = Share { number: block as u32, owners: self.tiles.owners() };
        let patch = Patch::part(self.positions, part, share);
        let stars = patch.stars()?;
        with(&patch, &stars, &duplicates)
    }

    /// Numbers of own vertices, their densities, numbers of flagged ones, duplicates, and how many cells
    /// have their least vertex in the block.
    pub(super) fn density(&self, block: usize, extent: f64) -> Result<Vec<u8>, Error> {
        self.with(block, |patch, stars, duplicates| {
            let made = Density::within(stars, extent, 1.0).map_err(|error| match error {
                dtfe::Error::Flat(vertex) => dtfe::Error::Flat(patch.id(vertex as u32) as usize),
                other => other,
            })?;
            let flagged = (0..).zip(&made.boundary).filter(|(_, is_flagged)| **is_flagged);
            let flagged: Vec<u32> = flagged.map(|(vertex, _)| patch.id(vertex)).collect();
            let is_own = |cell: &&[u32; 4]| {
                let least = cell.iter().min().copied().unwrap_or(NONE);
                patch.owner(least).is_none()
            };
            let cells = patch.mesh().cells.iter().filter(is_own).count();
            let mut out = own(patch, stars, &made.values);
            put(&mut out, &flagged);
            put(&mut out, duplicates);
            put(&mut out, &[cells as u64]);
            Ok(out)
        })
    }

    /// Numbers of own vertices, and the mean of values around each.
    pub(super) fn smooth(&self, block: usize, values: &[f64]) -> Result<Vec<u8>, Error> {
        self.with(block, |patch, stars, _| {
            Ok(own(patch, stars, &dtfe::smooth(stars, &patch.of(values))?))
        })
    }

    /// What is found, and of several blocks the gradient after it.
    pub(super) fn gradient(&self, block: usize, order: &Order) -> Result<Vec<u8>, Error> {
        self.with(block, |patch, stars, _| {
            let (block, found) = Block::new(patch, stars, order)?;
            let mut out = Vec::new();
            found.write(&mut out);
            match &self.whole {
                // it may be there already: the same
                Some(whole) => drop(whole.gradient.set(block.into_gradient())),
                None => block.into_gradient().write(&mut out),
            }
            Ok(out)
        })
    }

    /// Looks at a block and its gradient.
    pub(super) fn block<T>(
        &self,
        number: usize,
        order: &Order,
        with: impl FnOnce(&Block<'_>) -> T,
    ) -> Result<T, Error> {
        self.with(number, |patch, stars, _| {
            let gradient = match &self.whole {
                Some(whole) => Cow::Borrowed(match whole.gradient.get() {
                    Some(gradient) => gradient,
                    None => {
                        let made = Block::new(patch, stars, order)?.0.into_gradient();
                        whole.gradient.get_or_init(|| made)
                    }
                }),
                None => {
                    let output = self.work.read("gradient", number)?;
                    let mut bytes = Bytes(&output);
                    Found::read(&mut bytes)?;
                    Cow::Owned(Gradient::read(&mut bytes)?)
                }
            };
            Ok(with(&Block::again(patch, stars, order, gradient)?))
        })
    }
}

/// Numbers of own vertices and their values.
fn own(patch: &Patch<'_>, stars: &Stars<'_>, values: &[f64]) -> Vec<u8> {
    let own = || patch.own(stars);
    let mut out = Vec::new();
    put(&mut out, &own().map(|vertex| patch.id(vertex)).collect::<Vec<_>>());
    put(&mut out, &own().map(|vertex| values[vertex as usize]).collect::<Vec<_>>());
    out
}
