//! What is known of the archive's productions: names, papers, where they lie.

use serde::Serialize;

/// A production of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Production {
    /// As in file names.
    pub release: String,
    /// As in papers.
    pub title: &'static str,
    /// The paper to cite.
    pub citation: &'static str,
    /// Where its files lie.
    pub source: &'static str,
}

/// What the survey asks everybody to print who uses its data
/// (<https://data.desi.lbl.gov/doc/acknowledgments/>).
pub(crate) const ACKNOWLEDGEMENT: &str = include_str!("../../../../templates/acknowledgement.txt");

const UNKNOWN: &str = "unknown";

/// The paper to cite for a release.
pub(crate) fn citation(release: &str) -> &'static str {
    production(release).citation
}

/// What is known of a release; `unknown` where nothing is.
pub(super) fn production(release: &str) -> Production {
    let (title, citation, source) = match release {
        "iron" => (
            "DESI Data Release 1 (DR1)",
            "DESI Collaboration, “Data Release 1 of the Dark Energy Spectroscopic Instrument”, \
             The Astronomical Journal 171, 285 (2026), arXiv:2503.14745",
            "https://data.desi.lbl.gov/public/dr1/spectro/redux/iron/healpix/",
        ),
        "fuji" => (
            "DESI Early Data Release (EDR)",
            "DESI Collaboration, “The Early Data Release of the Dark Energy Spectroscopic \
             Instrument”, The Astronomical Journal 168, 58 (2024), arXiv:2306.06308",
            "https://data.desi.lbl.gov/public/edr/spectro/redux/fuji/healpix/",
        ),
        "guadalupe" => (
            "DESI DR1, supplementary production",
            "DESI Collaboration, “Data Release 1 of the Dark Energy Spectroscopic Instrument”, \
             The Astronomical Journal 171, 285 (2026), arXiv:2503.14745",
            "https://data.desi.lbl.gov/public/dr1/spectro/redux/guadalupe/healpix/",
        ),
        _ => (UNKNOWN, UNKNOWN, UNKNOWN),
    };
    Production { release: release.to_owned(), title, citation, source }
}
