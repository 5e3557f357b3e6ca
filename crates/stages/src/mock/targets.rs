//! Who is in a tile: targets with class, position, redshift and brightness, before anyone looked.

use super::dice::{Dice, Purpose, Seed};
use super::edges::{Edge, Edges};
use bifrost_core::sky::{self, bricks};
use bifrost_core::tile::Pixel;

/// What a row of a tile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A galaxy.
    Galaxy,
    /// A quasar.
    Quasar,
    /// A star of a spectral type.
    Star(StarType),
    /// A fiber that looks at blank sky.
    Sky,
    /// A fiber without a target and without data.
    Unassigned,
}

impl Class {
    /// Whether it is something on the sky.
    #[must_use]
    pub fn is_object(self) -> bool {
        !matches!(self, Self::Sky | Self::Unassigned)
    }

    /// Whether it is a star.
    #[must_use]
    pub fn is_star(self) -> bool {
        matches!(self, Self::Star(_))
    }
}

/// Spectral types of the star templates, in the pipeline's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StarType {
    A,
    B,
    /// Cataclysmic variable.
    Cv,
    F,
    G,
    K,
    M,
    /// White dwarf.
    Wd,
}

impl StarType {
    /// Every type.
    pub const ALL: [Self; 8] =
        [Self::A, Self::B, Self::Cv, Self::F, Self::G, Self::K, Self::M, Self::Wd];
    /// How common each is.
    const SHARES: [f64; 8] = [0.05, 0.01, 0.005, 0.30, 0.25, 0.20, 0.165, 0.02];

    /// The pipeline's `SUBTYPE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::Cv => "CV",
            Self::F => "F",
            Self::G => "G",
            Self::K => "K",
            Self::M => "M",
            Self::Wd => "WD",
        }
    }
}

/// Independent sources of scatter between the strengths of lines.
pub const SCATTERS: usize = 5;

/// One target, as it is on the sky.
#[derive(Debug, Clone)]
pub struct Target {
    /// What it is.
    pub class: Class,
    /// `TARGETID`; of an unassigned fiber it is replaced by one made of tile and location.
    pub target_id: i64,
    /// Number of the object in its brick.
    pub objid: i64,
    /// Brick; each pixel has thirteen of its own, so that ids are unique over the sky.
    pub brick_id: i64,
    /// Release of the targeting catalogue: 9010 south, 9011 north.
    pub catalogue_release: i64,
    /// Right ascension.
    pub ra_deg: f64,
    /// Declination.
    pub dec_deg: f64,
    /// True redshift.
    pub z: f64,
    /// Magnitude in r.
    pub r_mag: f64,
    /// Mass fraction of young stars of a galaxy, 0 to 1.
    pub young: f64,
    /// Power-law slope of a quasar.
    pub slope: f64,
    /// Scatter of line strengths around their typical ratios.
    pub scatter: [f64; SCATTERS],
    /// Velocity dispersion.
    pub sigma_km_s: f64,
}

/// Number of the first object of the targets that all programs of a pixel share.
const FIRST_OBJID: i64 = 100;
/// Object numbers that a (survey, program) has to itself.
pub const OBJIDS_PER_BRANCH: i64 = 100_000;
/// Of a tile of those: of four tiles around a corner each has its own, but for some corners at the edges
/// of the polar caps.
const OBJIDS_PER_TILE: i64 = OBJIDS_PER_BRANCH / 4;
/// Share of rows whose target is also in the pixel's other programs.
const SHARED: f64 = 0.05;
/// Declination that parts the northern from the southern imaging.
pub const NORTH_DEC_DEG: f64 = 32.375;

/// The targets of a tile in row order; `branch` numbers the (survey, program), from 1.
pub fn draw(seed: u64, pixel: Pixel, branch: u32, count: usize, edges: &Edges) -> Vec<Target> {
    let mix = Mix::of(edges);
    let shared = Seed::new(seed, pixel.get(), 0);
    let own = Seed::new(seed, pixel.get(), branch);
    let shared_count = (SHARED * count as f64).round() as usize;
    let first_own = FIRST_OBJID + OBJIDS_PER_BRANCH * i64::from(branch);
    let mut targets: Vec<Target> = (0..count)
        .map(|i| match i.checked_sub(shared_count) {
            None => draw_one(shared.dice(Purpose::Target, i), pixel, FIRST_OBJID + i as i64, &mix),
            Some(i) => draw_one(own.dice(Purpose::Target, i), pixel, first_own + i as i64, &mix),
        })
        .collect();
    own.dice(Purpose::Order, 0).shuffle(&mut targets);
    targets
}

/// Gives the second target the id of the first.
pub fn duplicate_id(targets: &mut [Target]) {
    if let [first, second, ..] = targets {
        second.target_id = first.target_id;
    }
}

/// How likely each class is; galaxies are the rest.
struct Mix {
    sky: f64,
    unassigned: f64,
    star: f64,
    quasar: f64,
}

impl Mix {
    fn of(edges: &Edges) -> Self {
        let mut mix = Self { sky: 0.03, unassigned: 0.12, star: 0.10, quasar: 0.12 };
        if edges.has(Edge::NodataOnly) {
            mix = Self { sky: 0.0, unassigned: 1.0, star: 0.0, quasar: 0.0 };
        }
        if edges.has(Edge::NoQso) {
            mix.quasar = 0.0;
        }
        if edges.has(Edge::AllQso) {
            mix.star = 0.0;
            mix.quasar = 1.0 - mix.sky - mix.unassigned;
        }
        mix
    }

    fn draw(&self, dice: &mut Dice) -> Class {
        let galaxy = (1.0 - self.sky - self.unassigned - self.star - self.quasar).max(0.0);
        let hit = dice.pick(&[self.sky, self.unassigned, self.star, self.quasar, galaxy]);
        let star = StarType::ALL[dice.pick(&StarType::SHARES)];
        match hit {
            0 => Class::Sky,
            1 => Class::Unassigned,
            2 => Class::Star(star),
            3 => Class::Quasar,
            _ => Class::Galaxy,
        }
    }
}

fn draw_one(mut dice: Dice, pixel: Pixel, objid: i64, mix: &Mix) -> Target {
    let class = mix.draw(&mut dice);
    let cell = dice.cell(sky::range_of(Pixel::ORDER, u64::from(pixel.get())));
    let (ra_deg, dec_deg) = sky::centre_of(cell);
    let z = match class {
        Class::Galaxy => dice.gamma(4, 0.2).clamp(0.005, 1.65),
        Class::Quasar => dice.normal(1.75, 0.75).clamp(0.1, 5.5),
        Class::Star(_) => dice.normal(0.0, 3e-4).clamp(-0.0019, 0.0019),
        Class::Sky | Class::Unassigned => 0.0,
    };
    let r_mag = match class {
        Class::Galaxy => 19.2 + 1.9 * z.sqrt() + dice.normal(0.0, 0.6),
        Class::Star(_) => dice.normal(18.2, 1.2),
        _ => dice.normal(20.8, 0.9),
    };
    let brick_id = bricks::brick_at(ra_deg, dec_deg).map_or(0, i64::from);
    // two tiles that share a brick number its objects apart
    let objid = objid + OBJIDS_PER_TILE * i64::from(pixel.get() % 4);
    let catalogue_release = if dec_deg < NORTH_DEC_DEG { 9010 } else { 9011 };
    let is_sky = i64::from(class == Class::Sky);
    Target {
        class,
        target_id: objid | brick_id << 22 | catalogue_release << 42 | is_sky << 59,
        objid,
        brick_id,
        catalogue_release,
        ra_deg,
        dec_deg,
        z,
        r_mag,
        young: dice.uniform(0.0, 1.0),
        slope: dice.normal(-1.6, 0.25),
        scatter: std::array::from_fn(|_| dice.lognormal(1.0, 0.35)),
        sigma_km_s: dice.uniform(50.0, 220.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn pixel(number: i64) -> Pixel {
        Pixel::new(number).expect("on the sphere")
    }

    #[test]
    fn targets_lie_in_their_pixel_and_have_ids_of_their_own() {
        for number in [0, 4095, 10_000, 49_151] {
            let targets = draw(3, pixel(number), 15, 400, &Edges::default());
            let ids: BTreeSet<_> = targets.iter().map(|t| t.target_id).collect();
            assert_eq!(ids.len(), targets.len());
            for t in &targets {
                assert_eq!(sky::pixel_of(t.ra_deg, t.dec_deg), Some(pixel(number)));
                assert_eq!(t.target_id >> 22 & 0xF_FFFF, t.brick_id);
            }
        }
    }

    #[test]
    fn programs_of_a_pixel_share_some_targets() {
        let ids = |branch| -> BTreeSet<i64> {
            let targets = draw(3, pixel(7), branch, 200, &Edges::default());
            targets.iter().filter(|t| t.class != Class::Unassigned).map(|t| t.target_id).collect()
        };
        let shared = ids(5).intersection(&ids(6)).count();
        assert!((5..=10).contains(&shared), "{shared} shared");
    }
}
