//! Leases of parts of computations that several processes share.

use super::{Error, Registry, doing};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A part of a step of a computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Digest of what is computed of what.
    pub work: &'a str,
    /// The step.
    pub step: &'a str,
    /// Its number.
    pub part: i32,
}

/// Who takes leases, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// The node.
    pub node: String,
    /// The process.
    pub run_id: Uuid,
    /// Seconds that a lease lasts unless it is renewed.
    pub lease_s: f64,
}

impl Registry {
    /// Takes a part, unless another run holds it; says whether it did.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn claim_part(&self, part: Part<'_>, holder: &Holder) -> Result<bool, Error> {
        let sql = include_str!("../../../../sql/parts_claim.sql");
        let Holder { node, run_id, lease_s } = holder;
        let client = self.client().await?;
        let taken = client
            .execute(sql, &[&part.work, &part.step, &part.part, node, run_id, lease_s])
            .await
            .map_err(doing("take a part of a computation"))?;
        Ok(taken > 0)
    }

    /// Keeps all parts of a run for another lease; says how many it holds.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn renew_parts(&self, run_id: Uuid) -> Result<u64, Error> {
        let sql = include_str!("../../../../sql/parts_renew.sql");
        let client = self.client().await?;
        client.execute(sql, &[&run_id]).await.map_err(doing("keep parts of a computation"))
    }

    /// Gives back a part, or all that a run holds.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn release_parts(&self, run_id: Uuid, part: Option<Part<'_>>) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/parts_release.sql");
        let (work, step) = (part.map(|part| part.work), part.map(|part| part.step));
        let number = part.map(|part| part.part);
        let client = self.client().await?;
        let given = client.execute(sql, &[&run_id, &work, &step, &number]).await;
        given.map(drop).map_err(doing("give back parts of a computation"))
    }

    /// Until when runs hold parts of a computation, if any does.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn parts_held_until(&self, work: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let sql = include_str!("../../../../sql/parts_held_until.sql");
        let asked = self.client().await?.query_one(sql, &[&work]).await;
        let until = asked.and_then(|row| row.try_get(0));
        until.map_err(doing("ask who is at work on a computation"))
    }
}
