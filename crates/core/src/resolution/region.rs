//! A region as bounds see it: a band of declination and right ascension, and HEALPix ranges.

use crate::bounds::{Bounds, Value};
use crate::predicate::needs::Interval;
use crate::predicate::{Literal, Number, Op, Predicate};
use crate::registry;
use crate::sky::{self, Cone, Rectangle, Region, region};
use crate::tile::Pixel;
use std::ops::Range;

/// Added to every side, far above rounding and far below what matters.
const MARGIN_DEG: f64 = 1e-9;

/// A condition on `ra` and `dec` that every position in the regions fulfils, whichever turn its
/// right ascension is given in; `None` where there is none.
pub(super) fn band(regions: &[Region]) -> Option<Predicate> {
    let bands = regions.iter().filter_map(|region| match region {
        Region::Box(rectangle) => Some(band_of_box(rectangle)),
        Region::Cone(cone) => Some(band_of_cone(cone)),
        Region::Polygon(polygon) => Some(band_of_cone(&polygon.around())),
        Region::Moc(_) => None,
    });
    bands.reduce(Predicate::and)
}

fn band_of_cone(cone: &Cone) -> Predicate {
    let radius_deg = cone.radius_deg + MARGIN_DEG;
    let (south, north) = (cone.dec_deg - radius_deg, cone.dec_deg + radius_deg);
    let dec = between("dec", south, north);
    if south <= -90.0 || north >= 90.0 {
        return Predicate::And(vec![dec]);
    }
    let sine = radius_deg.to_radians().sin() / cone.dec_deg.to_radians().cos();
    let half_deg = sine.min(1.0).asin().to_degrees() + MARGIN_DEG;
    Predicate::And(vec![dec, within(cone.ra_deg - half_deg, cone.ra_deg + half_deg)])
}

fn band_of_box(rectangle: &Rectangle) -> Predicate {
    let (south, north) = rectangle.dec_deg();
    let dec = between("dec", south - MARGIN_DEG, north + MARGIN_DEG);
    if rectangle.is_ring() || south <= MARGIN_DEG - 90.0 || north >= 90.0 - MARGIN_DEG {
        return Predicate::And(vec![dec]);
    }
    let (west, east) = rectangle.ra_deg();
    Predicate::And(vec![dec, within(west - MARGIN_DEG, east + MARGIN_DEG)])
}

/// Right ascensions between two, in any of the usual turns.
fn within(west: f64, east: f64) -> Predicate {
    let turns = [-720.0, -360.0, 0.0, 360.0].map(|turn| (west + turn, east + turn));
    let turns = turns.into_iter().filter(|(west, east)| *east >= -360.0 && *west <= 720.0);
    // beyond these turns nothing is concluded
    let beyond = [compare("ra", Op::Lt, -360.0), compare("ra", Op::Gt, 720.0)];
    let turns = turns.map(|(west, east)| between("ra", west, east));
    Predicate::Or(turns.chain(beyond).collect())
}

/// Ranges that cover all positions that fulfil a condition; `None` where that says too little.
pub(super) fn demanded(condition: &Predicate) -> Option<Vec<Range<i64>>> {
    region::cover(&[Region::Box(demanded_box(condition)?)])
}

/// The box on the sky in which all positions lie that fulfil a condition; `None` where the condition
/// says too little: a row without right ascension, or beyond a pole, lies nowhere.
fn demanded_box(condition: &Predicate) -> Option<Rectangle> {
    let ends = |name| match Interval::<f64>::of(condition, name).ends() {
        (Some(first), Some(last)) if first <= last => Some((first, last)),
        _ => None,
    };
    let (first, last) = ends("ra")?;
    let far = (first - MARGIN_DEG, last + MARGIN_DEG);
    Rectangle::new(far, ends("dec")?).ok()
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

/// The pixels of tiles that hold sorted ranges.
pub(super) fn pixels(cover: &[Range<i64>]) -> registry::demands::Cover {
    let whole = region::tile_cover(cover);
    let pixel = |deep: i64| (deep >> (2 * (sky::ORDER - Pixel::ORDER))) as i32;
    registry::demands::Cover {
        pixels: whole.iter().map(|range| (pixel(range.start), pixel(range.end - 1))).unzip(),
        multirange: registry::demands::multirange(&whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Known;
    use crate::predicate::bounds::{Verdict, judge};
    use crate::sky::Polygon;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    /// A random region around a position, and about how large it is.
    fn random_region(rng: &mut ChaCha8Rng, ra: f64, dec: f64) -> (Region, f64) {
        let radius: f64 = 10f64.powf(rng.random_range(-4.0..2.25)).min(180.0);
        match rng.random_range(0..3) {
            0 => (Region::Cone(Cone::new(ra, dec, radius).expect("a cone")), radius),
            1 => {
                let sides = (ra - radius, ra + radius * rng.random_range(0.0..1.0));
                let decs = ((dec - radius).max(-90.0), (dec + radius).min(90.0));
                (Region::Box(Rectangle::new(sides, decs).expect("a box")), radius)
            }
            _ => {
                let radius = radius.min(30.0);
                let triangle = random_triangle(rng, ra, dec, radius);
                (Region::Polygon(triangle), radius)
            }
        }
    }

    fn random_triangle(rng: &mut ChaCha8Rng, ra: f64, dec: f64, radius: f64) -> Polygon {
        loop {
            let mut corner = || {
                let dec = (dec + rng.random_range(-1.0..1.0) * radius).clamp(-90.0, 90.0);
                let stretch = dec.to_radians().cos().max(1e-2);
                (ra + rng.random_range(-1.0..1.0) * radius / stretch, dec)
            };
            if let Ok(triangle) = Polygon::new(vec![corner(), corner(), corner()]) {
                return triangle;
            }
        }
    }

    #[test]
    fn the_band_holds_every_position_of_the_region() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut inside, mut outside) = (0, 0);
        for _ in 0..60_000 {
            let (ra, dec) = (rng.random_range(0.0..360.0), rng.random_range(-90.0..=90.0));
            let (region, radius) = random_region(&mut rng, ra, dec);
            let at_dec = (dec + rng.random_range(-1.5..1.5) * radius).clamp(-90.0, 90.0);
            let stretch = at_dec.to_radians().cos().max(1e-3);
            let turn = [-360.0, 0.0, 360.0][rng.random_range(0..3)];
            let at_ra = ra + rng.random_range(-1.5..1.5) * radius / stretch + turn;
            let point = |value| Bounds {
                min: Some(Value::Float(value)),
                max: Some(Value::Float(value)),
                is_exact: true,
                null_count: Some(0),
                has_nan: Some(false),
            };
            let (ra, dec) = (point(at_ra), point(at_dec));
            let band = band(std::slice::from_ref(&region)).expect("a band");
            let verdict =
                judge(&band, 1, &|name| Known::Bounds(if name == "ra" { &ra } else { &dec }));
            if region.contains(at_ra, at_dec) {
                assert_ne!(verdict, Verdict::Never, "{region:?} lost ({at_ra}, {at_dec})");
                inside += 1;
            } else if verdict == Verdict::Never {
                outside += 1;
            }
        }
        assert!(inside > 7000 && outside > 7000, "{inside} inside, {outside} outside");
    }

    #[test]
    fn a_box_of_a_condition_covers_every_row_in_any_turn() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let mut inside = 0;
        for _ in 0..3_000 {
            let (a, b): (f64, f64) =
                (rng.random_range(-720.0..1080.0), rng.random_range(0.0..200.0));
            let dec = rng.random_range(-90.0..80.0);
            let text =
                format!("ra BETWEEN {a} AND {} AND dec BETWEEN {dec} AND {}", a + b, dec + 10.0);
            let condition = Predicate::parse(&text).expect("a condition");
            let ranges = demanded(&condition).expect("a box");
            let (ra, dec): (f64, f64) =
                (rng.random_range(a..=a + b), rng.random_range(dec..=dec + 10.0));
            let deep = crate::sky::healpix_29(ra.rem_euclid(360.0), dec).expect("on the sky");
            assert!(ranges.iter().any(|range| range.contains(&deep)), "{text} lost ({ra}, {dec})");
            inside += usize::from(ranges.len() < 200);
        }
        assert!(inside > 1500, "{inside}");
        for text in [
            "ra > 10 AND dec BETWEEN 1 AND 2",
            "ra BETWEEN 1 AND 2",
            "ra BETWEEN 1 AND 2 AND dec BETWEEN 80 AND 91",
            "ra BETWEEN 1 AND 2 OR dec BETWEEN 1 AND 2",
            "(ra BETWEEN 1 AND 2 AND dec BETWEEN 1 AND 2) IS NOT TRUE",
        ] {
            let condition = Predicate::parse(text).expect("a condition");
            assert_eq!(demanded_box(&condition), None, "{text}");
        }
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
        assert_eq!(registry::demands::multirange(&ranges), "{[10,20),[30,40)}");
    }
}
