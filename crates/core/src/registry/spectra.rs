//! Where the spectra of objects lie.
//!
//! A look-up asks one table, of objects. What the rows of a file share, and those of a label, is
//! remembered: labels never change, and files do in commits only, of which a look-up brings the last.

use super::Error;
use super::resolve::Resolver;
use crate::layout::SPECTRA;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use tokio_postgres::Row;
use uuid::Uuid;

/// Files and labels that are remembered; each takes less than a kilobyte.
const REMEMBERED: usize = 1 << 16;

/// A row of the catalog, and the file that holds it.
#[derive(Debug, Clone)]
pub(crate) struct SpectrumRow {
    pub(crate) object: Object,
    pub(crate) label: Arc<Label>,
    pub(crate) holder: Arc<Holder>,
}

/// What is a row's alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    pub(crate) target_id: i64,
    pub(crate) row_index: i32,
    pub(crate) ra: Option<f64>,
    pub(crate) dec: Option<f64>,
    pub(crate) z: Option<f64>,
    pub(crate) zerr: Option<f64>,
    pub(crate) deltachi2: Option<f64>,
    pub(crate) is_primary: bool,
}

/// A tile, or what is known of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) release: Option<String>,
    pub(crate) survey: Option<String>,
    pub(crate) program: Option<String>,
    pub(crate) healpix: Option<i32>,
}

/// What many rows of the catalog share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Label {
    /// The row's own, where that is not its file's.
    place: Place,
    pub(crate) zwarn: Option<i64>,
    pub(crate) spectype: Option<String>,
    pub(crate) subtype: Option<String>,
}

/// A live file of spectra.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) lake_id: Uuid,
    pub(crate) file: PlacedFile,
    place: Place,
    /// The spectra store that holds the same rows, and the group.
    pub(crate) store: Option<(PlacedFile, String)>,
}

/// A version of a file, by its path in its lake.
#[derive(Debug, Clone)]
pub(crate) struct PlacedFile {
    pub(crate) path: String,
    pub(crate) size_bytes: i64,
    pub(crate) mtime_ns: i64,
}

/// Files and labels by their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The commit that files are as of.
    commit: i64,
    /// `None`: no live file of spectra.
    files: HashMap<i64, Option<Arc<Holder>>>,
    labels: HashMap<i32, Arc<Label>>,
}

impl Known {
    /// What is known of these, as of a commit.
    pub(super) fn of(&self, commit: i64, files: &HashSet<i64>, labels: &HashSet<i32>) -> Self {
        let files = if self.commit == commit { part(&self.files, files) } else { HashMap::new() };
        Self { commit, files, labels: part(&self.labels, labels) }
    }

    /// Learns more. A commit makes files unknown that were learnt before it.
    pub(super) fn learn(&mut self, more: Self) {
        if self.commit != more.commit || self.files.len() >= REMEMBERED {
            self.files.clear();
        }
        if self.labels.len() >= REMEMBERED {
            self.labels.clear();
        }
        self.commit = more.commit;
        self.files.extend(more.files);
        self.labels.extend(more.labels);
    }
}

fn part<K: Copy + Eq + Hash, V: Clone>(of: &HashMap<K, V>, keys: &HashSet<K>) -> HashMap<K, V> {
    keys.iter().filter_map(|key| Some((*key, of.get(key)?.clone()))).collect()
}

fn unknown<K: Copy + Eq + Hash, V>(keys: &HashSet<K>, known: &HashMap<K, V>) -> Vec<K> {
    keys.iter().filter(|key| !known.contains_key(key)).copied().collect()
}

/// A row of `spectrum_rows.sql`.
struct Found {
    registry_id: Uuid,
    commit: i64,
    file_id: i64,
    label_id: i32,
    object: Object,
}

impl Found {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let object = Object {
            target_id: row.try_get(2)?,
            row_index: row.try_get(5)?,
            ra: row.try_get(6)?,
            dec: row.try_get(7)?,
            z: row.try_get(8)?,
            zerr: row.try_get(9)?,
            deltachi2: row.try_get(10)?,
            is_primary: row.try_get(11)?,
        };
        Ok(Self {
            registry_id: row.try_get(0)?,
            commit: row.try_get(1)?,
            file_id: row.try_get(3)?,
            label_id: row.try_get(4)?,
            object,
        })
    }
}

/// A row of `spectrum_files.sql`.
struct Told {
    as_of: (Uuid, i64),
    file: Option<(i64, Arc<Holder>)>,
}

impl Told {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let placed = |at| {
            let (size_bytes, mtime_ns) = (row.try_get(at + 1)?, row.try_get(at + 2)?);
            let path: Option<String> = row.try_get(at)?;
            let of = |(path, (size_bytes, mtime_ns))| PlacedFile { path, size_bytes, mtime_ns };
            let version = Option::<i64>::zip(size_bytes, mtime_ns);
            Ok::<_, tokio_postgres::Error>(path.zip(version).map(of))
        };
        let as_of = (row.try_get(0)?, row.try_get(1)?);
        let file_id: Option<i64> = row.try_get(2)?;
        let Some((file_id, file)) = file_id.zip(placed(4)?) else {
            return Ok(Self { as_of, file: None });
        };
        let place = Place {
            release: row.try_get(7)?,
            survey: row.try_get(8)?,
            program: row.try_get(9)?,
            healpix: row.try_get(10)?,
        };
        let store = placed(11)?.zip(row.try_get(14)?);
        let holder = Holder { lake_id: row.try_get(3)?, file, place, store };
        Ok(Self { as_of, file: Some((file_id, Arc::new(holder))) })
    }
}

/// A row of `spectrum_labels.sql`.
fn label(row: &Row) -> Result<(i32, Arc<Label>), tokio_postgres::Error> {
    let place = Place {
        release: row.try_get(1)?,
        survey: row.try_get(2)?,
        program: row.try_get(3)?,
        healpix: row.try_get(4)?,
    };
    let (zwarn, spectype, subtype) = (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?);
    Ok((row.try_get(0)?, Arc::new(Label { place, zwarn, spectype, subtype })))
}

impl SpectrumRow {
    /// The row's tile: what its label says goes before what its file says.
    pub(crate) fn place(&self) -> Place {
        let (own, file) = (&self.label.place, &self.holder.place);
        let either =
            |own: &Option<String>, file: &Option<String>| own.as_ref().or(file.as_ref()).cloned();
        Place {
            release: either(&own.release, &file.release),
            survey: either(&own.survey, &file.survey),
            program: either(&own.program, &file.program),
            healpix: own.healpix.or(file.healpix),
        }
    }
}

impl Resolver {
    /// Rows of objects in `spectra`, in no order.
    pub(crate) async fn spectra(&self, target_ids: &[i64]) -> Result<Vec<SpectrumRow>, Error> {
        // again only where something was committed between two statements
        loop {
            let sql = include_str!("../../../../sql/spectrum_rows.sql");
            let found = self.each(sql, &[&target_ids], Found::of).await?;
            let Some(Found { registry_id, commit, .. }) = found.first() else {
                return Ok(Vec::new());
            };
            let Some(known) = self.known(&found, *registry_id, *commit).await? else { continue };
            let row = |of: Found| {
                let holder = known.files.get(&of.file_id)?.clone()?;
                let label = known.labels.get(&of.label_id).cloned().unwrap_or_default();
                Some(SpectrumRow { object: of.object, label, holder })
            };
            return Ok(found.into_iter().filter_map(row).collect());
        }
    }

    /// Files and labels of rows, as of their commit; `None` where that is no longer the last.
    async fn known(
        &self,
        found: &[Found],
        registry_id: Uuid,
        commit: i64,
    ) -> Result<Option<Known>, Error> {
        self.memory.keep_to(registry_id);
        let files = found.iter().map(|of| of.file_id).collect();
        let labels = found.iter().map(|of| of.label_id).collect();
        let mut known = self.memory.spectra(|all| all.of(commit, &files, &labels));
        let files = unknown(&files, &known.files);
        let labels = unknown(&labels, &known.labels);
        if files.is_empty() && labels.is_empty() {
            return Ok(Some(known));
        }
        let mut more = Known { commit, ..Known::default() };
        if !files.is_empty() {
            let sql = include_str!("../../../../sql/spectrum_files.sql");
            let told = self.each(sql, &[&files, &SPECTRA], Told::of).await?;
            if told.iter().any(|told| told.as_of != (registry_id, commit)) {
                return Ok(None);
            }
            more.files = files.into_iter().map(|file_id| (file_id, None)).collect();
            let live = told.into_iter().filter_map(|told| told.file);
            more.files.extend(live.map(|(file_id, holder)| (file_id, Some(holder))));
        }
        if !labels.is_empty() {
            let sql = include_str!("../../../../sql/spectrum_labels.sql");
            let told = self.each(sql, &[&labels, &registry_id], label).await?;
            more.labels = told.into_iter().collect();
        }
        known.files.extend(more.files.clone());
        known.labels.extend(more.labels.clone());
        self.memory.spectra(|all| all.learn(more));
        Ok(Some(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_commit_makes_files_unknown_and_labels_not() {
        let mut known = Known::default();
        let (files, labels) = (HashSet::from([1, 2, 3]), HashSet::from([7]));
        let learnt = |commit, file| Known {
            commit,
            files: HashMap::from([(file, None)]),
            labels: HashMap::from([(7, Arc::default())]),
        };
        known.learn(learnt(5, 1));
        known.learn(learnt(5, 2));
        let told = known.of(5, &files, &labels);
        assert_eq!((told.files.len(), told.labels.len()), (2, 1));
        for (commit, expected) in [(4, 0), (6, 0), (5, 2)] {
            let told = known.of(commit, &files, &labels);
            assert_eq!((told.files.len(), told.labels.len()), (expected, 1), "{commit}");
        }
        known.learn(learnt(6, 3));
        assert!(known.of(5, &files, &labels).files.is_empty());
        assert_eq!(known.of(6, &files, &labels).files.keys().collect::<Vec<_>>(), [&3]);
    }
}
