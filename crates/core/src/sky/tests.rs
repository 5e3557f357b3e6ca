//! Regions: covers hold every position, whatever the region is.

use super::*;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// A position; every fourth near a pole, every fourth near RA = 0.
fn anywhere(rng: &mut ChaCha8Rng) -> (f64, f64) {
    let ra = rng.random_range(0.0..360.0);
    let dec = f64::asin(rng.random_range(-1.0..1.0)).to_degrees();
    match rng.random_range(0..4) {
        0 => (ra, if dec < 0.0 { -90.0 } else { 90.0 } - dec / 90.0),
        1 => (ra / 360.0, dec),
        _ => (ra, dec),
    }
}

/// The position at a bearing and a distance from another one.
fn away((ra, dec): (f64, f64), bearing_deg: f64, distance_deg: f64) -> (f64, f64) {
    let (sin_d, cos_d) = dec.to_radians().sin_cos();
    let (sin_r, cos_r) = distance_deg.to_radians().sin_cos();
    let (sin_b, cos_b) = bearing_deg.to_radians().sin_cos();
    let z = sin_d * cos_r + cos_d * sin_r * cos_b;
    let (x, y) = (cos_d * cos_r - sin_d * sin_r * cos_b, sin_b * sin_r);
    (ra + y.atan2(x).to_degrees(), z.atan2(x.hypot(y)).to_degrees())
}

fn holds(ranges: &[Range<i64>], (ra, dec): (f64, f64)) -> bool {
    let deep = healpix_29(ra.rem_euclid(360.0), dec).expect("on the sky");
    let first = ranges.partition_point(|range| range.end <= deep);
    ranges.get(first).is_some_and(|range| range.start <= deep)
}

fn check_order(ranges: &[Range<i64>]) {
    assert!(ranges.iter().all(|range| range.start < range.end), "{ranges:?}");
    assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "{ranges:?}");
}

#[test]
fn covers_hold_every_position_of_their_regions() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut inside = [0; 4];
    for round in 0..1200 {
        let centre = anywhere(&mut rng);
        let radius: f64 = 10f64.powf(rng.random_range(-3.0..2.3)).min(180.0);
        let (region, kind) = match round % 4 {
            0 => (Region::Cone(Cone::new(centre.0, centre.1, radius).expect("a cone")), 0),
            1 => (Region::Polygon(star(&mut rng, centre, radius.min(70.0)).0), 1),
            2 => (Region::Box(rectangle(&mut rng, centre, radius)), 2),
            _ => (Region::Moc(map(&mut rng, centre, radius)), 3),
        };
        let fine = region::cover(std::slice::from_ref(&region)).expect("a cover");
        let coarse = region::tile_cover(&fine);
        check_order(&fine);
        check_order(&coarse);
        assert!(kind == 3 || fine.len() < 3000, "{} ranges for {region:?}", fine.len());
        for _ in 0..60 {
            let bearing = rng.random_range(0.0..360.0);
            let at = away(centre, bearing, rng.random_range(0.0..1.2) * radius.min(150.0));
            if region.contains(at.0, at.1) {
                assert!(holds(&fine, at) && holds(&coarse, at), "{region:?} lost {at:?}");
                inside[kind] += 1;
            }
        }
        // and not much more than that
        let share = cover::share(&fine);
        assert!(share < 2.0 * region.share() + 1e-4, "{region:?}: {share}");
    }
    assert!(inside.iter().all(|positions| *positions > 2000), "{inside:?}");
}

/// A polygon around a point that sees all of its corners, and its corners.
fn star(rng: &mut ChaCha8Rng, centre: (f64, f64), radius: f64) -> (Polygon, Vec<(f64, f64)>) {
    let corners = rng.random_range(3..12);
    let mut bearings: Vec<f64> = (0..corners)
        .map(|i| (f64::from(i) + rng.random_range(0.0..0.4)) * 360.0 / f64::from(corners))
        .collect();
    if rng.random_range(0..2) == 0 {
        bearings.reverse();
    }
    let corner = |bearing: &f64| away(centre, *bearing, radius * rng.random_range(0.2..1.0));
    let corners: Vec<(f64, f64)> = bearings.iter().map(corner).collect();
    (Polygon::new(corners.clone()).expect("a polygon"), corners)
}

fn rectangle(rng: &mut ChaCha8Rng, (ra, dec): (f64, f64), radius: f64) -> Rectangle {
    let mut side = |least: f64, most: f64| rng.random_range(0.0..1.0) * radius.min(most - least);
    let (south, north) = (dec - side(-90.0, dec), dec + side(dec, 90.0));
    let stretch = 1.0 / dec.to_radians().cos().max(0.05);
    let (west, east) = (ra - side(0.0, 179.0) * stretch, ra + side(0.0, 179.0) * stretch);
    Rectangle::new((west, east.min(west + 400.0)), (south.max(-90.0), north.min(90.0)))
        .expect("a box")
}

/// Cells of several orders near a position.
fn map(rng: &mut ChaCha8Rng, centre: (f64, f64), radius: f64) -> Moc {
    let cells: Vec<String> = (0..rng.random_range(1..40))
        .map(|_| {
            let bearing = rng.random_range(0.0..360.0);
            let (ra, dec) = away(centre, bearing, rng.random_range(0.0..1.0) * radius);
            let order = rng.random_range(0..=10u8) + if radius < 1.0 { 8 } else { 2 };
            let deep = healpix_29(ra, dec).expect("on the sky");
            format!("{order}/{}", deep >> (2 * (ORDER - order)))
        })
        .collect();
    cells.join(" ").parse().expect("a map")
}

#[test]
fn a_polygon_holds_what_its_triangles_hold() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let (mut inside, mut outside) = (0, 0);
    for _ in 0..800 {
        let centre = anywhere(&mut rng);
        let radius = 10f64.powf(rng.random_range(-3.0..1.7));
        let (polygon, corners) = star(&mut rng, centre, radius);
        for (ra, dec) in &corners {
            assert!(polygon.contains(*ra, *dec), "{polygon} lost its corner ({ra}, {dec})");
        }
        let mut area = 0.0;
        for i in 0..corners.len() {
            let (a, b) = (corners[i], corners[(i + 1) % corners.len()]);
            // some way from one corner to the other
            let (bearing, length) = bearing_to(a, b);
            let on_edge = away(a, bearing, length * rng.random_range(0.0..1.0));
            assert!(polygon.contains(on_edge.0, on_edge.1), "{polygon} lost {on_edge:?}");
            area += Polygon::new(vec![centre, a, b]).map_or(0.0, |triangle| triangle.share());
        }
        assert!((area / polygon.share() - 1.0).abs() < 1e-4, "{area} {}", polygon.share());
        for _ in 0..50 {
            let at =
                away(centre, rng.random_range(0.0..360.0), rng.random_range(0.0..1.2) * radius);
            let triangle =
                |i: usize| Polygon::new(vec![centre, corners[i], corners[(i + 1) % corners.len()]]);
            let is_inside = (0..corners.len())
                .filter_map(|i| triangle(i).ok())
                .any(|triangle| triangle.contains(at.0, at.1));
            assert_eq!(polygon.contains(at.0, at.1), is_inside, "{polygon} {at:?}");
            *(if is_inside { &mut inside } else { &mut outside }) += 1;
        }
        // the far side of the sky
        assert!(!polygon.contains(centre.0 + 180.0, -centre.1));
        let text = polygon.to_string();
        assert_eq!(text.parse::<Polygon>().expect("a polygon").to_string(), text);
    }
    assert!(inside > 5000 && outside > 5000, "{inside} inside, {outside} outside");
}

fn bearing_to((ra1, dec1): (f64, f64), (ra2, dec2): (f64, f64)) -> (f64, f64) {
    let (sin1, cos1) = dec1.to_radians().sin_cos();
    let (sin2, cos2) = dec2.to_radians().sin_cos();
    let (sin_d, cos_d) = (ra2 - ra1).to_radians().sin_cos();
    let bearing = (sin_d * cos2).atan2(cos1 * sin2 - sin1 * cos2 * cos_d);
    (bearing.to_degrees(), separation_deg(ra1, dec1, ra2, dec2))
}

#[test]
fn corners_that_enclose_nothing_are_refused() {
    let refused = |text: &str| text.parse::<Polygon>().expect_err(text).to_string();
    assert!(refused("1,2,3").contains("is not RA,DEC,RA,DEC,RA,DEC"));
    assert!(refused("1,2,x,4,5,6").contains("is not RA,DEC"));
    assert_eq!(refused("1,2,3,4"), "polygon has fewer than three corners");
    assert_eq!(refused("1,2,3,4,1,2"), "polygon has a corner twice");
    assert_eq!(
        refused("0,0,10,0,20,0"),
        "polygon has no area: its corners lie on one great circle"
    );
    assert!(refused("0,0,10,10,10,0,0,10").contains("edges that cross each other"));
    assert!(refused("0,0,120,0,240,0").contains("no hemisphere"));
    assert!(refused("0,0,10,91,10,0").contains("is not on the sky"));
    let closed: Polygon = "0,0,10,0,10,10,0,0".parse().expect("a triangle");
    assert_eq!(closed.corners_deg().len(), 3);
}

#[test]
fn a_box_holds_its_sides_in_any_turn() {
    let held = |text: &str, positions: &[(f64, f64)]| -> Vec<bool> {
        let rectangle: Rectangle = text.parse().expect("a box");
        let again: Rectangle = rectangle.to_string().parse().expect("a box");
        assert_eq!(again, rectangle);
        positions.iter().map(|(ra, dec)| rectangle.contains(*ra, *dec)).collect()
    };
    let around = [(350.0, 0.0), (-10.0, 1.0), (0.0, 1.0), (360.0, 0.5), (10.0, 0.5), (730.0, 0.2)];
    assert_eq!(held("350,10,0,1", &around), [true; 6]);
    assert_eq!(held("-10,10,0,1", &around), [true; 6]);
    assert_eq!(held("350,370,0,1", &around), [true; 6]);
    assert_eq!(held("350,360,0,1", &around), [true, true, true, true, false, false]);
    assert_eq!(held("10,350,0,1", &around), [true, true, false, false, true, true]);
    assert_eq!(held("0,360,0,0.5", &around), [true, false, false, true, true, true]);
    assert_eq!(held("10.1,20.3,-5,5", &[(10.1, -5.0), (20.3, 5.0), (370.1, 0.0)]), [true; 3]);
    assert_eq!(held("10,20,80,90", &[(200.0, 90.0), (200.0, 89.0)]), [true, false]);
    let refused = |text: &str| text.parse::<Rectangle>().expect_err(text).to_string();
    assert!(refused("1,2,3").contains("is not RA_MIN,RA_MAX,DEC_MIN,DEC_MAX"));
    assert_eq!(refused("1,2,4,3"), "declination goes from 4 to 3: the least comes first");
    assert!(refused("1,2,-91,3").contains("is not on the sky"));
    assert!(refused("1,inf,0,3").contains("is not on the sky"));
    let hemisphere: Rectangle = "0,360,0,90".parse().expect("a box");
    assert!((hemisphere.share() - 0.5).abs() < 1e-12);
}

#[test]
fn a_map_is_the_same_in_all_spellings() {
    let ranges = |text: &str| text.parse::<Moc>().map(|moc| moc.ranges().to_vec());
    let ascii = ranges("s1/2, 4-5\n3/0-3 29/").expect("a map");
    assert_eq!(ascii, [range_of(2, 0), range_of(1, 2), range_of(1, 4).start..range_of(1, 5).end]);
    assert_eq!(ranges(r#"{"1": [5, 2, 4], "3": [0, 1, 2, 3], "29": []}"#), Ok(ascii.clone()));
    let moc = "1/2,4-5 3/0-3".parse::<Moc>().expect("a map");
    assert_eq!(moc.to_string(), "1/2,4-5 2/0");
    assert_eq!(ranges("0/"), Ok(vec![]));
    assert_eq!("0/".parse::<Moc>().expect("no cell").to_string(), "0/");
    assert_eq!("0/0-11".parse::<Moc>().expect("all cells").share(), 1.0);
    for text in [
        "",
        "3",
        "30/1",
        "0/12",
        "1/48",
        "2/5-4",
        "t1/2",
        "1/-3",
        "1/2/3",
        "{\"1\": [48]}",
        "{\"x\": [1]}",
        "{\"1\": [1.5]}",
        "29/99999999999999999999",
    ] {
        let refused = ranges(text).expect_err(text).to_string();
        assert!(refused.starts_with("MOC cannot be read: "), "{refused}");
    }
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for _ in 0..200 {
        let centre = anywhere(&mut rng);
        let moc = map(&mut rng, centre, 5.0);
        assert_eq!(moc.to_string().parse::<Moc>().expect("a map"), moc);
    }
}

#[test]
fn a_file_that_is_no_map_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("map");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        Moc::read(&path).expect_err("no map").to_string()
    };
    assert!(refused(b"hello").contains("'hello' is not ORDER/CELLS"));
    assert!(refused(&[0, 159, 146]).contains("neither FITS nor text"));
    let mut header = [b' '; 2880];
    header[..30].copy_from_slice(b"SIMPLE  =                    T");
    assert!(refused(&header).starts_with("failed to read the MOC in "));
    assert!(Moc::read(Path::new("/nowhere/map")).is_err());
}

#[test]
fn several_regions_cover_what_they_have_in_common() {
    let cone = Region::Cone("10,10,2".parse().expect("a cone"));
    let half = Region::Box("0,10,-90,90".parse().expect("a box"));
    let regions = [cone.clone(), half];
    let ranges = region::cover(&regions).expect("a cover");
    check_order(&ranges);
    assert!(holds(&ranges, (9.5, 10.0)) && !holds(&ranges, (11.0, 10.0)));
    assert!(!holds(&ranges, (5.0, 10.0)));
    assert!((region::share(&regions) / cone.share() - 0.5).abs() < 0.1);
    assert_eq!(region::cover(&[]), None);
    assert_eq!(region::share(&[]), 1.0);
}

#[test]
fn no_position_has_no_number() {
    assert_eq!(healpix_29(f64::NAN, 0.0), None);
    assert_eq!(healpix_29(0.0, 90.1), None);
    assert!(healpix_29(-10.0, 0.0).is_some());
}
