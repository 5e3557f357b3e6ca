//! The files that a resolution's statement names.

use super::objects::Directory;
use tokio_postgres::Row;
use uuid::Uuid;

/// What `resolve_files.sql` tells.
pub(super) struct Told {
    registry_id: Uuid,
    commit: i64,
    /// In no order; some may come twice.
    ids: Vec<i64>,
    /// For each of them the row that holds a wanted object, where the catalog was asked.
    rows: Option<Vec<Option<i32>>>,
    /// Whether the catalog knows all files, where that was asked.
    is_cataloged: Option<bool>,
}

impl Told {
    pub(super) fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let ids: Option<Vec<i64>> = row.try_get(2)?;
        Ok(Self {
            registry_id: row.try_get(0)?,
            commit: row.try_get(1)?,
            ids: ids.unwrap_or_default(),
            rows: row.try_get(3)?,
            is_cataloged: row.try_get(4)?,
        })
    }

    /// Of which registry, and as of which commit.
    pub(super) fn source(&self) -> (Uuid, i64) {
        (self.registry_id, self.commit)
    }

    /// The same with the files and rows of objects that were not asked for, from a directory that is as of the
    /// same commit; `None` where the catalog does not know all files.
    pub(super) fn with_found(self, directory: &Directory, objects: &[i64]) -> Option<Self> {
        if self.is_cataloged != Some(true) {
            return None;
        }
        let (ids, rows) = directory.find(objects);
        Some(Self { ids, rows: Some(rows), ..self })
    }

    /// This and what was told of other objects; `None` if something changed in between.
    pub(super) fn with(mut self, other: Self) -> Option<Self> {
        let one = (self.registry_id, self.commit, self.is_cataloged);
        if one != (other.registry_id, other.commit, other.is_cataloged) {
            return None;
        }
        self.ids.extend(other.ids);
        // none where there are no files
        self.rows.get_or_insert_default().extend(other.rows.unwrap_or_default());
        Some(self)
    }
}

/// Files that were named.
pub(super) struct Named {
    pub(super) registry_id: Uuid,
    pub(super) commit: i64,
    /// Ascending, each once.
    pub(super) ids: Vec<i64>,
    /// For each of them the rows that hold wanted objects, where the catalog tells.
    pub(super) located: Vec<Option<Vec<i32>>>,
    pub(super) is_cataloged: Option<bool>,
}

impl Named {
    pub(super) fn without_rows(registry_id: Uuid, ids: Vec<i64>) -> Self {
        let located = vec![None; ids.len()];
        Self { registry_id, commit: 0, ids, located, is_cataloged: None }
    }

    pub(super) fn of(told: Told) -> Self {
        let Told { registry_id, commit, mut ids, rows, is_cataloged } = told;
        let Some(rows) = rows else {
            ids.sort_unstable();
            ids.dedup();
            return Self { commit, is_cataloged, ..Self::without_rows(registry_id, ids) };
        };
        let (located, named) = (Vec::new(), Vec::new());
        let mut named = Self { registry_id, commit, ids: named, located, is_cataloged };
        let mut pairs: Vec<(i64, Option<i32>)> = ids.into_iter().zip(rows).collect();
        // where one row is not known, any may be it: NULL comes first
        pairs.sort_unstable();
        for (id, row) in pairs {
            match (named.ids.last(), named.located.last_mut()) {
                (Some(last), Some(located)) if *last == id => {
                    located.iter_mut().for_each(|rows| rows.extend(row));
                }
                _ => {
                    named.ids.push(id);
                    named.located.push(row.map(|row| vec![row]));
                }
            }
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(commit: i64, pairs: &[(i64, Option<i32>)]) -> Told {
        let (ids, rows) = pairs.iter().copied().unzip();
        let rows = (!pairs.is_empty()).then_some(rows);
        Told { registry_id: Uuid::nil(), commit, ids, rows, is_cataloged: Some(true) }
    }

    #[test]
    fn halves_of_one_commit_are_one_answer() {
        let (one, other) =
            (told(7, &[(2, Some(4)), (1, Some(9))]), told(7, &[(3, None), (2, Some(1))]));
        let named = Named::of(one.with(other).expect("nothing changed"));
        assert_eq!((named.commit, named.ids), (7, vec![1, 2, 3]));
        assert_eq!(named.located, [Some(vec![9]), Some(vec![1, 4]), None]);
        for (one, other) in [(&[][..], &[(1, Some(2))][..]), (&[(1, Some(2))], &[]), (&[], &[])] {
            let named = Named::of(told(7, one).with(told(7, other)).expect("nothing changed"));
            assert_eq!(named.ids.len(), one.len() + other.len());
        }
    }

    #[test]
    fn halves_of_two_commits_are_none() {
        assert!(told(7, &[]).with(told(8, &[])).is_none());
        let elsewhere = Told { registry_id: Uuid::max(), ..told(7, &[]) };
        assert!(told(7, &[]).with(elsewhere).is_none());
        let not_all = Told { is_cataloged: Some(false), ..told(7, &[]) };
        assert!(told(7, &[]).with(not_all).is_none());
    }
}
