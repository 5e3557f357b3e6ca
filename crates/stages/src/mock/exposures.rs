//! How the targets of a tile were observed: exposures of nearby tiles, fibers and their troubles.

use super::dice::{Dice, Purpose, Seed};
use super::edges::{Edge, Edges};
use super::targets::{Class, Target};
use std::collections::BTreeSet;

/// Bits of `FIBERSTATUS`.
pub mod fiber {
    /// No target.
    pub const UNASSIGNED: i32 = 1;
    /// The positioner cannot reach everywhere; harmless.
    pub const RESTRICTED: i32 = 1 << 3;
    /// Too far off: not used.
    pub const BADPOSITION: i32 = 1 << 9;
    /// Somewhat off.
    pub const POORPOSITION: i32 = 1 << 10;
    /// A bad amplifier in arm B, R, Z.
    pub const BADAMP: [i32; 3] = [1 << 22, 1 << 23, 1 << 24];
}

/// Share of fibers with a trouble.
const TROUBLED: f64 = 0.03;
/// Exposures that a tile's targets are spread over.
const POOL: usize = 6;
/// Fibers of a petal.
const DEVICES: usize = 524;

/// One exposure of one spectrograph.
#[derive(Debug, Clone, Copy)]
pub struct Exposure {
    /// `EXPID`
    pub exposure_id: i32,
    /// `TILEID`, the archive's pointing.
    pub pointing_id: i32,
    /// YYYYMMDD
    pub night: i32,
    /// Modified Julian date.
    pub mjd: f64,
    /// Open shutter.
    pub seconds: f64,
    /// Petal, which is the spectrograph.
    pub petal: i32,
}

/// The exposures that cover a pixel, two a pointing.
pub fn pool(seed: Seed, pixel: u32) -> [Exposure; POOL] {
    let pixel = pixel as i32;
    std::array::from_fn(|k| {
        let number = k as i32;
        let pointing = number / 2;
        let seconds = seed.dice(Purpose::Exposure, k).uniform(700.0, 1200.0);
        Exposure {
            exposure_id: 80_000 + (pixel * 31 + 7 * number) % 60_000,
            pointing_id: 1000 + (pixel * 3 + pointing) % 19_000,
            night: 20_210_514 + pointing + pixel % 12,
            mjd: 59_348.2 + f64::from(pixel % 12 + pointing) + 0.013 * f64::from(number % 2),
            seconds: (seconds * 1e4).round() / 1e4,
            petal: (pixel + pointing) % 10,
        }
    })
}

/// One target in one exposure.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// The exposure.
    pub exposure: Exposure,
    /// Place in the focal plane.
    pub x_mm: f64,
    /// Place in the focal plane.
    pub y_mm: f64,
    /// Distance from where the fiber should be.
    pub delta_x_mm: f64,
    /// Distance from where the fiber should be.
    pub delta_y_mm: f64,
    /// Where the fiber looked.
    pub fiber_ra_deg: f64,
    /// Where the fiber looked.
    pub fiber_dec_deg: f64,
    /// Share of a point source's light that enters the fiber.
    pub psf_share: f64,
}

/// All that happened to one target.
#[derive(Debug, Clone)]
pub struct Observation {
    /// `FIBERSTATUS`, the same in each exposure.
    pub status: i32,
    /// Device in the petal.
    pub device: i32,
    /// One to four visits.
    pub visits: Vec<Visit>,
    /// Depth of each arm in units of a good exposure of 1000 s; 0 where it has no data.
    pub depths: [f64; 3],
}

impl Observation {
    /// Whether the exposures went into the coadd.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.status & (fiber::UNASSIGNED | fiber::BADPOSITION) == 0
    }

    /// Open shutter, all visits together.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.visits.iter().map(|v| v.exposure.seconds).sum()
    }

    /// Mean of something over the visits.
    pub fn mean(&self, of: impl Fn(&Visit) -> f64) -> f64 {
        self.visits.iter().map(of).sum::<f64>() / self.visits.len().max(1) as f64
    }

    /// `LOCATION`: petal and device in one number.
    #[must_use]
    pub fn location(&self, visit: &Visit) -> i64 {
        i64::from(visit.exposure.petal) * 1000 + i64::from(self.device)
    }
}

/// Observes each target; an arm that `edges` take away is dead for all.
pub fn observe(
    seed: Seed,
    targets: &[Target],
    pool: &[Exposure],
    edges: &Edges,
) -> Vec<Observation> {
    let dead = [
        edges.has(Edge::DeadB),
        edges.has(Edge::DeadR),
        edges.has(Edge::DeadZ) || edges.has(Edge::MissingArm),
    ];
    let rows = targets.iter().enumerate();
    rows.map(|(row, t)| observe_one(seed.dice(Purpose::Observation, row), t, pool, dead)).collect()
}

fn observe_one(mut dice: Dice, target: &Target, pool: &[Exposure], dead: [bool; 3]) -> Observation {
    let status = draw_status(&mut dice, target.class);
    let device = dice.below(DEVICES) as i32;
    let first = dice.below(pool.len());
    let count = 1 + dice.pick(&[0.70, 0.25, 0.04, 0.01]);
    let visits = pool.iter().cycle().skip(first).take(count).map(|exposure| {
        let thousandth = |x: f64| (x * 1e3).round() / 1e3;
        Visit {
            exposure: *exposure,
            x_mm: dice.uniform(-400.0, 400.0),
            y_mm: dice.uniform(-400.0, 400.0),
            delta_x_mm: thousandth(dice.normal(0.0, 0.005)),
            delta_y_mm: thousandth(dice.normal(0.0, 0.005)),
            fiber_ra_deg: target.ra_deg + dice.normal(0.0, 2e-5),
            fiber_dec_deg: target.dec_deg + dice.normal(0.0, 2e-5),
            psf_share: dice.uniform(0.7, 0.8),
        }
    });
    let visits = visits.collect();
    let mut observation = Observation { status, device, visits, depths: [0.0; 3] };
    let depth = observation.seconds() / 1000.0 * dice.lognormal(1.0, 0.15);
    if observation.is_used() {
        for (arm, slot) in observation.depths.iter_mut().enumerate() {
            *slot = if dead[arm] || status & fiber::BADAMP[arm] != 0 { 0.0 } else { depth };
        }
    }
    observation
}

fn draw_status(dice: &mut Dice, class: Class) -> i32 {
    let [b, r, z] = fiber::BADAMP;
    let troubles = [fiber::RESTRICTED, fiber::POORPOSITION, fiber::BADPOSITION, b, r, z];
    let trouble = troubles[dice.below(troubles.len())];
    let is_troubled = dice.uniform(0.0, 1.0) < TROUBLED;
    let unassigned = [0, fiber::RESTRICTED, fiber::BADPOSITION][dice.below(3)];
    match class {
        Class::Unassigned => fiber::UNASSIGNED | unassigned,
        _ if is_troubled => trouble,
        _ => 0,
    }
}

/// Gives unassigned fibers the archive's negative id, made of tile and location, each its own.
pub fn name_unassigned(targets: &mut [Target], observations: &[Observation]) {
    let mut taken = BTreeSet::new();
    for (target, observation) in targets.iter_mut().zip(observations) {
        let Some(visit) = observation.visits.first() else { continue };
        if target.class == Class::Unassigned {
            let pointing = i64::from(visit.exposure.pointing_id);
            let mut id = -(pointing * 10_000 + observation.location(visit));
            while !taken.insert(id) {
                id -= 1;
            }
            target.target_id = id;
        }
    }
}
