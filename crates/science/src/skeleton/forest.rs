//! Filaments as lines that do not overlap.
//!
//! Paths of vertices lead to peaks. A cancelled pass joins the paths of its two ends into one tree, whose
//! peaks are all cancelled but one. So the way from a pass that is kept to the peak that is left is the way
//! in that tree, and only those trees' branches are looked at that such ways use.

use super::Rated;
use crate::mesh::NONE;
use crate::morse::{Complex, Edge};
use rayon::prelude::*;

/// A line from node to node, by ranks of vertices.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub ranks: Vec<u32>,
    /// The greatest persistence of the passes that use it.
    pub ratio: f64,
}

/// Lines, and the vertices where they join.
#[derive(Debug, Default)]
pub(super) struct Forest {
    pub lines: Vec<Line>,
    /// Ranks that are no peak and no pass, each with the persistence of what runs through.
    pub joins: Vec<(u32, f64)>,
}

/// Vertices on ways, with the next one on each way.
struct Ways {
    /// Ranks, ascending.
    ranks: Vec<u32>,
    /// The next vertex, by its place; [`NONE`] at a peak.
    parent: Vec<u32>,
    /// Vertices by their distance to the peak.
    outward: Vec<u32>,
}

impl Forest {
    pub(super) fn new(complex: &Complex, critical: &Rated, ratios: [f64; 3]) -> Self {
        let [peaks, passes, ..] = &critical.0;
        let is_peak: Vec<bool> = peaks.iter().map(|peak| peak.is_kept(ratios)).collect();
        let (kept, cancelled): (Vec<_>, Vec<_>) =
            complex.edges.iter().zip(passes).partition(|pass| pass.1.is_kept(ratios));
        // a cancelled pass joins two peaks' trees if its partner is a peak
        let joins = cancelled.into_iter().filter(|pass| pass.1.threshold == 2);
        let joins: Vec<&Edge> = joins.map(|pass| pass.0).collect();
        let used = used(&is_peak, &joins, kept.iter().flat_map(|pass| pass.0.ends));
        let mut links = links(complex, kept.iter().map(|pass| pass.0), false);
        links.extend(self::links(complex, used.iter().copied(), true));
        let roots =
            complex.vertices.iter().zip(&is_peak).filter(|peak| *peak.1).map(|peak| *peak.0);
        let ways = Ways::new(links, roots);
        ways.lines(&kept.iter().map(|pass| (pass.0.ranks, pass.1.ratio)).collect::<Vec<_>>())
    }
}

/// Cancelled passes that lie on the way from any of the peaks `from` to the peak that is left.
fn used<'a>(
    is_peak: &[bool],
    cancelled: &[&'a Edge],
    from: impl Iterator<Item = u32>,
) -> Vec<&'a Edge> {
    let mut around: Vec<(u32, u32, usize)> = Vec::with_capacity(2 * cancelled.len());
    for (number, edge) in cancelled.iter().enumerate() {
        let [a, b] = edge.ends;
        around.extend([(a, b, number), (b, a, number)]);
    }
    around.par_sort_unstable();
    let mut way: Vec<Option<(u32, usize)>> = vec![None; is_peak.len()];
    let mut outward: Vec<u32> =
        (0..is_peak.len() as u32).filter(|&p| is_peak[p as usize]).collect();
    let mut at = 0;
    while let Some(&peak) = outward.get(at) {
        let begin = around.partition_point(|entry| entry.0 < peak);
        for &(_, other, number) in around[begin..].iter().take_while(|entry| entry.0 == peak) {
            if !is_peak[other as usize] && way[other as usize].is_none() {
                way[other as usize] = Some((peak, number));
                outward.push(other);
            }
        }
        at += 1;
    }
    let mut is_used = vec![false; cancelled.len()];
    for mut peak in from {
        while let Some((next, number)) = way[peak as usize] {
            if std::mem::replace(&mut is_used[number], true) {
                break;
            }
            peak = next;
        }
    }
    cancelled.iter().zip(is_used).filter(|pass| pass.1).map(|pass| *pass.0).collect()
}

/// Pairs of ranks that follow each other on the paths from both ends of passes, and if asked for, of the
/// passes themselves.
fn links<'a>(
    complex: &Complex,
    passes: impl Iterator<Item = &'a Edge>,
    joined: bool,
) -> Vec<(u32, u32)> {
    let passes: Vec<&Edge> = passes.collect();
    let link = |edge: &&Edge| {
        let mut links = Vec::new();
        for end in 0..2 {
            let path = complex.path(edge, end);
            links.extend(path.windows(2).map(|two| (two[0], two[1])));
        }
        links.extend(joined.then_some((edge.ranks[0], edge.ranks[1])));
        links
    };
    passes.par_iter().map(link).collect::<Vec<_>>().concat()
}

impl Ways {
    fn new(mut links: Vec<(u32, u32)>, roots: impl Iterator<Item = u32>) -> Self {
        links.par_sort_unstable();
        links.dedup();
        let back: Vec<(u32, u32)> = links.iter().map(|&(a, b)| (b, a)).collect();
        links.extend(back);
        links.par_sort_unstable();
        let mut ranks: Vec<u32> = links.iter().map(|link| link.0).collect();
        let roots: Vec<u32> = roots.collect();
        ranks.extend(&roots);
        ranks.par_sort_unstable();
        ranks.dedup();
        let place = |rank: u32| ranks.partition_point(|&other| other < rank);
        let mut parent = vec![NONE; ranks.len()];
        let mut is_seen = vec![false; ranks.len()];
        let mut outward = Vec::with_capacity(ranks.len());
        for root in roots {
            is_seen[place(root)] = true;
            outward.push(place(root) as u32);
        }
        let mut at = 0;
        while let Some(&own) = outward.get(at) {
            let rank = ranks[own as usize];
            let begin = links.partition_point(|link| link.0 < rank);
            for &(_, other) in links[begin..].iter().take_while(|link| link.0 == rank) {
                let other = place(other);
                if !std::mem::replace(&mut is_seen[other], true) {
                    parent[other] = own;
                    outward.push(other as u32);
                }
            }
            at += 1;
        }
        Self { ranks, parent, outward }
    }

    /// Lines from passes that are kept, and from where such lines join, to the next pass, join or peak.
    fn lines(&self, passes: &[([u32; 2], f64)]) -> Forest {
        let count = self.ranks.len();
        let place = |rank: u32| self.ranks.binary_search(&rank).ok();
        let (mut ratio, mut comes) = (vec![0.0_f64; count], vec![0u32; count]);
        let mut is_pass = vec![false; count];
        let mut steps = Vec::with_capacity(passes.len());
        for &(ranks, own) in passes {
            let [Some(low), Some(high)] = ranks.map(place) else { continue };
            is_pass[low] = true;
            comes[high] += 1;
            ratio[low] = ratio[low].max(own);
            ratio[high] = ratio[high].max(own);
            steps.push((low, high, own));
        }
        for &at in self.outward.iter().rev() {
            let (at, parent) = (at as usize, self.parent[at as usize]);
            if parent != NONE && ratio[at] > 0.0 {
                comes[parent as usize] += 1;
                ratio[parent as usize] = ratio[parent as usize].max(ratio[at]);
            }
        }
        let is_root = |at: usize| self.parent[at] == NONE;
        let is_node = |at: usize| is_root(at) || is_pass[at] || comes[at] > 1;
        let line = |first: usize, second: usize, ratio| {
            let mut ranks = vec![self.ranks[first], self.ranks[second]];
            let mut at = second;
            while !is_node(at) {
                at = self.parent[at] as usize;
                ranks.push(self.ranks[at]);
            }
            Line { ranks, ratio }
        };
        let mut forest = Forest::default();
        for at in (0..count).filter(|&at| is_node(at) && !is_root(at)) {
            forest.lines.push(line(at, self.parent[at] as usize, ratio[at]));
            if !is_pass[at] {
                forest.joins.push((self.ranks[at], ratio[at]));
            }
        }
        forest.lines.extend(steps.into_iter().map(|(low, high, ratio)| line(low, high, ratio)));
        forest.lines.sort_by(|a, b| a.ranks.cmp(&b.ranks));
        forest
    }
}
