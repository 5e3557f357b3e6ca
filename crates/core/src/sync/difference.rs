//! What the lake holds against what the registry believes it holds.

use super::walk::{Listing, Seen};
use crate::registry::campaign::SetAside;
use crate::registry::{self, CurrentRow};
use futures::{Stream, TryStreamExt};
use std::cmp::Ordering;
use std::pin::pin;

/// What must be done so that the registry agrees with the lake.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Files to be read, by path: new ones, and new versions of known ones.
    pub(super) fresh: Vec<Fresh>,
    /// Files that vanished.
    pub(super) vanished: Vec<Gone>,
    /// Registered files whose rows the catalog lacks.
    pub(super) backlog: Vec<Registered>,
    /// Files whose rows the catalog should no longer hold.
    pub(super) unwanted: Vec<i64>,
    /// Files in the registry that stay as they are and cannot be read.
    pub(super) still_quarantined: u64,
}

/// A file to be read.
#[derive(Debug, Clone)]
pub(super) struct Fresh {
    pub(super) seen: Seen,
    /// The version that it takes the place of.
    pub(super) predecessor: Option<Gone>,
}

/// A file that is already in the registry.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) file_id: i64,
    pub(super) seen: Seen,
}

/// A version of a file that is there no longer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    pub(super) file_id: i64,
    pub(super) num_rows: i64,
    pub(super) size_bytes: i64,
    pub(super) pixel: Option<i32>,
    pub(super) was_live: bool,
    pub(super) in_catalog: bool,
}

impl Difference {
    /// Whether the files are as the registry believes.
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty()
            && self.vanished.is_empty()
            && self.backlog.is_empty()
            && self.unwanted.is_empty()
    }

    /// Versions that are there no longer: first those that changed, then those that vanished.
    pub(super) fn gone(&self) -> impl Iterator<Item = Gone> {
        let changed = self.fresh.iter().filter_map(|f| f.predecessor);
        changed.chain(self.vanished.iter().copied())
    }

    /// Compares a sorted listing with the registry's files, which come in the same order.
    /// `products` are to be in the catalog; `None` leaves the catalog as it is.
    pub(super) async fn find(
        listing: &Listing,
        current: impl Stream<Item = Result<CurrentRow, registry::Error>>,
        products: Option<&[String]>,
    ) -> Result<Self, registry::Error> {
        let mut current = pin!(current);
        let mut difference = Self::default();
        let mut seen = listing.files.iter().peekable();
        while let Some(row) = current.try_next().await? {
            while let Some(new) = seen.next_if(|s| s.path < row.path) {
                difference.fresh.push(Fresh { seen: new.clone(), predecessor: None });
            }
            match seen.peek().map(|s| s.path.cmp(&row.path)) {
                Some(Ordering::Equal) => {
                    if let Some(same) = seen.next() {
                        difference.compare(same, &row, products);
                    }
                }
                _ if listing.hides(&row.path) => {}
                _ => difference.vanished.push(Gone::from(&row)),
            }
        }
        difference.fresh.extend(seen.map(|s| Fresh { seen: s.clone(), predecessor: None }));
        Ok(difference)
    }

    /// Leaves out files that the lake is to take away; says how many.
    pub(super) fn leave_out(&mut self, going: &[SetAside]) -> usize {
        let before = self.fresh.len();
        let goes = |f: &Fresh| {
            going.iter().any(|g| g.path == f.seen.path && g.version == f.seen.version())
        };
        self.fresh.retain(|fresh| !goes(fresh));
        before - self.fresh.len()
    }

    fn compare(&mut self, seen: &Seen, row: &CurrentRow, products: Option<&[String]>) {
        let is_same = (seen.size_bytes, seen.mtime_ns, seen.inode)
            == (row.size_bytes, row.mtime_ns, row.inode);
        let is_wanted = products.map(|wanted| wanted.contains(&row.product));
        match is_wanted {
            _ if !is_same => {
                self.fresh.push(Fresh { seen: seen.clone(), predecessor: Some(Gone::from(row)) });
            }
            _ if !row.is_live => self.still_quarantined += 1,
            Some(true) if !row.in_catalog => {
                self.backlog.push(Registered { file_id: row.file_id, seen: seen.clone() });
            }
            Some(false) if row.in_catalog => self.unwanted.push(row.file_id),
            _ => {}
        }
    }
}

impl From<&CurrentRow> for Gone {
    fn from(row: &CurrentRow) -> Self {
        Self {
            file_id: row.file_id,
            num_rows: row.num_rows.unwrap_or(0),
            size_bytes: row.size_bytes,
            pixel: row.healpix,
            was_live: row.is_live,
            in_catalog: row.in_catalog,
        }
    }
}

impl Listing {
    /// Whether a path lies where the walk could not look.
    fn hides(&self, path: &str) -> bool {
        let unread = self.unread.iter().map(|(folder, _)| folder);
        unread.chain(&self.under_way).any(|folder| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest.starts_with('/'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str, size_bytes: i64) -> Seen {
        Seen { path: path.to_owned(), size_bytes, mtime_ns: 1, inode: 1, problem: None }
    }

    fn row(file_id: i64, path: &str) -> CurrentRow {
        CurrentRow {
            file_id,
            path: path.to_owned(),
            product: path.split('/').next().unwrap_or_default().to_owned(),
            size_bytes: 10,
            mtime_ns: 1,
            inode: 1,
            num_rows: Some(5),
            healpix: None,
            is_live: file_id != 9,
            in_catalog: file_id % 2 == 0,
        }
    }

    fn find(listing: &Listing, rows: Vec<CurrentRow>, products: Option<&[String]>) -> Difference {
        let rows = futures::stream::iter(rows.into_iter().map(Ok));
        futures::executor::block_on(Difference::find(listing, rows, products)).expect("compared")
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let files = [
            ("a/1", 10),
            ("a/3", 10),
            ("a/4", 99),
            ("b/1", 10),
            ("s/1", 10),
            ("s/2", 10),
            ("t/2", 10),
        ];
        let mut listing = Listing::default();
        listing.files = files.map(|(p, s)| seen(p, s)).to_vec();
        let rows = vec![
            row(1, "a/2"),
            row(3, "a/3"),
            row(5, "a/4"),
            row(9, "b/1"),
            row(11, "s/1"),
            row(12, "s/2"),
            row(14, "t/2"),
            row(16, "u/2"),
        ];
        let found = find(&listing, rows.clone(), Some(&["s".to_owned()]));
        let fresh: Vec<_> = found
            .fresh
            .iter()
            .map(|f| (f.seen.path.as_str(), f.predecessor.map(|p| p.file_id)))
            .collect();
        assert_eq!(fresh, [("a/1", None), ("a/4", Some(5))]);
        assert_eq!(found.vanished.iter().map(|g| g.file_id).collect::<Vec<_>>(), [1, 16]);
        assert_eq!(found.backlog.iter().map(|r| r.file_id).collect::<Vec<_>>(), [11]);
        assert_eq!(found.unwanted, [14]);
        assert_eq!(found.still_quarantined, 1);
        let without = find(&listing, rows, None);
        assert!(without.backlog.is_empty() && without.unwanted.is_empty());
    }

    #[test]
    fn what_could_not_be_looked_into_has_not_vanished() {
        let unread = vec![("a/x".to_owned(), "denied".to_owned())];
        let mut listing = Listing::default();
        listing.unread = unread;
        let rows = vec![row(1, "a/x"), row(2, "a/x/1"), row(3, "a/xy"), row(4, "b")];
        let found = find(&listing, rows, None);
        assert_eq!(found.vanished.iter().map(|g| g.file_id).collect::<Vec<_>>(), [3, 4]);
    }
}
