//! What can be opened from here, and by which name.
//!
//! A lake is here if its own folder, or one of its node's prefixes before it, leads to a lake of
//! the same identity: names of machines prove nothing. Prefixes with a scheme (`https://…`,
//! `s3://…`) are taken at their word.

use crate::layout::Lake;
use crate::process::Own;
use crate::registry::resolve::PlaceRow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Every lake of the installation, as seen from here.
pub(crate) struct Places {
    /// Few: a tree is searched sooner than a hash is made.
    lakes: BTreeMap<Uuid, Place>,
}

struct Place {
    node: Arc<str>,
    root: String,
    /// What stands before a file's path relative to the lake.
    base: Option<String>,
}

/// What was found last, and of which lakes.
static FOUND: Own<Mutex<Option<Found>>> = Own::new();

type Found = (Arc<[PlaceRow]>, Arc<Places>);

impl Places {
    /// Looks which lakes can be reached, once for what the registry told at one time.
    pub(crate) fn reachable(lakes: &Arc<[PlaceRow]>) -> Arc<Self> {
        let mut found = FOUND.get().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, places)) = &*found
            && Arc::ptr_eq(of, lakes)
        {
            return places.clone();
        }
        let places = Arc::new(Self::look(lakes));
        *found = Some((lakes.clone(), places.clone()));
        places
    }

    /// Looks which lakes can be reached.
    pub(crate) fn look(rows: &[PlaceRow]) -> Self {
        let lakes = rows.iter().map(|row| {
            let node = row.node.as_str().into();
            let (root, base) = (row.root.trim_end_matches('/').to_owned(), base(row));
            (row.lake_id, Place { node, root, base })
        });
        Self { lakes: lakes.collect() }
    }

    /// The folder by which a lake can be reached from here.
    pub(crate) fn folder_of(&self, lake_id: Uuid) -> Option<&Path> {
        let base = self.lakes.get(&lake_id)?.base.as_deref();
        base.filter(|base| !base.contains("://")).map(Path::new)
    }

    /// Absolute path of a file on its node, and what opens it from here.
    pub(crate) fn of(&self, lake_id: Uuid, path: &str) -> (PathBuf, Option<String>) {
        match self.lakes.get(&lake_id) {
            Some(place) => {
                let uri = place.base.as_ref().map(|base| below(base, path));
                (below(&place.root, path).into(), uri)
            }
            None => (path.into(), None),
        }
    }

    /// The node of a lake.
    pub(crate) fn node_of(&self, lake_id: Uuid) -> Option<&Arc<str>> {
        Some(&self.lakes.get(&lake_id)?.node)
    }

    /// Whether a lake is among them.
    pub(crate) fn has(&self, lake_id: Uuid) -> bool {
        self.lakes.contains_key(&lake_id)
    }
}

/// `folder/path`, put together thousands of times an answer.
fn below(folder: &str, path: &str) -> String {
    let mut full = String::with_capacity(folder.len() + 1 + path.len());
    full.push_str(folder);
    full.push('/');
    full.push_str(path);
    full
}

fn base(row: &PlaceRow) -> Option<String> {
    let remote = |prefix: &&String| prefix.contains("://") && !prefix.starts_with("file://");
    folder(row).or_else(|| row.uri_prefixes.iter().find(remote).map(|prefix| full(row, prefix)))
}

/// The folder by which a lake can be reached from here.
pub(crate) fn folder(row: &PlaceRow) -> Option<String> {
    let root = row.root.trim_end_matches('/');
    if is_lake(Path::new(root), row.lake_id) {
        return Some(root.to_owned());
    }
    let mounted = |prefix: &String| {
        let folder = full(row, prefix);
        let folder = folder.strip_prefix("file://").unwrap_or(&folder).to_owned();
        is_lake(Path::new(&folder), row.lake_id).then_some(folder)
    };
    row.uri_prefixes.iter().find_map(mounted)
}

fn full(row: &PlaceRow, prefix: &str) -> String {
    format!("{}{}", prefix.trim_end_matches('/'), row.root.trim_end_matches('/'))
}

fn is_lake(folder: &Path, lake_id: Uuid) -> bool {
    Lake::open(folder).is_ok_and(|lake| lake.identity().lake_id == lake_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lake_is_found_by_its_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = folder.path().join("mount");
        let lake = Lake::open_or_create(&mount.join("data/lake"), "node-b").expect("a lake");
        let row = |root: &Path, prefixes: &[&str]| PlaceRow {
            lake_id: lake.identity().lake_id,
            node: "node-b".into(),
            root: root.display().to_string(),
            uri_prefixes: prefixes.iter().map(|p| (*p).to_owned()).collect(),
        };
        let uri = |row: PlaceRow| Places::look(&[row]).of(lake.identity().lake_id, "p/x.parquet");
        let mounted = mount.display().to_string();
        let there = format!("{mounted}/data/lake/p/x.parquet");

        let (path, found) = uri(row(&mount.join("data/lake"), &[]));
        assert_eq!((path.display().to_string(), found), (there.clone(), Some(there.clone())));
        let (path, found) = uri(row(Path::new("/data/lake"), &["/nowhere", "s3://b", &mounted]));
        assert_eq!(
            (path.display().to_string(), found),
            ("/data/lake/p/x.parquet".into(), Some(there))
        );
        let (_, found) = uri(row(Path::new("/data/lake"), &["/nowhere", "s3://bucket/"]));
        assert_eq!(found.as_deref(), Some("s3://bucket/data/lake/p/x.parquet"));
        assert_eq!(uri(row(Path::new("/data/lake"), &[])).1, None);
    }
}
