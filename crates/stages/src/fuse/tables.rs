//! A tile's tables: read, checked against each other, and joined on TARGETID, never by row order.

use super::config::Keep;
use super::findings::Findings;
use super::inputs::{EMLINE_TABLE, Inputs};
use super::schema::{COLUMNS, Origin};
use crate::fits::{Columns, Error, Fits};
use bifrost_core::outcome::Outcome;
use bifrost_core::tile::Tile;
use std::collections::{HashMap, HashSet};

/// Columns without which a file is not what it should be.
const ESSENTIAL_FIBERMAP: [&str; 4] = ["TARGETID", "TARGET_RA", "TARGET_DEC", "OBJTYPE"];
const ESSENTIAL_REDSHIFTS: [&str; 7] =
    ["TARGETID", "Z", "ZERR", "ZWARN", "CHI2", "SPECTYPE", "DELTACHI2"];

/// A table with its targets.
#[derive(Debug)]
pub struct Keyed {
    /// The columns that were asked for.
    pub columns: Columns,
    ids: Vec<i64>,
    /// Row of each target; the first one where a target comes twice.
    rows: HashMap<i64, u32>,
}

impl Keyed {
    /// Reads a table's columns and its TARGETID.
    fn read(fits: &Fits, table: &str, wanted: &[&str]) -> Result<Self, Error> {
        let mut names = vec!["TARGETID"];
        names.extend(wanted.iter().filter(|name| **name != "TARGETID"));
        let columns = fits.table(table)?.read(&names)?;
        let ids = columns.integers("TARGETID")?;
        let ids: Vec<i64> = ids
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| Error::Column(format!("TARGETID in {table}")))?;
        let mut rows = HashMap::with_capacity(ids.len());
        for (row, id) in (0u32..).zip(&ids) {
            rows.entry(*id).or_insert(row);
        }
        Ok(Self { columns, ids, rows })
    }

    /// TARGETIDs in row order.
    #[must_use]
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// The row of a target.
    #[must_use]
    pub fn row_of(&self, id: i64) -> Option<u32> {
        self.rows.get(&id).copied()
    }

    fn is_unique(&self) -> bool {
        self.rows.len() == self.ids.len()
    }
}

/// What a target's exposures add up to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exposures {
    /// First night, YYYYMMDD.
    pub first_night: Option<i64>,
    /// Last night, YYYYMMDD.
    pub last_night: Option<i64>,
    /// First MJD; NaN for none, as below.
    pub min_mjd: f64,
    /// Last MJD.
    pub max_mjd: f64,
    sum_mjd: f64,
    count_mjd: u32,
}

impl Exposures {
    /// Mean MJD; NaN for none.
    #[must_use]
    pub fn mean_mjd(&self) -> f64 {
        self.sum_mjd / f64::from(self.count_mjd)
    }
}

/// All tables of a tile whose targets agree.
#[derive(Debug)]
pub struct Tables {
    /// FIBERMAP of the coadd file.
    pub fibermap: Keyed,
    /// REDSHIFTS of the redrock file.
    pub redshifts: Keyed,
    /// SCORES of the coadd file, else TSNR2 of the redrock file.
    pub scores: Option<Keyed>,
    /// EMLINEFIT.
    pub emline: Option<Keyed>,
    /// EXP_FIBERMAP, added up by target.
    pub exposures: HashMap<i64, Exposures>,
    /// Rows of the coadd file that are kept, in its order.
    pub kept: Vec<u32>,
}

impl Tables {
    /// Reads and checks everything; `None` where something required is wrong, which is then in
    /// `findings`.
    pub fn read(
        inputs: &Inputs,
        tile: Option<&Tile>,
        keep: Keep,
        findings: &mut Findings,
    ) -> Option<Self> {
        let survey = tile.map(|t| t.survey.as_str()).unwrap_or_default();
        let fibermap = inputs.coadd.as_ref().and_then(|fits| {
            read_required(fits, "coadd", "FIBERMAP", &ESSENTIAL_FIBERMAP, survey, findings)
        });
        let redshifts = inputs.redrock.as_ref().and_then(|fits| {
            read_required(fits, "redrock", "REDSHIFTS", &ESSENTIAL_REDSHIFTS, survey, findings)
        });
        let emline = inputs.emline.as_ref().and_then(|fits| {
            let wanted = wanted(EMLINE_TABLE, survey);
            let read = Keyed::read(fits, EMLINE_TABLE, &as_strs(&wanted));
            read.map_err(|e| findings.unreadable("emline", &e)).ok()
        });
        let scores = read_scores(inputs, findings);
        let exposures = read_exposures(inputs, findings);
        check_targets(fibermap.as_ref(), redshifts.as_ref(), emline.as_ref(), findings);
        let (fibermap, redshifts) = (fibermap?, redshifts?);
        let kept = keep_rows(&fibermap, keep, findings)?;
        Some(Self { fibermap, redshifts, scores, emline, exposures, kept })
    }

    /// TARGETIDs of the kept rows.
    #[must_use]
    pub fn kept_ids(&self) -> Vec<i64> {
        self.kept.iter().map(|row| self.fibermap.ids[*row as usize]).collect()
    }
}

/// FITS names of the columns that a table gives to the fused row.
fn wanted(table: &str, survey: &str) -> Vec<String> {
    let mut names = Vec::new();
    for column in COLUMNS.iter() {
        match &column.origin {
            Origin::Fibermap(name) if table == "FIBERMAP" => names.push((*name).to_owned()),
            Origin::Target(name) if table == "FIBERMAP" => {
                names.extend([(*name).to_owned(), survey_column(survey, name)]);
            }
            Origin::Redshifts(name) if table == "REDSHIFTS" => names.push((*name).to_owned()),
            Origin::Scores(name) if table == "SCORES" => names.push((*name).to_owned()),
            Origin::Emline(name) if table == EMLINE_TABLE => names.push(name.clone()),
            _ => {}
        }
    }
    names
}

/// SV1_DESI_TARGET for DESI_TARGET in survey sv1; CMX has one column for all.
#[must_use]
pub fn survey_column(survey: &str, name: &str) -> String {
    match (survey, name) {
        ("cmx", "DESI_TARGET") => "CMX_TARGET".to_owned(),
        _ => format!("{}_{name}", survey.to_ascii_uppercase()),
    }
}

fn as_strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn read_required(
    fits: &Fits,
    file: &str,
    table: &str,
    essential: &[&str],
    survey: &str,
    findings: &mut Findings,
) -> Option<Keyed> {
    let wanted = wanted(table, survey);
    let read = Keyed::read(fits, table, &as_strs(&wanted))
        .map_err(|e| findings.unreadable(file, &e))
        .ok()?;
    let lacking: Vec<_> =
        essential.iter().filter(|name| !read.columns.has(name)).copied().collect();
    if !lacking.is_empty() {
        findings.add(Outcome::Corrupt, format!("{file}: {table} lacks {}", lacking.join(", ")));
        return None;
    }
    Some(read)
}

fn read_scores(inputs: &Inputs, findings: &mut Findings) -> Option<Keyed> {
    let wanted = wanted("SCORES", "");
    let sources = [(&inputs.coadd, "coadd", "SCORES"), (&inputs.redrock, "redrock", "TSNR2")];
    for (fits, file, table) in sources {
        let Some(fits) = fits.as_ref().filter(|fits| fits.has(table)) else { continue };
        match Keyed::read(fits, table, &as_strs(&wanted)) {
            Ok(read) => return Some(read),
            Err(e) => findings.unreadable(file, &e),
        }
    }
    None
}

fn read_exposures(inputs: &Inputs, findings: &mut Findings) -> HashMap<i64, Exposures> {
    let sources = [(&inputs.coadd, "coadd"), (&inputs.redrock, "redrock")];
    for (fits, file) in sources {
        let Some(fits) = fits.as_ref().filter(|fits| fits.has("EXP_FIBERMAP")) else { continue };
        match add_up_exposures(fits) {
            Ok(exposures) => return exposures,
            Err(e) => findings.unreadable(file, &e),
        }
    }
    findings.note("there is no EXP_FIBERMAP: nights and dates are NULL");
    HashMap::new()
}

fn add_up_exposures(fits: &Fits) -> Result<HashMap<i64, Exposures>, Error> {
    let read = Keyed::read(fits, "EXP_FIBERMAP", &["NIGHT", "MJD"])?;
    let nothing = vec![None; read.ids.len()];
    let unknown = vec![f64::NAN; read.ids.len()];
    let nights = if read.columns.has("NIGHT") { read.columns.integers("NIGHT")? } else { nothing };
    let mjds = if read.columns.has("MJD") { read.columns.reals("MJD")? } else { unknown };
    let mut sums: HashMap<i64, Exposures> = HashMap::new();
    for ((id, night), mjd) in read.ids.iter().zip(nights).zip(mjds) {
        let none = Exposures { min_mjd: f64::NAN, max_mjd: f64::NAN, ..Exposures::default() };
        let sum = sums.entry(*id).or_insert(none);
        sum.first_night = sum.first_night.into_iter().chain(night).min();
        sum.last_night = sum.last_night.max(night);
        if mjd.is_finite() {
            sum.min_mjd = sum.min_mjd.min(mjd);
            sum.max_mjd = sum.max_mjd.max(mjd);
            sum.sum_mjd += mjd;
            sum.count_mjd += 1;
        }
    }
    Ok(sums)
}

/// Every target once, and the same ones in both required files.
fn check_targets(
    fibermap: Option<&Keyed>,
    redshifts: Option<&Keyed>,
    emline: Option<&Keyed>,
    findings: &mut Findings,
) {
    for (file, table) in [("coadd", fibermap), ("redrock", redshifts), ("emline", emline)] {
        if let Some(table) = table.filter(|table| !table.is_unique()) {
            let mut seen = HashSet::new();
            let twice = table.ids.iter().find(|id| !seen.insert(**id)).copied().unwrap_or_default();
            findings.add(Outcome::Mismatch, format!("{file}: target {twice} comes twice"));
        }
    }
    let Some(fibermap) = fibermap else { return };
    if let Some(redshifts) = redshifts {
        let unknown = lacking(redshifts, fibermap);
        let without = lacking(fibermap, redshifts);
        let sides =
            [(unknown, "redrock has", "the coadd lacks"), (without, "coadd has", "redrock lacks")];
        for (ids, has, lacks) in sides {
            if let Some(first) = ids.first() {
                let count = ids.len();
                findings.add(
                    Outcome::Mismatch,
                    format!("{has} {count} targets that {lacks}, the first is {first}"),
                );
            }
        }
    }
    if let Some(emline) = emline {
        let (unknown, without) = (lacking(emline, fibermap), lacking(fibermap, emline));
        if !unknown.is_empty() {
            findings.note(format!("emline has {} targets that the coadd lacks", unknown.len()));
        }
        if !without.is_empty() {
            findings.note(format!("emline lacks {} of the targets", without.len()));
        }
    }
}

/// Targets of `all` that `some` lacks.
fn lacking(all: &Keyed, some: &Keyed) -> Vec<i64> {
    all.ids.iter().copied().filter(|id| !some.rows.contains_key(id)).collect()
}

fn keep_rows(fibermap: &Keyed, keep: Keep, findings: &mut Findings) -> Option<Vec<u32>> {
    let types =
        fibermap.columns.texts("OBJTYPE").map_err(|e| findings.unreadable("coadd", &e)).ok()?;
    let is_kept = |row: usize| match keep {
        Keep::All => true,
        Keep::Targets => fibermap.ids[row] > 0 && types.get(row).is_some_and(|t| t == "TGT"),
    };
    Some((0u32..).take(fibermap.ids.len()).filter(|row| is_kept(*row as usize)).collect())
}
