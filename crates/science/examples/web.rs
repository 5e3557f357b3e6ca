//! The cosmic web of clustered points, step by step: how long each takes, and how much memory all of it.
//!
//! `web COUNT [SIGMAS]`: how many points are drawn, half of them in haloes of a hierarchy of clusters, half
//! anywhere in a cube, from one seed.
//! Prints a line a step with its seconds, then the numbers of cells, filaments and segments, and the peak
//! memory (kB).

use bifrost_science::curve::morton;
use bifrost_science::delaunay::Delaunay;
use bifrost_science::distance::Segments;
use bifrost_science::dtfe::{self, Density};
use bifrost_science::skeleton::{Options, Skeleton, Threshold};
use bifrost_science::star::Stars;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::io::Write;
use std::time::Instant;

/// Points of a halo, on average.
const OF_A_HALO: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (Some(count), sigmas) = (words.first(), words.get(1)) else {
        return Err("web COUNT [SIGMAS]".into());
    };
    let points = drawn(count.parse()?);
    let sigmas = sigmas.map_or(Ok(3.0), |sigmas| sigmas.parse())?;
    let mut out = std::io::stdout().lock();
    let mut began = Instant::now();
    let mut step = |what: &str| {
        let took = began.elapsed().as_secs_f64();
        began = Instant::now();
        writeln!(out, "{what} {took:.3}")
    };
    let points: Vec<[f64; 3]> =
        morton(&points).into_iter().map(|row| points[row as usize]).collect();
    step("sorting")?;
    let made = Delaunay::new(&points)?;
    step("tessellation")?;
    let stars = Stars::new(made.mesh())?;
    let mut density = Density::new(&stars, 1.0, 0)?;
    density.values = dtfe::smooth(&stars, &density.values)?;
    step("density")?;
    let options = Options { threshold: Threshold::Sigma(sigmas), ..Options::default() };
    let skeleton = Skeleton::new(&stars, &density, &options)?;
    step("skeleton")?;
    let segments = skeleton.segments();
    let near = Segments::new(&segments)?.nearest_of(&points);
    step("distances")?;
    let mean: f64 =
        near.iter().flatten().map(|near| near.distance).sum::<f64>() / near.len() as f64;
    let mut out = std::io::stdout().lock();
    let (cells, filaments) = (made.mesh().cells.len(), skeleton.filaments.len());
    writeln!(out, "points {}\ncells {cells}\nfilaments {filaments}", points.len())?;
    writeln!(out, "segments {}\nmean_distance {mean}", segments.len())?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        writeln!(out, "memory {}", peak.trim().trim_end_matches(" kB"))?;
    }
    Ok(())
}

/// Points of which half are in haloes: clusters of clusters, each a Gaussian.
fn drawn(count: usize) -> Vec<[f64; 3]> {
    let mut dice = ChaCha8Rng::seed_from_u64(20);
    // 20 points a cubic unit of 10 Mpc, whatever their number
    let side = (count as f64 / 0.02).cbrt();
    let groups = (count / (2 * OF_A_HALO * 10)).max(1);
    let centres: Vec<[f64; 3]> =
        (0..groups).map(|_| [0; 3].map(|_| dice.random_range(0.0..side))).collect();
    let scatter = |dice: &mut ChaCha8Rng, about: [f64; 3], width: f64| {
        // the sum of uniform numbers is near enough to a Gaussian
        about.map(|x| {
            x + width * ((0..6).map(|_| dice.random_range(-1.0..1.0)).sum::<f64>() / 1.414)
        })
    };
    let haloes: Vec<[f64; 3]> =
        (0..groups * 10).map(|halo| scatter(&mut dice, centres[halo % groups], 8.0)).collect();
    let halo = |dice: &mut ChaCha8Rng| haloes[dice.random_range(0..haloes.len())];
    (0..count)
        .map(|point| match point % 2 {
            0 => {
                let about = halo(&mut dice);
                scatter(&mut dice, about, 0.7)
            }
            _ => [0; 3].map(|_| dice.random_range(0.0..side)),
        })
        .collect()
}
