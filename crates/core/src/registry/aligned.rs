//! Files of several products that zip, row by row.

use super::candidates::{Candidate, CandidateRow};
use super::resolve::Resolver;
use super::template::{Assembled, Template};
use super::time::PastRow;
use super::{Error, doing};
use std::sync::{Arc, LazyLock};
use tokio_postgres::Row;

/// Files of a product, each with the number of the file that it zips with.
pub(crate) struct Aligned {
    /// The commit that they are as of.
    pub(crate) commit: i64,
    /// Numbers of the given files, in the order of `files`.
    pub(crate) own: Vec<i64>,
    pub(crate) files: Vec<Candidate>,
}

impl Resolver {
    /// Files of a product that zip with the given ones, and are made of nothing stale.
    pub(crate) async fn aligned(&self, files: &[i64], product: &str) -> Result<Aligned, Error> {
        static TEMPLATE: LazyLock<Template> =
            LazyLock::new(|| Template::of(include_str!("../../../../sql/resolve_aligned.sql")));
        let product = product.to_owned();
        let when = if self.as_of.is_some() { "then" } else { "now" };
        let Assembled { sql, params } = TEMPLATE.assemble(&[when], |name| match name {
            "files" => Some(&files),
            "product" => Some(&product),
            "commit" => Some(&self.as_of),
            _ => None,
        });
        let rows = self.rows(&sql, &params).await?;
        self.read(&rows).map_err(doing("resolve which files zip"))
    }

    fn read(&self, rows: &[Row]) -> Result<Aligned, tokio_postgres::Error> {
        let mut aligned =
            Aligned { commit: self.as_of.unwrap_or_default(), own: Vec::new(), files: Vec::new() };
        for row in rows {
            let commit: i64 = row.try_get("commit_id")?;
            aligned.commit = self.as_of.unwrap_or(commit);
            let Some(own) = row.try_get("own_id")? else { continue };
            let file = CandidateRow::of(row, &self.memory, aligned.commit)?;
            aligned.own.push(own);
            aligned.files.push(Candidate {
                file: Arc::new(file),
                located: None,
                past: PastRow::of(row)?,
            });
        }
        Ok(aligned)
    }
}
