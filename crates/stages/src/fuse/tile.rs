//! One tile, from its files to its place in the lake: every check is made, the worst decides.

use super::coadd::Spectra;
use super::config::{Config, REVISION};
use super::findings::{Finding, Findings, outcome_of};
use super::identity::identify;
use super::inputs::Inputs;
use super::rows::{self, Scalars};
use super::schema::{SCHEMA, VOTABLE};
use super::sources::{Kind, Sources};
use super::tables::Tables;
use super::unchanged::{Remembered, is_current, verified_digests};
use super::write::{self, Writer};
use crate::rrdetails;
use crate::stage::{About, Draft, FromArchive, Held, Made, Source, Work};
use crate::store;
use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use bifrost_core::layout::{Lake, SPECTRA};
use bifrost_core::metadata::{self, Input, MadeBy};
use bifrost_core::order;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::{self, Claim, Published, Staging};
use bifrost_core::quarantine;
use bifrost_core::sky::bricks;
use bifrost_core::tile::{Name, Pixel, Tile};
use parquet::errors::ParquetError;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the stage.
const STAGE: &str = "convert";

/// How a tile ended.
#[derive(Debug, Clone, Serialize)]
pub struct Ending {
    /// What its files' names share.
    pub stem: String,
    /// Which tile it is, where that could be told.
    pub tile: Option<Tile>,
    /// The outcome.
    pub outcome: Outcome,
    /// Rows published.
    pub rows: Option<u64>,
    /// Bytes of its files.
    pub bytes_in: u64,
    /// Bytes published.
    pub bytes_out: Option<u64>,
    /// Time it took.
    pub seconds: f64,
    /// Whether every file's digest agreed with a sum file.
    pub verified: bool,
    /// Where the published file lies.
    pub path: Option<PathBuf>,
    /// What is wrong, the worst first.
    pub reasons: Vec<String>,
    /// What to do.
    pub advice: Option<String>,
    /// What was noticed.
    pub notes: Vec<String>,
}

impl Ending {
    /// A tile nothing is known of yet.
    pub(super) fn of(sources: &Sources, tile: Option<Tile>, outcome: Outcome) -> Self {
        Self {
            stem: sources.stem.clone(),
            tile,
            outcome,
            rows: None,
            bytes_in: 0,
            bytes_out: None,
            seconds: 0.0,
            verified: false,
            path: None,
            reasons: Vec::new(),
            advice: None,
            notes: Vec::new(),
        }
    }

    pub(super) fn with(mut self, findings: &Findings) -> Self {
        let sorted = findings.sorted();
        self.reasons = sorted.iter().map(|f| f.reason.clone()).collect();
        self.advice = advice(&sorted);
        self.notes = findings.notes().to_vec();
        self
    }
}

fn advice(findings: &[&Finding]) -> Option<String> {
    let mut all: Vec<&str> = Vec::new();
    for finding in findings.iter().filter(|f| !f.advice.is_empty()) {
        if !all.contains(&finding.advice) {
            all.push(finding.advice);
        }
    }
    (!all.is_empty()).then(|| all.join("; "))
}

/// What a run would do with a tile.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What its files' names share.
    pub stem: String,
    /// Which tile it is, where that could be told.
    pub tile: Option<Tile>,
    /// `convert`, or the outcome that is already certain.
    pub would: &'static str,
    /// Bytes of its files.
    pub bytes_in: u64,
    /// What is wrong already.
    pub reasons: Vec<String>,
}

/// Says what [`fuse`] would do with a tile, as far as headers tell; writes nothing.
#[must_use]
pub fn plan(lake: Option<&Lake>, sources: &Sources, config: &Config) -> Plan {
    let mut findings = Findings::default();
    let inputs = Inputs::open(sources, None, &mut findings);
    let tile = identify(&sources.stem, &inputs, &config.given, &mut findings);
    let is_current = |(lake, tile): (&Lake, &Tile)| match lake.files_of(&product(), tile).as_deref()
    {
        Ok([path]) => {
            is_current(path, &inputs, config, &mut Remembered::read(lake, tile))
                && has_arrays(lake, tile, path, config)
        }
        _ => false,
    };
    let current = !config.force && lake.zip(tile.as_ref()).is_some_and(is_current);
    let would = match findings.worst() {
        Some(worst) => worst.as_str(),
        None if current => Outcome::Unchanged.as_str(),
        None => "convert",
    };
    Plan {
        stem: sources.stem.clone(),
        tile,
        would,
        bytes_in: inputs.size_bytes(),
        reasons: findings.sorted().iter().map(|f| f.reason.clone()).collect(),
    }
}

/// Which pixel a tile lies in; none where that cannot be told.
pub(super) fn pixel_of(staging: &Staging, sources: &Sources, config: &Config) -> Option<Pixel> {
    let mut findings = Findings::default();
    let inputs = Inputs::open(sources, Some(staging.dir()), &mut findings);
    identify(&sources.stem, &inputs, &config.given, &mut findings).map(|tile| tile.pixel)
}

/// Whether the arrays of a published file are where they are to be; of those that are to be in both
/// places, the store is looked at by itself.
fn has_arrays(lake: &Lake, tile: &Tile, path: &Path, config: &Config) -> bool {
    config.arrays.in_parquet() || store::holds(lake, tile, path)
}

/// Publishes a draft of so many rows, at once or later.
pub(super) type Publish<'a> =
    &'a mut dyn FnMut(&Tile, Claim, u64) -> Result<Published, publish::Error>;

/// Fuses a tile and publishes it, or sets it aside with its reasons.
pub(super) fn fuse(
    lake: &Lake,
    staging: &Staging,
    sources: &Sources,
    config: &Config,
    publish: Publish<'_>,
) -> Ending {
    let mut findings = Findings::default();
    let inputs = Inputs::open(sources, Some(staging.dir()), &mut findings);
    let tile = identify(&sources.stem, &inputs, &config.given, &mut findings);
    let mut ending = match &tile {
        Some(tile) => fuse_known(lake, staging, &inputs, tile, config, publish, &mut findings),
        None => check(&inputs, None, config, &mut findings),
    }
    .unwrap_or_else(|| Ending::of(sources, tile.clone(), Outcome::Internal));
    if let Some(worst) = findings.worst() {
        ending = Ending::of(sources, tile.clone(), worst);
    } else if ending.outcome == Outcome::Internal {
        findings.add(Outcome::Internal, "nothing was published and nothing found wrong");
    }
    ending.stem.clone_from(&sources.stem);
    ending.bytes_in = inputs.size_bytes();
    let ending = ending.with(&findings);
    match remember(lake, sources, &ending) {
        Ok(()) => ending,
        Err(e) => fail(ending, Outcome::Disk, e.to_string()),
    }
}

/// Adds a reason; the worse outcome counts.
pub(super) fn fail(mut ending: Ending, outcome: Outcome, reason: String) -> Ending {
    ending.outcome = ending.outcome.max(outcome);
    ending.reasons.push(reason);
    ending
}

/// Writes or clears the quarantine record.
pub(super) fn remember(
    lake: &Lake,
    sources: &Sources,
    ending: &Ending,
) -> Result<(), quarantine::Error> {
    if ending.outcome.is_quarantined() {
        let record = quarantine::Record {
            product: product(),
            tile: ending.tile.clone(),
            outcome: ending.outcome,
            reasons: ending.reasons.clone(),
            advice: ending.advice.clone(),
            sources: sources.paths(),
            at: chrono::Utc::now(),
        };
        quarantine::record(lake, &record)
    } else if let Some(tile) = &ending.tile {
        quarantine::clear(lake, &product(), tile, &sources.paths())
    } else {
        Ok(())
    }
}

/// Checks a tile that cannot be named; there is nothing to publish.
fn check(
    inputs: &Inputs,
    tile: Option<&Tile>,
    config: &Config,
    findings: &mut Findings,
) -> Option<Ending> {
    let mut digests = Findings::default();
    if config.verify {
        inputs.verify(&mut digests);
    }
    prepare(inputs, tile, config, findings);
    findings.extend(digests);
    None
}

fn fuse_known(
    lake: &Lake,
    staging: &Staging,
    inputs: &Inputs,
    tile: &Tile,
    config: &Config,
    publish: Publish<'_>,
    findings: &mut Findings,
) -> Option<Ending> {
    let claim =
        claim(staging, tile).map_err(|e| findings.add(Outcome::Disk, e.to_string())).ok()?;
    let drafted = draft_known(lake, &claim, inputs, tile, config, findings)?;
    let Drafted::New { rows, verified } = drafted else { return drafted.current() };
    let published =
        publish(tile, claim, rows).map_err(|e| findings.add(Outcome::Disk, e.to_string())).ok()?;
    Some(Ending {
        stem: String::new(),
        tile: Some(tile.clone()),
        outcome: if rows == 0 { Outcome::Empty } else { Outcome::Converted },
        rows: Some(rows),
        bytes_in: 0,
        bytes_out: Some(published.size_bytes),
        seconds: 0.0,
        verified,
        path: Some(published.path),
        reasons: Vec::new(),
        advice: None,
        notes: Vec::new(),
    })
}

/// A tile whose draft is written, or needs not be.
enum Drafted {
    Current(Box<Ending>),
    New { rows: u64, verified: bool },
}

impl Drafted {
    fn current(self) -> Option<Ending> {
        match self {
            Self::Current(ending) => Some(*ending),
            Self::New { .. } => None,
        }
    }
}

fn draft_known(
    lake: &Lake,
    claim: &Claim,
    inputs: &Inputs,
    tile: &Tile,
    config: &Config,
    findings: &mut Findings,
) -> Option<Drafted> {
    let may_be_current = findings.worst().is_none() && !config.force;
    if may_be_current && let Some(ending) = unchanged(lake, claim, inputs, tile, config) {
        return Some(Drafted::Current(Box::new(ending)));
    }
    let mut digests = Findings::default();
    let verify = || match config.verify {
        true => inputs.verify(&mut digests),
        false => inputs.unverified(),
    };
    let fuse = || {
        let prepared = prepare(inputs, Some(tile), config, findings)?;
        let may_go_on = findings.worst().is_none();
        may_go_on.then(|| draft(claim, tile, &prepared, config, findings)).flatten()
    };
    let (files, writer) = rayon::join(verify, fuse);
    findings.extend(digests);
    if !config.verify {
        findings.note("digests were not verified");
    }
    let (writer, rows) = writer.filter(|_| findings.worst().is_none())?;
    let about = provenance(inputs, &files, tile, config, &rows, findings);
    let rows = rows.num_rows() as u64;
    if let Err(e) = writer.finish(about) {
        write_fault(&e, findings);
        return None;
    }
    Some(Drafted::New { rows, verified: files.values().all(|input| input.verified) })
}

/// Fusion as a stage: what the runner of a campaign asks for.
impl FromArchive for Config {
    fn about(&self) -> About {
        About {
            name: STAGE,
            version: REVISION,
            from: Source::Archive,
            product: SPECTRA,
            columns: SCHEMA.fields().iter().map(|field| field.as_ref().clone()).collect(),
        }
    }

    fn make(&self, work: &Work<'_>) -> Made {
        let mut findings = Findings::default();
        let inputs = Inputs::open(work.sources, Some(work.scratch), &mut findings);
        let tile = identify(&work.sources.stem, &inputs, &self.given, &mut findings);
        if let Some(other) = tile.filter(|tile| tile != work.tile) {
            let reason = format!("its files are those of {other}");
            findings.add(Outcome::Mismatch, reason);
        }
        let config = Self { force: self.force || work.is_damaged, ..self.clone() };
        let made = draft_known(work.lake, work.claim, &inputs, work.tile, &config, &mut findings);
        let made = made.and_then(|drafted| match drafted {
            Drafted::New { rows, .. } => Some(Made::Draft(rows)),
            Drafted::Current(ending) => ending.path.map(Made::Unchanged),
        });
        match (findings.worst(), made) {
            (None, Some(made)) => made,
            (worst, _) => {
                let sorted = findings.sorted();
                Made::Failed {
                    outcome: worst.unwrap_or(Outcome::Internal),
                    reasons: sorted.iter().map(|f| f.reason.clone()).collect(),
                    advice: advice(&sorted),
                }
            }
        }
    }

    fn held(&self, lake: &Lake, tile: &Tile) -> Option<Held> {
        let live = lake.files_of(&product(), tile).ok()?;
        let [path] = &live[..] else { return None };
        let digests = verified_digests(path, self).filter(|_| !self.force)?;
        has_arrays(lake, tile, path, self).then(|| Held { path: path.clone(), digests })
    }

    fn has_stores(&self) -> bool {
        self.arrays.in_store()
    }

    fn join(
        &self,
        lake: &Lake,
        pixel: Pixel,
        claim: &Claim,
        drafts: &[Draft<'_>],
    ) -> Result<Option<u64>, (Outcome, String)> {
        store::join(lake, pixel, claim, drafts, self.store)
            .map_err(|fault| (fault.outcome(), fault.to_string()))
    }
}

fn claim(staging: &Staging, tile: &Tile) -> Result<Claim, publish::Error> {
    staging.claim(&product(), tile)
}

/// The product that tiles are fused into.
pub(crate) fn product() -> Name {
    Name::new(SPECTRA).unwrap_or_else(|e| unreachable!("{e}"))
}

/// The ending of a tile whose published file is current.
fn unchanged(
    lake: &Lake,
    claim: &Claim,
    inputs: &Inputs,
    tile: &Tile,
    config: &Config,
) -> Option<Ending> {
    let live = claim.live().ok()?;
    let [path] = &live[..] else { return None };
    let mut remembered = Remembered::read(lake, tile);
    let is_current = is_current(path, inputs, config, &mut remembered);
    if !is_current || !has_arrays(lake, tile, path, config) {
        return None;
    }
    if let Err(e) = remembered.write() {
        tracing::warn!("{tile}: its files' digests could not be noted: {e}");
    }
    let name: Option<bifrost_core::tile::FileName> =
        path.file_name().and_then(|n| n.to_str()?.parse().ok());
    let size_bytes = std::fs::metadata(path).ok()?.len();
    let sources = Sources::default();
    let mut ending = Ending::of(&sources, Some(tile.clone()), Outcome::Unchanged);
    ending.rows = name.map(|name| name.rows);
    ending.bytes_out = Some(size_bytes);
    ending.path = Some(path.clone());
    Some(ending)
}

struct Prepared {
    spectra: Spectra,
    scalars: Scalars,
}

/// Makes every check of the files' contents and builds the scalars.
fn prepare(
    inputs: &Inputs,
    tile: Option<&Tile>,
    config: &Config,
    findings: &mut Findings,
) -> Option<Prepared> {
    let tables = Tables::read(inputs, tile, config.keep, findings);
    let rows = tables.as_ref().map(|tables| tables.fibermap.ids().len());
    let coadd = inputs.coadd.as_ref();
    let spectra = coadd.and_then(|fits| Spectra::open(fits, rows, config.wave_angstrom, findings));
    let details = read_details(inputs, tables.as_ref(), findings);
    let (tables, spectra, tile) = (tables?, spectra?, tile?);
    if spectra.width() == 0 {
        let reason = "no pixel lies in the wavelengths that are kept";
        findings.add_with(Outcome::Corrupt, reason, "keep others, or fetch the file again");
    }
    match select(&tables, &spectra, &details, tile, config, findings) {
        Ok(scalars) => {
            if let Some(told) = rows::misplaced(&scalars, tile) {
                let file = inputs.paths.get(&Kind::Coadd).and_then(|path| path.file_name());
                let file = file.unwrap_or_default().to_string_lossy();
                let advice = "fetch the file again; if the archive has it so, leave the rows out with --where";
                findings.add_with(Outcome::Mismatch, format!("{file}: {told}"), advice);
            }
            Some(Prepared { spectra, scalars })
        }
        Err(rows::Fault::Fits(e)) => {
            findings.unreadable("columns", &e);
            None
        }
        Err(e) => {
            findings.add(Outcome::Internal, e.to_string());
            None
        }
    }
}

/// Builds the scalars of the rows that are selected; counts pixels first where that depends on it.
fn select(
    tables: &Tables,
    spectra: &Spectra,
    details: &[Option<rrdetails::Details>],
    tile: &Tile,
    config: &Config,
    findings: &mut Findings,
) -> Result<Scalars, rows::Fault> {
    let kept = rows::build(tables, details, tile, findings)?;
    let Some(predicate) = &config.selection else { return rows::sort(kept, None) };
    let good = match rows::asks_for_pixels(predicate) {
        true => spectra.count_good(&kept.coadd_rows)?,
        false => vec![[0; 3]; kept.coadd_rows.len()],
    };
    let selected = rows::selected(&kept, &good, predicate)?;
    rows::sort(kept, Some(&selected))
}

fn read_details(
    inputs: &Inputs,
    tables: Option<&Tables>,
    findings: &mut Findings,
) -> Vec<Option<rrdetails::Details>> {
    let ids = tables.map(Tables::kept_ids).unwrap_or_default();
    let Some(path) = inputs.paths.get(&Kind::Rrdetails) else { return vec![None; ids.len()] };
    match rrdetails::read(path, &ids) {
        Ok(details) => {
            let lacking = details.iter().filter(|d| d.is_none()).count();
            if lacking > 0 {
                findings.note(format!("rrdetails lacks {lacking} of the targets"));
            }
            details
        }
        Err(e) => {
            findings.add(Outcome::Corrupt, format!("rrdetails: {e}"));
            vec![None; ids.len()]
        }
    }
}

/// Writes the rows; the footer waits for the digests.
fn draft(
    claim: &Claim,
    tile: &Tile,
    prepared: &Prepared,
    config: &Config,
    findings: &mut Findings,
) -> Option<(Writer, RecordBatch)> {
    let write = || -> Result<Writer, write::Fault> {
        let mut writer = Writer::create(claim.draft(), tile, config)?;
        writer.write(&prepared.spectra, &prepared.scalars)?;
        Ok(writer)
    };
    match write() {
        Ok(writer) => {
            if writer.repaired > 0 {
                let count = writer.repaired;
                findings.note(format!("{count} pixels were not finite: flux 0, ivar 0"));
            }
            Some((writer, prepared.scalars.batch.clone()))
        }
        Err(e) => {
            write_fault(&e, findings);
            None
        }
    }
}

fn write_fault(fault: &write::Fault, findings: &mut Findings) {
    let outcome = match fault {
        write::Fault::Fits(e) => outcome_of(e),
        write::Fault::Io(_) => Outcome::Disk,
        write::Fault::Parquet(ParquetError::External(e)) if e.is::<std::io::Error>() => {
            Outcome::Disk
        }
        write::Fault::Parquet(_) | write::Fault::Arrow(_) => Outcome::Internal,
    };
    findings.add(outcome, fault.to_string());
}

fn target_ids(batch: &RecordBatch) -> Vec<i64> {
    let column = batch.column_by_name("target_id");
    let ids = column.and_then(|ids| ids.as_primitive_opt::<Int64Type>());
    ids.map(|ids| ids.values().to_vec()).unwrap_or_default()
}

/// Rows that do not lie where their TARGETIDs say.
fn off_brick(batch: &RecordBatch) -> usize {
    let [ra, dec] = ["ra", "dec"]
        .map(|name| batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Float64Type>()));
    let at = |column: Option<&Float64Array>, row| {
        column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
    };
    let is_off = |(row, id): &(usize, i64)| bricks::is_off(*id, at(ra, *row), at(dec, *row));
    target_ids(batch).into_iter().enumerate().filter(is_off).count()
}

/// The footer's key-value metadata, all but the content's checksum.
fn provenance(
    inputs: &Inputs,
    files: &BTreeMap<Kind, Input>,
    tile: &Tile,
    config: &Config,
    rows: &RecordBatch,
    findings: &Findings,
) -> Vec<(&'static str, String)> {
    let files: Vec<&Input> = files.values().collect();
    let made_by = MadeBy { name: STAGE.to_owned(), version: REVISION };
    let mut about = vec![
        (metadata::VERSION, bifrost_core::VERSION.to_owned()),
        (metadata::PRODUCT, SPECTRA.to_owned()),
        (metadata::TILE, serde_json::json!(tile).to_string()),
        (metadata::STAGE, serde_json::json!(made_by).to_string()),
        (metadata::INPUTS, serde_json::json!(files).to_string()),
        (metadata::CONFIG, config.fingerprint()),
        (metadata::CONFIGURATION, config.shape().to_string()),
        (metadata::ORDER, order::hash_of(tile, &target_ids(rows))),
        (metadata::OFF_BRICK, off_brick(rows).to_string()),
        (metadata::HEADERS, serde_json::json!(inputs.headers()).to_string()),
        (metadata::NOTES, serde_json::json!(findings.notes()).to_string()),
    ];
    about.extend(VOTABLE[usize::from(config.arrays.in_parquet())].clone());
    about
}
