//! A cone as bounds see it: a band of declination and right ascension, and HEALPix ranges.

use crate::bounds::{Bounds, Value};
use crate::predicate::{Literal, Number, Op, Predicate};
use crate::sky::Cone;
use crate::tile::Pixel;
use std::ops::Range;

/// Added to every side, far above rounding and far below what matters.
const MARGIN_DEG: f64 = 1e-9;
const SPHERE_SQ_DEG: f64 = 41_252.961_249_419_27;

/// A condition on `ra` and `dec` that every position in the cone fulfils, whichever turn its right
/// ascension is given in.
pub(super) fn band(cone: &Cone) -> Predicate {
    let radius_deg = cone.radius_deg + MARGIN_DEG;
    let (south, north) = (cone.dec_deg - radius_deg, cone.dec_deg + radius_deg);
    let dec = between("dec", south, north);
    if south <= -90.0 || north >= 90.0 {
        return Predicate::And(vec![dec]);
    }
    let sine = radius_deg.to_radians().sin() / cone.dec_deg.to_radians().cos();
    let half_deg = sine.min(1.0).asin().to_degrees() + MARGIN_DEG;
    let turns = [-360.0, 0.0, 360.0]
        .map(|turn| between("ra", cone.ra_deg + turn - half_deg, cone.ra_deg + turn + half_deg));
    // beyond these turns nothing is concluded
    let beyond = [compare("ra", Op::Lt, -360.0), compare("ra", Op::Gt, 720.0)];
    let ra = Predicate::Or(turns.into_iter().chain(beyond).collect());
    Predicate::And(vec![dec, ra])
}

fn between(column: &str, first: f64, last: f64) -> Predicate {
    Predicate::And(vec![compare(column, Op::Ge, first), compare(column, Op::Le, last)])
}

fn compare(column: &str, op: Op, value: f64) -> Predicate {
    let literal = Literal::Number(Number::Double(value));
    Predicate::Compare { column: column.to_owned(), op, literal }
}

/// Whether order-29 numbers within bounds may fall into sorted ranges; unknown bounds may.
pub(super) fn may_meet(ranges: &[Range<i64>], bounds: &Bounds) -> bool {
    let (Some(Value::Int(min)), Some(Value::Int(max))) = (&bounds.min, &bounds.max) else {
        return true;
    };
    let first = ranges.partition_point(|range| i128::from(range.end) <= *min);
    ranges.get(first).is_some_and(|range| i128::from(range.start) <= *max)
}

/// Sorted ranges as Postgres reads an `int8multirange`.
pub(super) fn multirange(ranges: &[Range<i64>]) -> String {
    let ranges: Vec<String> =
        ranges.iter().map(|range| format!("[{},{})", range.start, range.end)).collect();
    format!("{{{}}}", ranges.join(","))
}

/// About which share of so many tiles a cone covers.
pub(super) fn share_of_tiles(cone: &Cone, tiles: usize) -> f64 {
    let cone_share = (1.0 - cone.radius_deg.to_radians().cos()) / 2.0;
    let tiles_sq_deg = SPHERE_SQ_DEG / f64::from(Pixel::COUNT) * tiles.max(1) as f64;
    (cone_share * SPHERE_SQ_DEG / tiles_sq_deg).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Known;
    use crate::predicate::bounds::{Verdict, judge};
    use rand::{RngExt as _, SeedableRng as _};

    #[test]
    fn the_band_holds_every_position_of_the_cone() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let (mut inside, mut outside) = (0, 0);
        for _ in 0..40_000 {
            let dec: f64 = rng.random_range(-90.0..=90.0);
            let radius = 10f64.powf(rng.random_range(-4.0..2.25)).min(180.0);
            let cone = Cone::new(rng.random_range(0.0..360.0), dec, radius).expect("a cone");
            let at_dec = (dec + rng.random_range(-1.5..1.5) * radius).clamp(-90.0, 90.0);
            let stretch = at_dec.to_radians().cos().max(1e-3);
            let turn = [-360.0, 0.0, 360.0][rng.random_range(0..3)];
            let at_ra = cone.ra_deg + rng.random_range(-1.5..1.5) * radius / stretch + turn;
            let point = |value| Bounds {
                min: Some(Value::Float(value)),
                max: Some(Value::Float(value)),
                is_exact: true,
                null_count: Some(0),
                has_nan: Some(false),
            };
            let (ra, dec) = (point(at_ra), point(at_dec));
            let verdict = judge(&band(&cone), 1, &|name| {
                Known::Bounds(if name == "ra" { &ra } else { &dec })
            });
            if cone.contains(at_ra, at_dec) {
                assert_ne!(verdict, Verdict::Never, "{cone:?} lost ({at_ra}, {at_dec})");
                inside += 1;
            } else if verdict == Verdict::Never {
                outside += 1;
            }
        }
        assert!(inside > 5000 && outside > 5000, "{inside} inside, {outside} outside");
    }

    #[test]
    fn ranges_meet_bounds() {
        let bounds = |min: i128, max: i128| Bounds {
            min: Some(Value::Int(min)),
            max: Some(Value::Int(max)),
            ..Bounds::default()
        };
        let ranges = [10..20, 30..40];
        for (min, max, meets) in [
            (0, 9, false),
            (0, 10, true),
            (19, 19, true),
            (20, 29, false),
            (20, 30, true),
            (40, 99, false),
        ] {
            assert_eq!(may_meet(&ranges, &bounds(min, max)), meets, "{min} to {max}");
        }
        assert!(may_meet(&ranges, &Bounds::default()));
        assert_eq!(multirange(&ranges), "{[10,20),[30,40)}");
    }
}
