//! Questions by tables of people's own: SQL of TARGETIDs beside condition, cone and product.
//!
//! The catalog says in which rows of which files the objects are, without their coming here. Files that
//! it does not know are judged, and read, by the objects themselves.

use super::{Error, Query};
use crate::predicate::Predicate;
use crate::predicate::literal::List;
use crate::registry::Registry;
use crate::registry::candidates::Candidate;
use crate::registry::demands::Demands;
use crate::registry::resolve::Resolver;
use crate::registry::tables::Wanted;

/// A connection for a question, and what its SQL wants, if it has any.
pub(super) async fn ask(
    registry: &Registry,
    query: &Query,
) -> Result<(Resolver, Option<Wanted>), Error> {
    let Some(sql) = &query.sql else {
        return Ok((registry.resolver(query.as_of).await?, None));
    };
    let resolver = registry.resolver_of_tables(query.as_of).await?;
    let wanted = resolver.wanted(sql, query.product()).await?;
    Ok((resolver, Some(wanted)))
}

/// Rows whose TARGETID is one of these.
pub(crate) fn one_of(targets: &[i64]) -> Predicate {
    Predicate::In {
        column: "target_id".into(),
        list: List::integers(targets.iter().copied()),
        has_null: false,
    }
}

impl Wanted {
    /// The same demands, of files that hold wanted objects.
    pub(super) fn narrow(&self, demands: Demands) -> Demands {
        Demands { files: Some(self.rows.keys().copied().collect()), ..demands }
    }

    /// Notes in the candidates which rows of them are wanted.
    pub(super) fn locate(&self, candidates: &mut [Candidate]) {
        for candidate in candidates {
            candidate.located = self.rows.get(&candidate.file.file_id).cloned();
        }
    }

    /// What bounds are judged by: they know objects, but not rows.
    pub(super) fn condition(&self, condition: &Predicate) -> Predicate {
        match &self.targets {
            Some(targets) => condition.clone().and(one_of(targets)),
            None => condition.clone(),
        }
    }
}
