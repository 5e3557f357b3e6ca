//! Which pixels are mine to lease now, and what the rest waits for.

use crate::share::winner;
use bifrost_core::registry::campaign::{Peer, PendingPixel};
use bifrost_core::tile::Pixel;
use std::collections::VecDeque;

/// What is to be made, as one node sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Pixels that are mine and free, with their tiles that may be tried now.
    pub mine: VecDeque<(Pixel, usize)>,
    /// Tiles of pixels that others hold, or are others' to lease.
    pub others: i64,
    /// Tiles of mine that failed and wait for another try.
    pub waiting: i64,
    /// Until the first of these may be tried, seconds.
    pub wait_s: Option<f64>,
}

impl Plan {
    /// Looks through what is pending. A pixel with files on a node that is at work stays there; all
    /// others are their winners'. Whoever makes only some tiles is no rival for the rest.
    #[must_use]
    pub fn new(me: &Peer, peers: &[Peer], pending: &[PendingPixel]) -> Self {
        let rivals: Vec<&Peer> =
            peers.iter().filter(|p| p.takes_all && p.node != me.node).chain([me]).collect();
        let mut plan = Self::default();
        for pixel in pending {
            let at_home = |peer: &&&Peer| pixel.nodes.contains(&peer.node);
            let home = winner(rivals.iter().filter(at_home).copied(), pixel.pixel);
            let owner = home.or_else(|| winner(rivals.iter().copied(), pixel.pixel));
            if pixel.is_held || owner.is_none_or(|owner| owner.node != me.node) {
                plan.others += pixel.ready + pixel.waiting;
                continue;
            }
            if pixel.ready > 0 {
                plan.mine.push_back((pixel.pixel, usize::try_from(pixel.ready).unwrap_or(1)));
            }
            plan.waiting += pixel.waiting;
            plan.wait_s = [plan.wait_s, pixel.wait_s].into_iter().flatten().reduce(f64::min);
        }
        plan
    }

    /// Whether nothing is left, for anybody.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.mine.is_empty() && self.others == 0 && self.waiting == 0
    }

    /// The next pixels of mine with so many tiles, or a few more.
    pub fn next_batch(&mut self, tiles: usize) -> Vec<Pixel> {
        let (mut pixels, mut count) = (Vec::new(), 0);
        while count < tiles
            && let Some((pixel, more)) = self.mine.pop_front()
        {
            count += more;
            pixels.push(pixel);
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(node: &str, takes_all: bool) -> Peer {
        Peer { node: node.to_owned(), weight: 1.0, takes_all }
    }

    fn pending(pixel: i64, ready: i64) -> PendingPixel {
        PendingPixel {
            pixel: Pixel::new(pixel).expect("a pixel"),
            ready,
            waiting: 0,
            wait_s: None,
            is_held: false,
            nodes: Vec::new(),
        }
    }

    #[test]
    fn every_free_pixel_is_exactly_one_nodes() {
        let peers = [peer("alpha", true), peer("beta", true), peer("gamma", true)];
        let pending: Vec<_> = (0..600).map(|p| pending(p, 2)).collect();
        let mut seen = std::collections::BTreeMap::new();
        for me in &peers {
            let plan = Plan::new(me, &peers, &pending);
            assert_eq!(plan.others + 2 * plan.mine.len() as i64, 1200);
            plan.mine.iter().for_each(|(pixel, _)| *seen.entry(*pixel).or_insert(0) += 1);
        }
        assert_eq!(seen.len(), 600);
        assert!(seen.values().all(|n| *n == 1));
    }

    #[test]
    fn pixels_stay_where_their_files_are_while_that_node_is_at_work() {
        let peers = [peer("alpha", true), peer("beta", true)];
        let at = |node: &str| PendingPixel { nodes: vec![node.to_owned()], ..pending(7, 1) };
        for (node, mine) in [("alpha", 1), ("beta", 0)] {
            assert_eq!(Plan::new(&peers[0], &peers, &[at(node)]).mine.len(), mine);
        }
        // its node went away: the pixel goes to whoever wins it
        let owner = |pixel: &PendingPixel| {
            let mine =
                |p: &&Peer| !Plan::new(p, &peers, std::slice::from_ref(pixel)).mine.is_empty();
            peers.iter().filter(mine).map(|p| p.node.clone()).collect::<Vec<_>>()
        };
        assert_eq!(owner(&at("gone")), owner(&pending(7, 1)));
    }

    #[test]
    fn what_waits_is_told_apart() {
        let me = peer("alpha", true);
        let held = PendingPixel { is_held: true, ..pending(1, 3) };
        let waiting = PendingPixel { waiting: 2, wait_s: Some(5.0), ..pending(2, 0) };
        let later = PendingPixel { waiting: 1, wait_s: Some(9.0), ..pending(3, 4) };
        let mut plan = Plan::new(&me, std::slice::from_ref(&me), &[held, waiting, later]);
        assert_eq!((plan.others, plan.waiting, plan.wait_s), (3, 3, Some(5.0)));
        assert_eq!(plan.next_batch(1).len(), 1);
        assert!(plan.next_batch(1).is_empty() && !plan.is_done());
        assert!(Plan::new(&me, &[], &[]).is_done());
    }

    #[test]
    fn who_makes_only_some_tiles_is_no_rival_for_the_rest() {
        let (all, some) = (peer("alpha", true), peer("beta", false));
        let peers = [all.clone(), some.clone()];
        let pending: Vec<_> = (0..100).map(|p| pending(p, 1)).collect();
        assert_eq!(Plan::new(&all, &peers, &pending).mine.len(), 100);
        let part = Plan::new(&some, &peers, &pending).mine.len();
        assert!(part > 0 && part < 100, "{part}");
    }
}
