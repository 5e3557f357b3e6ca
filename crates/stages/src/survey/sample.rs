//! The objects that are looked at: positions and redshifts, each object once.

use super::completeness::{self, Completeness};
use super::{Cap, Mask, Tracer};
use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use bifrost_core::predicate::{self, Predicate};
use bifrost_core::read::Options;
use bifrost_core::resolution::{Detail, Query};
use bifrost_core::session::{self, Session};
use bifrost_core::tile::{Name, Pixel, Tile};
use bifrost_science::cosmology::Z_MAX;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

/// What is read of a row.
const COLUMNS: [&str; 12] = [
    "target_id",
    "release",
    "survey",
    "program",
    "healpix",
    "ra",
    "dec",
    "z",
    "zwarn",
    "tsnr2_lrg",
    "flux_r",
    "ebv",
];
/// Extinction in the r band by the Galaxy's dust, magnitudes a magnitude of E(B−V) (DECam: Schlafly &
/// Finkbeiner 2011, ApJ 737, 103).
const EXTINCTION_R: f64 = 2.165;

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The condition of a tracer cannot be meant so.
    #[error("tracer {tracer}: {source}")]
    Condition {
        /// The tracer.
        tracer: String,
        /// What is wrong.
        source: predicate::Error,
    },
    /// The lake cannot be asked or read.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// The completeness around its galaxies is none.
    #[error("tracer {tracer}: {source}")]
    Completeness {
        /// The tracer.
        tracer: String,
        /// What is wrong.
        source: completeness::Error,
    },
    /// A row that cannot be.
    #[error(
        "the rows of tracer {tracer} have {what}: repair the file, or leave it out by its condition"
    )]
    Rows {
        /// The tracer.
        tracer: String,
        /// What is wrong with them.
        what: String,
    },
}

impl Error {
    /// Whether the question is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Condition { .. } | Self::Completeness { .. } => true,
            Self::Session(error) => error.is_usage(),
            Self::Rows { .. } => false,
        }
    }
}

/// Objects of one tracer, in the order of their TARGETIDs; all columns are of one length.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// TARGETIDs, each once.
    pub target_id: Vec<i64>,
    /// Right ascensions (ICRS, degrees).
    pub ra: Vec<f64>,
    /// Declinations (ICRS, degrees).
    pub dec: Vec<f64>,
    /// Redshifts.
    pub z: Vec<f64>,
    /// Magnitudes in the r band (AB) without the Galaxy's dust; NaN where there is no flux.
    pub r_mag: Vec<f32>,
    /// Part of the targets around that have a redshift, NaN where it is not known: of each,
    /// one for all, or none for 1.
    pub completeness: Vec<f64>,
    /// Which of [`Sample::tiles`] holds the row that the object was taken from.
    pub tile: Vec<u32>,
    /// The tiles.
    pub tiles: Vec<Tile>,
}

/// Rows that meet a tracer's condition and count for nothing, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Right ascension or declination is missing, or none on the sky.
    pub position: usize,
    /// The redshift is missing, no number, or not above 0.
    pub redshift: usize,
    /// The redshift is above [`Z_MAX`], to which distances are known, or infinite.
    pub beyond: usize,
}

impl LeftOut {
    /// Counts a row that has to be left out (degrees, redshift), and says whether it has.
    fn count(&mut self, [ra, dec, z]: [f64; 3]) -> bool {
        let reason = match z {
            _ if !ra.is_finite() || !(-90.0..=90.0).contains(&dec) => &mut self.position,
            z if z > Z_MAX => &mut self.beyond,
            z if z > 0.0 => return false,
            _ => &mut self.redshift,
        };
        *reason += 1;
        true
    }
}

impl Display for LeftOut {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let beyond = format!("a redshift above {Z_MAX}, to which distances are known");
        let reasons = [
            (self.position, "no position"),
            (self.redshift, "no redshift above 0"),
            (self.beyond, &beyond),
        ];
        let told = reasons.iter().filter(|(rows, _)| *rows > 0);
        let told: Vec<String> =
            told.map(|(rows, reason)| format!("{rows} with {reason}")).collect();
        write!(f, "rows left out, whose quantities are NULL: {}", told.join(", "))
    }
}

/// What decides between rows of one object: the registry's order of `is_primary`.
type Rank = (bool, Reverse<u32>);

/// A row of the sample before it is known whether it is the object's best.
struct Row {
    target_id: i64,
    rank: Rank,
    tile: u32,
    position: [f64; 3],
    r_mag: f32,
    completeness: f64,
}

impl Sample {
    /// The objects that meet a tracer's condition, read wherever the resolver finds them. Of several
    /// rows of an object, one counts: `zwarn` 0 before others, then the larger `tsnr2_lrg`, then the
    /// tile that comes first. Rows without a position, or without a redshift that has a distance, count
    /// for nothing but the second value. The completeness around objects is taken from where it is told.
    ///
    /// # Errors
    /// [`Error`] where the condition cannot be meant so, or rows cannot be read.
    pub async fn read(
        session: &Session,
        tracer: &Tracer,
        completeness: &Completeness,
    ) -> Result<(Self, LeftOut), Error> {
        let wrong = |source| Error::Condition { tracer: tracer.name.clone(), source };
        let predicate = Some(Predicate::parse(&tracer.condition).map_err(wrong)?);
        let query = Query { predicate, ..Query::default() };
        let answer = session.resolve(&query, Detail::Files).await?;
        if answer.files.is_empty() {
            return Ok(Default::default());
        }
        let mut columns = COLUMNS.map(String::from).to_vec();
        columns.extend(completeness.column().map(String::from));
        let options = Options { columns: Some(columns), ..Options::default() };
        let wrong = |source| Error::Completeness { tracer: tracer.name.clone(), source };
        let mut rows =
            Rows { completeness: completeness.column().map(String::from), ..Rows::default() };
        for batch in session.read(&answer, &query, &options).await? {
            let batch = batch.map_err(session::Error::from)?;
            completeness.check(&batch).map_err(wrong)?;
            rows.add(&batch).map_err(|what| Error::Rows { tracer: tracer.name.clone(), what })?;
        }
        let left_out = rows.left_out;
        let (mut sample, own) = rows.best();
        sample.completeness = completeness.of(&sample, own).map_err(wrong)?;
        Ok((sample, left_out))
    }

    /// The completeness around each galaxy, or all of them.
    #[must_use]
    pub fn parts(&self) -> &[f64] {
        if self.completeness.is_empty() { &[1.0] } else { &self.completeness }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.target_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.target_id.is_empty()
    }

    /// Those of a cap.
    #[must_use]
    pub fn cap(&self, cap: Cap) -> Self {
        self.only(|row| {
            let position = self.ra.get(row).zip(self.dec.get(row));
            position.is_some_and(|(ra, dec)| Cap::of(*ra, *dec) == cap)
        })
    }

    /// Those that are in none of other samples, by these samples' TARGETIDs.
    #[must_use]
    pub fn without(&self, others: &[Vec<i64>]) -> Self {
        let is_new = |id: &i64| others.iter().all(|other| other.binary_search(id).is_err());
        self.only(|row| self.target_id.get(row).is_some_and(is_new))
    }

    /// Those in a part of the sky.
    #[must_use]
    pub fn within(&self, mask: &Mask) -> Self {
        self.only(|row| {
            let position = self.ra.get(row).zip(self.dec.get(row));
            position.is_some_and(|(ra, dec)| mask.contains(*ra, *dec))
        })
    }

    fn only(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let rows: Vec<usize> = (0..self.len()).filter(|&row| wanted(row)).collect();
        fn of<T: Copy>(rows: &[usize], values: &[T]) -> Vec<T> {
            rows.iter().filter_map(|&row| values.get(row).copied()).collect()
        }
        Self {
            target_id: of(&rows, &self.target_id),
            ra: of(&rows, &self.ra),
            dec: of(&rows, &self.dec),
            z: of(&rows, &self.z),
            r_mag: of(&rows, &self.r_mag),
            completeness: match self.completeness.len() {
                0 | 1 => self.completeness.clone(),
                _ => of(&rows, &self.completeness),
            },
            tile: of(&rows, &self.tile),
            tiles: self.tiles.clone(),
        }
    }

    /// BLAKE3 of all objects, their positions, magnitudes and tiles, and the completeness around each
    /// (hex).
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut tiles: Vec<String> = self.tiles.iter().map(ToString::to_string).collect();
        for row in 0..self.len() {
            let (Some(id), Some(tile)) = (self.target_id.get(row), self.tile.get(row)) else {
                break;
            };
            hasher.update(&id.to_le_bytes());
            for column in [&self.ra, &self.dec, &self.z] {
                hasher.update(&column.get(row).copied().unwrap_or(f64::NAN).to_le_bytes());
            }
            hasher.update(&self.r_mag.get(row).copied().unwrap_or(f32::NAN).to_le_bytes());
            if let Some(tile) = tiles.get_mut(*tile as usize) {
                hasher.update(tile.as_bytes());
            }
        }
        if self.completeness.len() == self.len() {
            self.completeness.iter().for_each(|part| {
                hasher.update(&part.to_le_bytes());
            });
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Rows as they come.
#[derive(Default)]
struct Rows {
    /// The column of it.
    completeness: Option<String>,
    rows: Vec<Row>,
    left_out: LeftOut,
    tiles: Vec<Tile>,
    known: HashMap<(String, String, String, i64), u32>,
}

impl Rows {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let column = |name: &str, kind: &DataType| {
            let column = batch.column_by_name(name).ok_or_else(|| format!("no column {name}"))?;
            cast(column, kind).map_err(|error| format!("{name} of another type: {error}"))
        };
        let float = |name| column(name, &DataType::Float64);
        let (text, whole) = (&DataType::Utf8, &DataType::Int64);
        let ids = column("target_id", whole)?;
        let (release, survey, program, healpix) = (
            column("release", text)?,
            column("survey", text)?,
            column("program", text)?,
            column("healpix", whole)?,
        );
        let (ra, dec, z) = (float("ra")?, float("dec")?, float("z")?);
        let (zwarn, quality) = (column("zwarn", whole)?, float("tsnr2_lrg")?);
        let (flux, ebv) = (float("flux_r")?, float("ebv")?);
        let completeness = self.completeness.as_deref().map(float);
        let completeness = completeness.transpose()?;
        let completeness = completeness.as_ref().map(|c| c.as_primitive::<Float64Type>());
        let [ra, dec, z, quality, flux, ebv] =
            [&ra, &dec, &z, &quality, &flux, &ebv].map(|c| c.as_primitive::<Float64Type>());
        let [ids, healpix, zwarn] = [&ids, &healpix, &zwarn].map(|c| c.as_primitive::<Int64Type>());
        let [release, survey, program] =
            [&release, &survey, &program].map(|c| c.as_string::<i32>());
        let mut last: Option<(&str, &str, &str, i64, u32)> = None;
        for row in 0..batch.num_rows() {
            let key =
                (release.value(row), survey.value(row), program.value(row), healpix.value(row));
            let tile = match last {
                Some((r, s, p, h, tile)) if (r, s, p, h) == key => tile,
                _ => self.tile(key)?,
            };
            last = Some((key.0, key.1, key.2, key.3, tile));
            let known = |column: &Float64Array| (!column.is_null(row)).then(|| column.value(row));
            let position = [ra, dec, z].map(|column| known(column).unwrap_or(f64::NAN));
            if ids.is_null(row) || self.left_out.count(position) {
                continue;
            }
            // positive floats are ordered as their bits are; unknown is least
            let quality = known(quality).map(|x| x as f32);
            let bits = quality.filter(|x| *x >= 0.0).map_or(0, |x| x.to_bits() + 1);
            let rank = (zwarn.is_null(row) || zwarn.value(row) != 0, Reverse(bits));
            // nanomaggies: 22.5 is the magnitude of one
            let seen = known(flux).filter(|flux| *flux > 0.0).zip(known(ebv));
            let r_mag = seen.map(|(flux, ebv)| 22.5 - 2.5 * flux.log10() - EXTINCTION_R * ebv);
            let r_mag = r_mag.filter(|mag| mag.is_finite()).unwrap_or(f64::NAN) as f32;
            let completeness = completeness.and_then(known).unwrap_or(f64::NAN);
            let target_id = ids.value(row);
            self.rows.push(Row { target_id, rank, tile, position, r_mag, completeness });
        }
        Ok(())
    }

    fn tile(
        &mut self,
        (release, survey, program, healpix): (&str, &str, &str, i64),
    ) -> Result<u32, String> {
        let key = (release.to_owned(), survey.to_owned(), program.to_owned(), healpix);
        if let Some(tile) = self.known.get(&key) {
            return Ok(*tile);
        }
        let name = |text: &str| Name::new(text).map_err(|error| error.to_string());
        let tile = Tile {
            release: name(release)?,
            survey: name(survey)?,
            program: name(program)?,
            pixel: Pixel::new(healpix).map_err(|error| error.to_string())?,
        };
        let number = u32::try_from(self.tiles.len()).map_err(|_| "too many tiles".to_owned())?;
        self.tiles.push(tile);
        self.known.insert(key, number);
        Ok(number)
    }

    /// The best row of each object, and what its column of completeness holds.
    fn best(self) -> (Sample, Vec<f64>) {
        let Self { mut rows, tiles, .. } = self;
        let mut places: Vec<usize> = (0..tiles.len()).collect();
        places.sort_by_key(|&place| tiles.get(place));
        let mut order = vec![0u32; tiles.len()];
        for (place, of) in (0u32..).zip(&places) {
            order.get_mut(*of).into_iter().for_each(|slot| *slot = place);
        }
        for row in &mut rows {
            row.tile = order.get(row.tile as usize).copied().unwrap_or_default();
        }
        rows.sort_unstable_by_key(|row| (row.target_id, row.rank, row.tile));
        rows.dedup_by_key(|row| row.target_id);
        let sample = Sample {
            target_id: rows.iter().map(|row| row.target_id).collect(),
            ra: rows.iter().map(|row| row.position[0]).collect(),
            dec: rows.iter().map(|row| row.position[1]).collect(),
            z: rows.iter().map(|row| row.position[2]).collect(),
            r_mag: rows.iter().map(|row| row.r_mag).collect(),
            tile: rows.iter().map(|row| row.tile).collect(),
            tiles: places.iter().filter_map(|&place| tiles.get(place).cloned()).collect(),
            completeness: Vec::new(),
        };
        (sample, rows.iter().map(|row| row.completeness).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_left_out_for_a_reason() {
        let mut left_out = LeftOut::default();
        let rows = [
            ([10.0, 20.0, 1e-300], false),
            ([1e9, -90.0, Z_MAX], false),
            ([f64::NAN, 20.0, 0.1], true),
            ([10.0, 90.1, 1e9], true),
            ([10.0, f64::NEG_INFINITY, 0.1], true),
            ([10.0, 20.0, f64::NAN], true),
            ([10.0, 20.0, 0.0], true),
            ([10.0, 20.0, f64::NEG_INFINITY], true),
            ([10.0, 20.0, 20.01], true),
            ([10.0, 20.0, f64::INFINITY], true),
        ];
        for (row, is_left_out) in rows {
            assert_eq!(left_out.count(row), is_left_out, "{row:?}");
        }
        assert_eq!(left_out, LeftOut { position: 3, redshift: 3, beyond: 2 });
        left_out.position = 0;
        let told = "rows left out, whose quantities are NULL: 3 with no redshift above 0, \
                    2 with a redshift above 20, to which distances are known";
        assert_eq!(left_out.to_string(), told);
    }
}
