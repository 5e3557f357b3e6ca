//! The edge cases a mock tile can show: what goes wrong in real archives, on purpose.

use std::collections::BTreeSet;
use std::fmt;

macro_rules! edges {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal,)+) => {
        /// One thing that is out of the ordinary with a tile.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Edge {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Edge {
            /// Every edge case.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word that asks for it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it means, in one line.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii(),)+ }
            }
        }
    };
}

edges! {
    /// every row is an unassigned fiber (no data at all)
    NodataOnly = "nodata_only",
    /// no quasars
    NoQso = "no_qso",
    /// every good row is a quasar
    AllQso = "all_qso",
    /// every redshift carries a warning (ZWARN != 0)
    NoGood = "no_good",
    /// the B arm has zero ivar for every row
    DeadB = "dead_b",
    /// the R arm has zero ivar for every row
    DeadR = "dead_r",
    /// the Z arm has zero ivar for every row
    DeadZ = "dead_z",
    /// a few NaN and Inf pixels in FLUX
    NanFlux = "nan_flux",
    /// the emline file is not written
    MissingEmline = "missing_emline",
    /// the emline file has zero bytes
    EmptyEmline = "empty_emline",
    /// the emline file has no table, only an empty primary HDU
    HeadlessEmline = "headless_emline",
    /// the rrdetails file is not written
    MissingRrdetails = "missing_rrdetails",
    /// the redrock file is not written
    MissingRedrock = "missing_redrock",
    /// the coadd file has no Z_* HDUs
    MissingArm = "missing_arm",
    /// redrock rows are in another order than coadd rows
    ShuffleRedrock = "shuffle_redrock",
    /// emline rows are in another order than redrock rows
    ShuffleEmline = "shuffle_emline",
    /// emline lacks one row in five
    ShortEmline = "short_emline",
    /// redrock has one target that coadd lacks
    ExtraRedrock = "extra_redrock",
    /// two coadd rows share one TARGETID
    DuplicateId = "duplicate_id",
    /// one digest in the checksum file is wrong
    BadSha256 = "bad_sha256",
    /// the checksum file is not written
    NoSha256 = "no_sha256",
    /// the coadd file is cut short after its checksum was taken
    TruncatedCoadd = "truncated_coadd",
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The edge cases of one tile; they combine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edges(BTreeSet<Edge>);

impl Edges {
    /// Whether the tile shows it.
    #[must_use]
    pub fn has(&self, edge: Edge) -> bool {
        self.0.contains(&edge)
    }
}

impl FromIterator<Edge> for Edges {
    fn from_iter<I: IntoIterator<Item = Edge>>(edges: I) -> Self {
        Self(edges.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twenty_two_each_with_a_name_and_a_meaning() {
        let names: BTreeSet<_> = Edge::ALL.iter().map(|e| e.name()).collect();
        assert_eq!(names.len(), 22);
        assert!(Edge::ALL.iter().all(|e| !e.meaning().is_empty()));
    }
}
