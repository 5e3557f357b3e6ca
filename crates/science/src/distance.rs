//! Distances from points to the nearest of many segments: to filaments, and, with segments of no length,
//! to nodes.
//!
//! Segments lie in a tree of boxes, halved at the median along the longest side. A point looks into the
//! nearer box first and into none that is farther than what was found.

use rayon::prelude::*;

/// Segments of a leaf, at most.
const LEAF: usize = 4;
/// How much of a squared distance to a box is believed: rounding may have added to it.
const SAFE: f64 = 1.0 - 1e-14;

/// A point in space, in whatever unit.
pub type Point = [f64; 3];

/// Why there is no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A segment whose ends are not finite.
    #[error("segment {0} is not finite")]
    NotFinite(usize),
    /// More segments than 32 bits number.
    #[error("{0} segments are too many")]
    TooMany(usize),
}

/// What is nearest to a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Its Euclidean distance, in the unit of the points.
    pub distance: f64,
    /// The segment, by its place among those given; of equally near ones the first.
    pub segment: u32,
}

/// A tree of segments.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    segments: Vec<[Point; 2]>,
    /// For each of `segments`, its place among those given.
    places: Vec<u32>,
    /// The first is the root; the left child of a branch follows it.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    low: Point,
    high: Point,
    /// First segment of a leaf, right child of a branch.
    first: u32,
    /// Segments of a leaf; 0 for a branch.
    count: u32,
}

impl Segments {
    /// Builds the tree.
    ///
    /// # Errors
    /// Ends that are not finite; more than 32 bits number.
    pub fn new(segments: &[[Point; 2]]) -> Result<Self, Error> {
        let count = u32::try_from(segments.len()).map_err(|_| Error::TooMany(segments.len()))?;
        let is_finite = |segment: &[Point; 2]| segment.iter().flatten().all(|x| x.is_finite());
        if let Some(wrong) = segments.iter().position(|segment| !is_finite(segment)) {
            return Err(Error::NotFinite(wrong));
        }
        let mut places: Vec<u32> = (0..count).collect();
        let mut nodes = Vec::with_capacity(segments.len().div_ceil(LEAF) * 2);
        if count > 0 {
            build(segments, &mut places, 0, &mut nodes);
        }
        let sorted = places.iter().map(|&place| segments[place as usize]).collect();
        Ok(Self { segments: sorted, places, nodes })
    }

    /// A tree of points: segments of no length.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_points(points: &[Point]) -> Result<Self, Error> {
        Self::new(&points.iter().map(|&point| [point; 2]).collect::<Vec<_>>())
    }

    /// The nearest segment; `None` without segments, or for a point that is not finite.
    #[must_use]
    pub fn nearest(&self, point: Point) -> Option<Nearest> {
        if self.nodes.is_empty() || !point.iter().all(|x| x.is_finite()) {
            return None;
        }
        let (mut best, mut segment) = (f64::INFINITY, u32::MAX);
        // halves are of equal size, so that the tree of 2³² segments has 31 levels
        let mut open = [(0.0, 0); 64];
        let mut len = 1;
        while len > 0 {
            len -= 1;
            let (bound, at) = open[len];
            if bound > best {
                continue;
            }
            let node = &self.nodes[at];
            if node.count > 0 {
                for at in node.first as usize..(node.first + node.count) as usize {
                    let found = (squared_distance(point, self.segments[at]), self.places[at]);
                    if found < (best, segment) {
                        (best, segment) = found;
                    }
                }
                continue;
            }
            let children = [at + 1, node.first as usize];
            let [left, right] = children.map(|child| (self.nodes[child].bound(point), child));
            let (near, far) = if left.0 <= right.0 { (left, right) } else { (right, left) };
            for child in [far, near].into_iter().filter(|child| child.0 <= best) {
                open[len] = child;
                len += 1;
            }
        }
        Some(Nearest { distance: best.sqrt(), segment })
    }

    /// [`Self::nearest`] of many points, on all threads.
    #[must_use]
    pub fn nearest_of(&self, points: &[Point]) -> Vec<Option<Nearest>> {
        points.par_iter().with_min_len(256).map(|&point| self.nearest(point)).collect()
    }
}

impl Node {
    /// A squared distance that nothing in the box is nearer than.
    fn bound(&self, point: Point) -> f64 {
        let axis = |k: usize| (self.low[k] - point[k]).max(point[k] - self.high[k]).max(0.0);
        let [x, y, z] = [axis(0), axis(1), axis(2)];
        (x * x + y * y + z * z) * SAFE
    }
}

fn build(segments: &[[Point; 2]], places: &mut [u32], first: u32, nodes: &mut Vec<Node>) {
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for end in places.iter().flat_map(|&place| segments[place as usize]) {
        low = std::array::from_fn(|k| low[k].min(end[k]));
        high = std::array::from_fn(|k| high[k].max(end[k]));
    }
    let at = nodes.len();
    nodes.push(Node { low, high, first, count: places.len() as u32 });
    if places.len() <= LEAF {
        return;
    }
    // among equal segments nothing can be halved, and the first is nearest
    let equal = |place: &u32| segments[*place as usize] == segments[places[0] as usize];
    if places.iter().all(equal) {
        places.sort_unstable();
        nodes[at].count = 1;
        return;
    }
    let side = |k: &usize| high[*k] - low[*k];
    let longest = (0..3).max_by(|a, b| side(a).total_cmp(&side(b))).unwrap_or(0);
    let middle = |place: &u32| {
        let [a, b] = segments[*place as usize];
        (0.5 * a[longest] + 0.5 * b[longest], *place)
    };
    let half = places.len() / 2;
    places.select_nth_unstable_by(half, |a, b| {
        let (a, b) = (middle(a), middle(b));
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
    });
    let (left, right) = places.split_at_mut(half);
    build(segments, left, first, nodes);
    (nodes[at].first, nodes[at].count) = (nodes.len() as u32, 0);
    build(segments, right, first + half as u32, nodes);
}

/// Squared distance of a point to a segment.
#[must_use]
pub fn squared_distance(point: Point, [from, to]: [Point; 2]) -> f64 {
    let along: Point = std::array::from_fn(|k| to[k] - from[k]);
    let out: Point = std::array::from_fn(|k| point[k] - from[k]);
    let dot = |a: &Point, b: &Point| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let length = dot(&along, &along);
    let part = if length > 0.0 { (dot(&out, &along) / length).clamp(0.0, 1.0) } else { 0.0 };
    let rest: Point = std::array::from_fn(|k| out[k] - part * along[k]);
    dot(&rest, &rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn dice() -> rand_chacha::ChaCha8Rng {
        rand_chacha::ChaCha8Rng::seed_from_u64(7)
    }

    fn brute(segments: &[[Point; 2]], point: Point) -> (f64, u32) {
        let all = segments.iter().zip(0..).map(|(&s, place)| (squared_distance(point, s), place));
        all.fold((f64::INFINITY, u32::MAX), |best, next| if next < best { next } else { best })
    }

    #[test]
    fn the_tree_finds_what_brute_force_finds() {
        let mut dice = dice();
        for (count, reach, shift) in [(1, 1.0, 0.0), (3, 0.1, 0.0), (5, 0.0, 1e9), (900, 0.05, 0.0)]
        {
            let mut point = |reach: f64| -> Point {
                std::array::from_fn(|_| shift + reach * dice.random::<f64>())
            };
            let segments: Vec<[Point; 2]> = (0..count)
                .map(|_| {
                    let (a, b) = (point(1.0), point(reach));
                    [a, std::array::from_fn(|k| a[k] + b[k] - shift)]
                })
                .collect();
            let tree = Segments::new(&segments).expect("a tree");
            let points: Vec<Point> = (0..500).map(|_| point(1.5)).collect();
            for (found, &point) in tree.nearest_of(&points).iter().zip(&points) {
                let found = found.expect("a distance");
                let (squared, segment) = brute(&segments, point);
                assert_eq!((found.distance, found.segment), (squared.sqrt(), segment));
            }
        }
    }

    #[test]
    fn of_equal_segments_the_first_is_nearest() {
        let tree = Segments::new(&[[[0.0; 3], [1.0; 3]]; 100]).expect("a tree");
        let found = tree.nearest([2.0, 1.0, 1.0]).expect("a distance");
        assert_eq!(found, Nearest { distance: 1.0, segment: 0 });
    }

    #[test]
    fn equal_segments_are_looked_at_once() {
        let mut dice = dice();
        let few: Vec<[Point; 2]> = (0..3).map(|_| dice.random()).collect();
        let many: Vec<[Point; 2]> = (0..3000).map(|number| few[number % 3]).collect();
        let tree = Segments::new(&many).expect("a tree");
        assert!(tree.nodes.len() < 60, "{} boxes", tree.nodes.len());
        for _ in 0..100 {
            let point: Point = dice.random();
            let found = tree.nearest(point).expect("a distance");
            let (squared, segment) = brute(&many, point);
            assert_eq!((found.distance, found.segment), (squared.sqrt(), segment));
        }
    }

    #[test]
    fn a_point_beside_a_segment_is_as_far_as_its_foot_and_beyond_its_end_as_far_as_that() {
        let segment = [[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]];
        assert_eq!(squared_distance([1.0, 3.0, 4.0], segment), 25.0);
        assert_eq!(squared_distance([7.0, 4.0, 0.0], segment), 25.0);
        assert_eq!(squared_distance([7.0, 4.0, 0.0], [segment[1]; 2]), 25.0);
    }

    #[test]
    fn what_is_not_finite_is_refused_and_nothing_has_no_distance() {
        let refused = Segments::new(&[[[0.0; 3], [f64::NAN; 3]]]).map(|_| ());
        assert_eq!(refused, Err(Error::NotFinite(0)));
        assert_eq!(Segments::new(&[]).expect("a tree").nearest([0.0; 3]), None);
        let tree = Segments::of_points(&[[0.0; 3]]).expect("a tree");
        assert_eq!(tree.nearest([f64::INFINITY, 0.0, 0.0]), None);
    }
}
