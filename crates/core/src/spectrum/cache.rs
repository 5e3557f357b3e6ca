//! Files that stay open: so many, the one that was used longest ago goes first.

use crate::withdraw::Version;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What was opened of files, by their paths. Each is of one version of its file.
#[derive(Debug)]
pub(super) struct Cache<T> {
    held: Mutex<Held<T>>,
    capacity: usize,
}

#[derive(Debug)]
struct Held<T> {
    files: HashMap<PathBuf, Entry<T>>,
    clock: u64,
}

#[derive(Debug)]
struct Entry<T> {
    of: Version,
    opened: Arc<T>,
    used_at: u64,
}

impl<T> Cache<T> {
    /// Of so many files, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        let held = Mutex::new(Held { files: HashMap::new(), clock: 0 });
        Self { held, capacity: capacity.max(1) }
    }

    /// What was opened of this version of a file.
    pub(super) fn get(&self, path: &Path, version: Version) -> Option<Arc<T>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let now = held.clock;
        let entry = held.files.get_mut(path).filter(|entry| entry.of == version)?;
        entry.used_at = now;
        Some(entry.opened.clone())
    }

    /// Keeps what was opened, in place of what there was of the path. Whoever still reads of what goes
    /// has it open until the end.
    pub(super) fn put(&self, path: &Path, of: Version, opened: Arc<T>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let used_at = held.clock;
        held.files.insert(path.to_owned(), Entry { of, opened, used_at });
        while held.files.len() > self.capacity {
            let oldest = held.files.iter().min_by_key(|(_, entry)| entry.used_at);
            let Some(oldest) = oldest.map(|(path, _)| path.clone()) else { break };
            held.files.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_and_other_versions_are_not_given() {
        let version = |inode| Version { size_bytes: 1, mtime_ns: 1, inode };
        let cache = Cache::new(2);
        let get = |name: &str, inode| cache.get(Path::new(name), version(inode)).map(|n| *n);
        let put =
            |name: &str, inode, what| cache.put(Path::new(name), version(inode), Arc::new(what));
        put("a", 1, 10);
        put("b", 2, 20);
        assert_eq!((get("a", 1), get("a", 9)), (Some(10), None));
        put("c", 3, 30);
        assert_eq!((get("a", 1), get("b", 2), get("c", 3)), (Some(10), None, Some(30)));
        put("a", 4, 40);
        assert_eq!((get("a", 1), get("a", 4), get("c", 3)), (None, Some(40), Some(30)));
    }
}
