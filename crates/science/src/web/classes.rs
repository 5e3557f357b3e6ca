//! Classes by ASTRA ([`crate::astra`]), block by block.

use super::Error;
use crate::astra::{self, Class, Web, open};
use crate::boxes::Boxes;
use crate::curve::morton;
use crate::tiles::Tiles;
use crate::work::{Bytes, Work, put};
use rayon::prelude::*;
use std::sync::OnceLock;

/// How often, and in how many blocks, galaxies are classified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Realisations {
    /// Sets of random points.
    pub count: u32,
    /// Blocks of the galaxies' web; of galaxies with random points there are twice as many, unless it is one.
    pub blocks: usize,
}

/// Galaxies and random points along a curve.
struct Cast {
    points: Vec<[f64; 3]>,
    ids: Vec<u32>,
}

/// Classifies galaxies as [`astra::classify`] does in [`astra::Space::Open`], to the same bits. Random
/// points are drawn whole: beside a block, 250 bytes a galaxy at most, the galaxies' own 24 among them.
///
/// # Errors
/// [`Error::Delaunay`] for coordinates that are no numbers, [`astra::Error::Randoms`], and what the store
/// says.
pub fn classify(
    galaxies: &[[f64; 3]],
    realisations: Realisations,
    work: &dyn Work,
    randoms: &(dyn Fn(u32, usize) -> Vec<[f64; 3]> + Sync),
) -> Result<Vec<Web>, Error> {
    let mut webs = vec![Web::default(); galaxies.len()];
    let all = |realisation| -> Result<Vec<[f64; 3]>, Error> {
        let drawn = randoms(realisation, galaxies.len());
        let (found, expected) = (drawn.len(), galaxies.len());
        if found != expected {
            return Err(astra::Error::Randoms { found, expected }.into());
        }
        let points = [galaxies, &drawn].concat();
        crate::delaunay::check(&points)?;
        Ok(points)
    };
    // all random points are spread alike: the first ones' blocks do for the others
    let blocks = if realisations.blocks < 2 { 1 } else { 2 * realisations.blocks };
    let tiles = match realisations.count {
        0 => return Ok(webs),
        _ if blocks == 1 => Tiles::new(galaxies, 1),
        _ => Tiles::new(&all(0)?, blocks),
    };
    let owners = &tiles.owners()[..galaxies.len()];
    for realisation in 0..realisations.count {
        let step = format!("classes {realisation}");
        let cast = OnceLock::new();
        work.each(&step, blocks, &|block| {
            if blocks == 1 {
                let contrasts = open(&all(realisation)?, galaxies.len()).map_err(Error::Class)?;
                return Ok(written(contrasts.into_iter().map(|contrast| contrast.map(Class::of))));
            }
            let cast = match cast.get() {
                Some(cast) => cast,
                None => {
                    let made = Cast::new(&all(realisation)?);
                    cast.get_or_init(|| made)
                }
            };
            let boxes = Boxes::new(&cast.points);
            let place = tiles.place(block, &boxes);
            let classes = astra::within(&boxes, &cast.ids, place, galaxies.len());
            let classes = classes.map_err(Error::Class)?.into_iter().zip(owners);
            let own = classes.filter(|(_, owner)| **owner as usize == block);
            Ok(written(own.map(|(class, _)| class)))
        })?;
        for block in 0..blocks {
            let classes: Vec<u8> = Bytes(&work.read(&step, block)?).list()?;
            let own = webs.iter_mut().zip(owners).filter(|(_, owner)| **owner as usize == block);
            for ((web, _), class) in own.zip(classes) {
                web.count(Class::ALL.get(class as usize).copied());
            }
        }
        work.forget(&step);
    }
    Ok(webs)
}

impl Cast {
    fn new(points: &[[f64; 3]]) -> Self {
        let ids = morton(points);
        Self { points: ids.par_iter().map(|id| points[*id as usize]).collect(), ids }
    }
}

/// A byte each: 255 is no class.
fn written(classes: impl Iterator<Item = Option<Class>>) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, &classes.map(|class| class.map_or(255, |class| class as u8)).collect::<Vec<_>>());
    out
}
