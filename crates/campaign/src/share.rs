//! Who makes which pixel: weighted rendezvous hashing.
//!
//! Every node computes the same winner from the same list of nodes, without talking. When a node
//! comes or goes, only its own share moves. The hash is BLAKE3 of the node's name, a zero byte and
//! the pixel's number (4 bytes, little-endian), so that shares are the same for ever.

use bifrost_core::tile::Pixel;

/// Somebody who can be given a share.
pub trait Contender {
    /// Its name.
    fn name(&self) -> &str;
    /// Its share, relative to others'; positive.
    fn weight(&self) -> f64;
}

impl Contender for bifrost_core::registry::campaign::Peer {
    fn name(&self) -> &str {
        &self.node
    }
    fn weight(&self) -> f64 {
        self.weight
    }
}

/// The one that makes a pixel; none of none.
pub fn winner<'a, C: Contender>(
    contenders: impl IntoIterator<Item = &'a C>,
    pixel: Pixel,
) -> Option<&'a C> {
    let score = |c: &C| score(c.name(), c.weight(), pixel);
    // of two equal scores the name decides: the order of the list must not
    contenders
        .into_iter()
        .max_by(|a, b| score(a).total_cmp(&score(b)).then_with(|| a.name().cmp(b.name())))
}

/// The larger, the more it is this node's: -w / ln u, u uniform in (0, 1).
fn score(node: &str, weight: f64, pixel: Pixel) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(node.as_bytes()).update(&[0]).update(&pixel.get().to_le_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    let u = ((u64::from_le_bytes(first) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -weight / u.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::registry::campaign::Peer;
    use std::collections::BTreeMap;

    fn peers(list: &[(&str, f64)]) -> Vec<Peer> {
        let peer = |(node, weight): &(&str, f64)| Peer {
            node: (*node).to_owned(),
            weight: *weight,
            takes_all: true,
        };
        list.iter().map(peer).collect()
    }

    fn pixels() -> impl Iterator<Item = Pixel> {
        (0..i64::from(Pixel::COUNT)).filter_map(|p| Pixel::new(p).ok())
    }

    fn shares(peers: &[Peer]) -> Vec<&str> {
        pixels().filter_map(|pixel| winner(peers, pixel)).map(|peer| peer.node.as_str()).collect()
    }

    #[test]
    fn shares_follow_weights() {
        let peers = peers(&[("alpha", 1.0), ("beta", 1.0), ("gamma", 2.0)]);
        let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
        shares(&peers).into_iter().for_each(|node| *counts.entry(node).or_default() += 1.0);
        for (node, share) in [("alpha", 0.25), ("beta", 0.25), ("gamma", 0.5)] {
            let found = counts[node] / f64::from(Pixel::COUNT);
            // five standard deviations of a binomial
            assert!((found - share).abs() < 0.01, "{node}: {found}");
        }
    }

    #[test]
    fn who_comes_takes_and_who_goes_gives_and_nothing_else_moves() {
        let three = peers(&[("alpha", 1.0), ("beta", 1.5), ("gamma", 1.0)]);
        let two = [three[0].clone(), three[2].clone()];
        let reversed: Vec<Peer> = three.iter().rev().cloned().collect();
        assert_eq!(shares(&three), shares(&reversed));
        for (with, without) in shares(&three).into_iter().zip(shares(&two)) {
            assert!(with == without || with == "beta", "{without} -> {with}");
        }
    }

    #[test]
    fn shares_never_change() {
        let peers = peers(&[("alpha", 1.0), ("beta", 1.0), ("gamma", 1.0)]);
        let digest = blake3::hash(shares(&peers).concat().as_bytes()).to_hex();
        assert_eq!(&digest[..16], "8ba431c099378afa");
        assert_eq!(winner::<Peer>([], Pixel::new(0).expect("a pixel")), None);
    }
}
