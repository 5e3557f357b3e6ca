//! Joint occupancy: which combinations of class, quality and redshift a file holds.
//!
//! A cell is one such combination, as a number that an inverted index can find. Redshift comes in
//! two widths, so that a long interval is a few cells: the [bins](crate::redshift) of 0.05, and
//! eight of them together; and once more for objects of any class and quality, so that a question about
//! redshift alone is few cells, too. A question demands cells; a file that has none of them holds no match.
//! The numbers are those of `file_cells.cells`, explained in the migration that makes it. Behind them
//! comes one for the file's release, so that of a lake of many releases one is found by the same index.

use crate::narrow;
use crate::predicate::needs::Interval;
use crate::redshift::{FIRST_BIN, LAST_BIN, bin};
use bifrost_sha256::Sha256;

/// Bins of 0.05 in a wide one.
const WIDTH: i16 = 8;
const WIDE: i16 = 160;
const NO_REDSHIFT: i16 = 255;
const STEP: i16 = 256;
pub(crate) const CLASSES: [&str; 3] = ["GALAXY", "QSO", "STAR"];
/// The numbers of releases, by 14 bits of their names' SHA-256: two that share one are found together.
const RELEASES: i16 = 4096;
const NO_RELEASE: i16 = RELEASES - 1;

/// What is told apart besides redshift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind(i16);

impl Kind {
    fn of(spectype: Option<&str>, zwarn_zero: bool) -> Self {
        let place = CLASSES.iter().position(|class| Some(*class) == spectype);
        let class = place.map_or(CLASSES.len() as i16, |place| place as i16);
        Self(2 * class + i16::from(zwarn_zero))
    }

    fn cell(self, within: i16) -> i16 {
        STEP * self.0 + within
    }

    /// Those that are asked for; `None` asks for all.
    fn asked(spectypes: Option<&[String]>, zwarn_zero: Option<bool>) -> Vec<Self> {
        let mut kinds = Vec::new();
        for good in zwarn_zero.map_or(vec![false, true], |one| vec![one]) {
            match spectypes {
                Some(some) => kinds.extend(some.iter().map(|class| Self::of(Some(class), good))),
                None => {
                    kinds.extend(CLASSES.iter().map(|class| Self::of(Some(class), good)));
                    kinds.push(Self::of(None, good));
                }
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// Combinations of class and quality.
const KINDS: usize = 2 * (CLASSES.len() + 1);
/// Of whatever class and quality.
const ANY: Kind = Kind(KINDS as i16);

/// Least and greatest redshift of each combination of class and quality in a file, where the cells
/// are too wide to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Ends([Option<(f32, f32)>; KINDS]);

impl Ends {
    /// From spectral type, quality (zwarn = 0), least and greatest redshift of each class.
    #[must_use]
    pub fn of<'a>(
        classes: impl IntoIterator<Item = (Option<&'a str>, bool, Option<f64>, Option<f64>)>,
    ) -> Self {
        let mut ends = [None; KINDS];
        for (spectype, good, min, max) in classes {
            let (Some(min), Some(max)) = (min, max) else { continue };
            let (min, max) = (narrow::below(min), narrow::above(max));
            let held = &mut ends[Kind::of(spectype, good).0 as usize];
            *held = Some(held.map_or((min, max), |(a, b): (f32, f32)| (a.min(min), b.max(max))));
        }
        Self(ends)
    }

    /// As `file_cells.ends` has them.
    #[must_use]
    pub fn packed(&self) -> [Option<f32>; 2 * KINDS] {
        std::array::from_fn(|place| {
            self.0[place / 2].map(|(min, max)| if place % 2 == 0 { min } else { max })
        })
    }

    /// From `file_cells.ends`; `None` where they are not known.
    #[must_use]
    pub fn unpacked(packed: &[Option<f32>]) -> Option<Self> {
        let mut ends = [None; KINDS];
        for (kind, pair) in ends.iter_mut().zip(packed.chunks_exact(2)) {
            *kind = pair[0].zip(pair[1]);
        }
        (packed.len() == 2 * KINDS).then_some(Self(ends))
    }
}

/// A set of cells: those that a file holds, or those of which a question demands one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupied(Box<[u64; WORDS]>);

const WORDS: usize = (KINDS + 1) * STEP as usize / 64;

impl Occupied {
    /// Of cells by their numbers; those that are none are left out.
    #[must_use]
    pub fn of(cells: &[i16]) -> Self {
        let mut words = Box::new([0; WORDS]);
        for cell in cells.iter().filter_map(|cell| usize::try_from(*cell).ok()) {
            if let Some(word) = words.get_mut(cell / 64) {
                *word |= 1 << (cell % 64);
            }
        }
        Self(words)
    }

    /// Whether both hold some cell.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&*other.0).any(|(one, other)| one & other != 0)
    }
}

/// A redshift that objects of some class and quality must have.
#[derive(Debug, Clone)]
pub struct Shell {
    kinds: Vec<Kind>,
    z: Interval<f64>,
}

impl Shell {
    /// What is demanded; `None` where every file may have it.
    #[must_use]
    pub fn demanded(
        spectypes: Option<&[String]>,
        zwarn_zero: Option<bool>,
        z: Interval<f64>,
    ) -> Option<Self> {
        let is_bounded = z.ends() != (None, None);
        is_bounded.then(|| Self { kinds: Kind::asked(spectypes, zwarn_zero), z })
    }

    /// Whether a file with such ends may hold some.
    #[must_use]
    pub fn may_meet(&self, ends: &Ends) -> bool {
        self.kinds
            .iter()
            .filter_map(|kind| ends.0[kind.0 as usize])
            .any(|(min, max)| f64::from(min) <= self.z.last && self.z.first <= f64::from(max))
    }
}

/// What stands for a file's release among its cells.
fn release_cell(release: Option<&str>) -> i16 {
    let Some(release) = release else { return NO_RELEASE };
    let mut hash = Sha256::new();
    hash.update(release.as_bytes());
    let [first, second, ..] = hash.finish();
    RELEASES + i16::from_be_bytes([first & 0x3f, second])
}

/// What stands for one of these releases, or for none.
#[must_use]
pub fn release_cells(releases: &[String]) -> Vec<i16> {
    let cells = releases.iter().map(|release| release_cell(Some(release)));
    cells.chain([release_cell(None)]).collect()
}

/// Objects of one class and quality in a file.
#[derive(Debug, Clone, Copy)]
pub struct Class<'a> {
    /// Their spectral type.
    pub spectype: Option<&'a str>,
    /// Whether these are the ones with zwarn = 0.
    pub zwarn_zero: bool,
    /// Redshift bins that hold some.
    pub z_bins: &'a [i16],
    /// Whether some have no redshift.
    pub has_no_redshift: bool,
}

/// The cells of a file that holds such objects, ascending; its release comes last.
#[must_use]
pub fn cells<'a>(release: Option<&str>, classes: impl IntoIterator<Item = Class<'a>>) -> Vec<i16> {
    let mut cells = vec![release_cell(release)];
    for class in classes {
        for kind in [Kind::of(class.spectype, class.zwarn_zero), ANY] {
            for bin in class.z_bins {
                let place = (*bin).clamp(FIRST_BIN, LAST_BIN) - FIRST_BIN;
                cells.extend([kind.cell(place), kind.cell(WIDE + place / WIDTH)]);
            }
            cells.extend(class.has_no_redshift.then(|| kind.cell(NO_REDSHIFT)));
        }
    }
    cells.sort_unstable();
    cells.dedup();
    cells
}

/// Cells of which a file with a matching row has at least one; `None` where every file may.
#[must_use]
pub fn demanded(
    spectypes: Option<&[String]>,
    zwarn_zero: Option<bool>,
    z: Interval<f64>,
) -> Option<Vec<i16>> {
    let bounded = z.ends() != (None, None);
    if spectypes.is_none() && zwarn_zero.is_none() && !bounded {
        return None;
    }
    let kinds = match (spectypes, zwarn_zero) {
        (None, None) => vec![ANY],
        _ => Kind::asked(spectypes, zwarn_zero),
    };
    let mut within = match (bin(z.first), bin(z.last)) {
        (Some(first), Some(last)) => spans(first - FIRST_BIN, last - FIRST_BIN),
        _ => spans(0, LAST_BIN - FIRST_BIN),
    };
    within.extend((!bounded).then_some(NO_REDSHIFT));
    Some(kinds.iter().flat_map(|kind| within.iter().map(|place| kind.cell(*place))).collect())
}

/// Wide bins where all of one are asked for, narrow ones at the ends.
fn spans(first: i16, last: i16) -> Vec<i16> {
    let (mut spans, mut place) = (Vec::new(), first);
    let end = LAST_BIN - FIRST_BIN;
    while place <= last {
        let wide_last = (place + WIDTH - 1).min(end);
        if place % WIDTH == 0 && wide_last <= last {
            spans.push(WIDE + place / WIDTH);
            place = wide_last + 1;
        } else {
            spans.push(place);
            place += 1;
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_file_with_a_match_has_a_demanded_cell() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let names = [Some("GALAXY"), Some("QSO"), Some("STAR"), Some("WD"), None];
        let (mut met, mut missed, mut told) = (0, 0, 0);
        for _ in 0..20_000 {
            let spectype = names[random.random_range(0..names.len())];
            let zwarn_zero = random.random();
            let z = random.random_bool(0.9).then(|| random.random_range(-0.5..8.0));
            let z_bins: Vec<i16> = z.and_then(bin).into_iter().collect();
            let class =
                Class { spectype, zwarn_zero, z_bins: &z_bins, has_no_redshift: z.is_none() };
            let held = cells(Some("iron"), [class]);
            let ends: [f64; 2] = [random.random_range(-1.0..9.0), random.random_range(-1.0..9.0)];
            let mut asked = Interval { first: ends[0].min(ends[1]), last: ends[0].max(ends[1]) };
            if random.random_bool(0.3) {
                asked.last = f64::INFINITY;
            }
            if random.random_bool(0.3) {
                asked.first = f64::NEG_INFINITY;
            }
            let classes: Option<Vec<String>> = random.random_bool(0.6).then(|| {
                names.iter().flatten().filter(|_| random.random()).map(|n| (*n).into()).collect()
            });
            let quality = random.random_bool(0.5).then(|| random.random());
            let is_unbounded = asked.ends() == (None, None);
            let matches = z.map_or(is_unbounded, |z| asked.first <= z && z <= asked.last)
                && quality.is_none_or(|quality: bool| quality == zwarn_zero)
                && classes.as_ref().is_none_or(|classes| {
                    spectype.is_some_and(|name| classes.iter().any(|class| class == name))
                });
            let demanded = demanded(classes.as_deref(), quality, asked);
            let has =
                demanded.as_ref().is_none_or(|cells| cells.iter().any(|cell| held.contains(cell)));
            let meets =
                demanded.is_none_or(|cells| Occupied::of(&cells).meets(&Occupied::of(&held)));
            assert_eq!(meets, has, "{held:?}");
            assert!(has || !matches, "{class:?} {asked:?} {classes:?} {quality:?}");
            let ends = Ends::of([(spectype, zwarn_zero, z, z)]);
            assert_eq!(Ends::unpacked(&ends.packed()).as_ref(), Some(&ends));
            let meets = Shell::demanded(classes.as_deref(), quality, asked)
                .is_none_or(|shell| shell.may_meet(&ends));
            assert!(meets || !matches, "{class:?} {asked:?} {classes:?} {quality:?}");
            assert!(!meets || is_unbounded || z.is_some(), "no redshift lies in {asked:?}");
            told += usize::from(has && !meets);
            met += usize::from(matches);
            missed += usize::from(!has);
        }
        assert!(met > 2000 && missed > 5000 && told > 20, "{met} {missed} {told}");
    }

    #[test]
    fn a_long_interval_is_few_cells() {
        let z = Interval { first: 2.5, last: f64::INFINITY };
        let asked = demanded(Some(&["QSO".into()]), Some(true), z).expect("cells");
        assert!(asked.len() < 20, "{asked:?}");
        assert!(asked.iter().all(|cell| cell / STEP == 3));
        assert!(demanded(None, None, z).is_some_and(|any| any.len() == asked.len()));
        assert_eq!(demanded(None, None, Interval { first: f64::NEG_INFINITY, ..z }), None);
    }
}
