//! Catalogs of groups of galaxies, for people who ask in SQL: the product has them row by row.

use super::copy::{self, Rows};
use super::{Error, Registry, doing};
use bytes::Bytes;
use futures::SinkExt;
use std::pin::pin;

/// Groups written at once.
const BLOCK: usize = 1 << 16;

/// A group of galaxies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// Smallest TARGETID of its galaxies.
    pub group_id: i64,
    /// Galaxies in it.
    pub size: i32,
    /// Centre (ICRS, degrees): right ascension, declination.
    pub centre: (f64, f64),
    /// Median redshift.
    pub z: f64,
    /// Velocity dispersion, km/s.
    pub sigma_v: Option<f64>,
    /// Its error, km/s.
    pub sigma_v_error: Option<f64>,
    /// Projected radius of half its galaxies, comoving Mpc.
    pub r50: Option<f64>,
}

/// A catalog of groups.
#[derive(Debug, Clone)]
pub struct GroupCatalog {
    /// Kind of galaxies.
    pub tracer: String,
    /// `ngc` or `sgc`.
    pub cap: String,
    /// What shaped it, as JSON.
    pub configuration: String,
    /// Galaxies that were looked at.
    pub galaxies: i64,
    /// The groups.
    pub groups: Vec<Group>,
}

impl Registry {
    /// Puts catalogs in the place of all that there were: no others than the product tells stay.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn put_groups(&self, catalogs: &[GroupCatalog]) -> Result<(), Error> {
        let failed = || doing("write the catalogs of groups");
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let discard = include_str!("../../../../sql/groups_discard.sql");
        transaction.execute(discard, &[]).await.map_err(failed())?;
        for catalog in catalogs {
            let GroupCatalog { tracer, cap, configuration, galaxies, groups } = catalog;
            let begin = include_str!("../../../../sql/groups_begin.sql");
            let count = i64::try_from(groups.len()).unwrap_or(i64::MAX);
            let row =
                transaction.query_one(begin, &[tracer, cap, configuration, galaxies, &count]).await;
            let number: i32 = row.and_then(|row| row.try_get(0)).map_err(failed())?;
            let sql = include_str!("../../../../sql/groups_copy.sql");
            let sink = transaction.copy_in::<_, Bytes>(sql).await.map_err(failed())?;
            let mut sink = pin!(sink);
            sink.send(copy::header()).await.map_err(failed())?;
            for block in groups.chunks(BLOCK) {
                sink.send(rows(number, block).into_bytes()).await.map_err(failed())?;
            }
            sink.send(copy::trailer()).await.map_err(failed())?;
            sink.finish().await.map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }
}

fn rows(catalog: i32, groups: &[Group]) -> Rows {
    let mut rows = Rows::with_capacity(groups.len() * 112);
    for group in groups {
        rows.begin(9);
        rows.int4(catalog);
        rows.int4(group.size);
        rows.int8(group.group_id);
        rows.float8(group.centre.0);
        rows.float8(group.centre.1);
        rows.float8(group.z);
        rows.maybe(group.sigma_v, Rows::float8);
        rows.maybe(group.sigma_v_error, Rows::float8);
        rows.maybe(group.r50, Rows::float8);
    }
    rows
}
