//! Where the spectra of objects lie.

use super::Error;
use super::resolve::Resolver;
use crate::layout::SPECTRA;
use tokio_postgres::Row;
use uuid::Uuid;

/// A row of the catalog, and the file that holds it.
#[derive(Debug, Clone)]
pub(crate) struct SpectrumRow {
    pub(crate) target_id: i64,
    pub(crate) lake_id: Uuid,
    pub(crate) row_index: i32,
    pub(crate) file: PlacedFile,
    pub(crate) release: Option<String>,
    pub(crate) survey: Option<String>,
    pub(crate) program: Option<String>,
    pub(crate) healpix: Option<i32>,
    pub(crate) ra: Option<f64>,
    pub(crate) dec: Option<f64>,
    pub(crate) z: Option<f64>,
    pub(crate) zerr: Option<f64>,
    pub(crate) deltachi2: Option<f64>,
    pub(crate) zwarn: Option<i64>,
    pub(crate) spectype: Option<String>,
    pub(crate) subtype: Option<String>,
    pub(crate) is_primary: bool,
    /// The spectra store that holds the same row, and the group.
    pub(crate) store: Option<(PlacedFile, String)>,
}

/// A version of a file, by its path in its lake.
#[derive(Debug, Clone)]
pub(crate) struct PlacedFile {
    pub(crate) path: String,
    pub(crate) size_bytes: i64,
    pub(crate) mtime_ns: i64,
}

impl SpectrumRow {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let file = PlacedFile {
            path: row.try_get(3)?,
            size_bytes: row.try_get(4)?,
            mtime_ns: row.try_get(5)?,
        };
        let path: Option<String> = row.try_get(19)?;
        let in_store = |path| {
            let (size_bytes, mtime_ns) = (row.try_get(20)?, row.try_get(21)?);
            Ok::<_, tokio_postgres::Error>((
                PlacedFile { path, size_bytes, mtime_ns },
                row.try_get(22)?,
            ))
        };
        Ok(Self {
            store: path.map(in_store).transpose()?,
            target_id: row.try_get(0)?,
            lake_id: row.try_get(1)?,
            row_index: row.try_get(2)?,
            file,
            release: row.try_get(6)?,
            survey: row.try_get(7)?,
            program: row.try_get(8)?,
            healpix: row.try_get(9)?,
            ra: row.try_get(10)?,
            dec: row.try_get(11)?,
            z: row.try_get(12)?,
            zerr: row.try_get(13)?,
            deltachi2: row.try_get(14)?,
            zwarn: row.try_get(15)?,
            spectype: row.try_get(16)?,
            subtype: row.try_get(17)?,
            is_primary: row.try_get(18)?,
        })
    }
}

impl Resolver {
    /// Rows of objects in `spectra`; of a release, a survey, a program (in this order), or of any. In
    /// no order.
    pub(crate) async fn spectra(
        &self,
        target_ids: &[i64],
        [release, survey, program]: [Option<&str>; 3],
    ) -> Result<Vec<SpectrumRow>, Error> {
        let sql = include_str!("../../../../sql/spectrum_rows.sql");
        let asked: [&(dyn postgres_types::ToSql + Sync); 5] =
            [&target_ids, &release, &survey, &program, &SPECTRA];
        self.each(sql, &asked, SpectrumRow::of).await
    }
}
