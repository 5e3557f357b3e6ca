//! A periodic box is a block among its own images.

use super::Error;
use crate::delaunay::{Block, Place, Region, Want};

/// Mean distances of points that are given around the box from the beginning.
const BUFFER: f64 = 3.0;

/// The points, and images of them.
struct Images<'a> {
    points: &'a [[f64; 3]],
    low: [f64; 3],
    high: [f64; 3],
}

impl Images<'_> {
    /// Images that are wanted, and their numbers: those of the points themselves come first.
    fn wanted(&self, is_wanted: impl Fn(&[f64; 3]) -> bool) -> (Vec<[f64; 3]>, Vec<u32>) {
        let mut images = (Vec::new(), Vec::new());
        for shift in 0..27 {
            // no shift is the first
            let shifts = [shift % 3, shift / 3 % 3, shift / 9].map(|k| [0.0, 1.0, -1.0][k]);
            for (index, point) in self.points.iter().enumerate() {
                let place = |k: usize| point[k] + shifts[k] * (self.high[k] - self.low[k]);
                let image = [place(0), place(1), place(2)];
                if is_wanted(&image) {
                    images.0.push(image);
                    images.1.push((shift * self.points.len() + index) as u32);
                }
            }
        }
        images
    }
}

/// As [`super::contrasts`], of points in a box; a duplicate has none.
pub fn contrasts(
    points: &[[f64; 3]],
    galaxies: usize,
    low: [f64; 3],
    high: [f64; 3],
) -> Result<Vec<Option<f64>>, Error> {
    let own = Region { low, high };
    if let Some(outside) = points.iter().position(|point| !own.has(point)) {
        return Err(Error::Outside(outside));
    }
    let size = [0, 1, 2].map(|k| high[k] - low[k]);
    let spacing = (size[0] * size[1] * size[2] / points.len().max(1) as f64).cbrt();
    let by = |part: f64, k: usize| part * size[k].min(BUFFER * spacing);
    let known = Region {
        low: [0, 1, 2].map(|k| low[k] - by(0.999, k)),
        high: [0, 1, 2].map(|k| high[k] + by(0.999, k)),
    };
    let images = Images { points, low, high };
    let bounds = [[0, 1, 2].map(|k| low[k] - size[k]), [0, 1, 2].map(|k| high[k] + size[k])];
    let (given, numbers) = images.wanted(|image| known.has(image));
    let mut block = Block::new(&given, &numbers, Place { own, known, bounds })?;
    loop {
        let wants = block.wants();
        if wants.is_empty() {
            break;
        }
        let is_wanted =
            |image: &[f64; 3]| wants.iter().any(|want: &Want| want.touches(image, image));
        let (given, numbers) = images.wanted(|image| !known.has(image) && is_wanted(image));
        block.answer(&given, &numbers)?;
    }
    let part = block.finish()?;
    let count = points.len() as u32;
    let of = part.ids.iter().map(|id| id % count).collect::<Vec<_>>();
    // points of the box have the lowest numbers
    let own = part.ids.partition_point(|id| (*id as usize) < galaxies);
    let near =
        super::contrasts(&part.cells, own, |vertex| (of[vertex as usize] as usize) < galaxies);
    let mut all = vec![None; galaxies];
    part.ids.iter().zip(near).for_each(|(id, contrast)| all[*id as usize] = contrast);
    Ok(all)
}
