//! What resolutions found out and need not ask again.
//!
//! A version of a file never changes, nor does a schema, so that a number is enough to know it by:
//! until the registry is made anew, or another server answers. Then everything is forgotten.

use super::candidates::{CandidateRow, Labels};
use super::objects::{Directory, Learnt, Lesson, Listing, Material};
use super::resolve::{Columns, PlaceRow};
use super::spectra;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Files of one generation; there are two. A file takes about a kilobyte.
const FILES: usize = 1 << 16;

/// Whoever asked so often asks on.
const OFTEN: usize = 32;
/// Files with neighbouring numbers, which mostly are neighbours on the sky.
const BLOCK: i64 = 64;
/// So many are learnt at a time: no single question is to wait for all.
const LEARNT_BESIDE: usize = 256;

/// How long places are believed: lakes are moved more rarely than questions are asked.
const TRUST: Duration = Duration::from_secs(1);

/// Shared by the connections of a registry.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    known: Mutex<Known>,
    /// How often files were asked for, whoever answered.
    asked: AtomicUsize,
    /// How often a list of objects was.
    lists: AtomicUsize,
}

#[derive(Debug, Default)]
struct Known {
    registry_id: Option<Uuid>,
    schemas: HashMap<i32, Columns>,
    products: HashMap<String, Vec<i32>>,
    /// Products of which the catalog knew all files when somebody last asked.
    cataloged: HashSet<String>,
    places: Option<(Instant, Arc<[PlaceRow]>)>,
    labels: HashMap<[Option<String>; 3], Arc<Labels>>,
    words: HashSet<Arc<str>>,
    /// Files that were asked for lately, and before.
    young: HashMap<i64, Arc<CandidateRow>>,
    old: HashMap<i64, Arc<CandidateRow>>,
    objects: Learnt,
    spectra: spectra::Known,
}

impl Memory {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: whoever answers from now on may be another.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }

    /// Forgets everything unless it is of this registry.
    pub(super) fn keep_to(&self, registry_id: Uuid) {
        let mut known = self.known();
        if known.registry_id != Some(registry_id) {
            let schemas_of_nobody = known.registry_id.is_none();
            let before = mem::take(&mut *known);
            if schemas_of_nobody {
                (known.schemas, known.products) = (before.schemas, before.products);
                known.places = before.places;
            }
            known.registry_id = Some(registry_id);
        }
    }

    /// Files by their numbers, as of a commit; those that are not known are `None`.
    pub(super) fn files(&self, ids: &[i64], commit: i64) -> Vec<Option<Arc<CandidateRow>>> {
        self.asked.fetch_add(1, Relaxed);
        let mut known = self.known();
        let Known { young, old, .. } = &mut *known;
        let recall = |id| {
            let file = match young.get(id) {
                Some(file) => file.clone(),
                None => {
                    let file = old.remove(id)?;
                    young.insert(*id, file.clone());
                    file
                }
            };
            // a later commit may have brought it into the catalog
            (file.has_cells || file.learnt_at == commit).then_some(file)
        };
        ids.iter().map(recall).collect()
    }

    /// Whether more is worth doing for questions to come.
    pub(super) fn is_asked_often(&self) -> bool {
        self.asked.load(Relaxed) > OFTEN
    }

    /// Those that are not known and others around them, which are worth knowing as well for whoever asks
    /// often, where a registry is so small that all of it can be.
    pub(super) fn around(&self, unknown: &[i64]) -> Vec<i64> {
        let mut ids = unknown.to_vec();
        if !self.is_asked_often() {
            return ids;
        }
        let few = unknown.iter().filter(|id| **id < FILES as i64);
        let mut blocks: Vec<i64> = few.map(|id| id / BLOCK).collect();
        blocks.dedup();
        let beside = blocks.into_iter().flat_map(|block| BLOCK * block..BLOCK * (block + 1));
        let known = self.known();
        let is_new = |id: &i64| {
            !known.young.contains_key(id)
                && !known.old.contains_key(id)
                && unknown.binary_search(id).is_err()
        };
        ids.extend(beside.filter(is_new).take(LEARNT_BESIDE));
        ids
    }

    /// Remembers files of a registry.
    pub(super) fn learn(&self, registry_id: Uuid, files: impl Iterator<Item = Arc<CandidateRow>>) {
        let Some(mut known) = self.of(registry_id) else { return };
        for file in files {
            if known.young.len() >= FILES {
                known.old = mem::take(&mut known.young);
            }
            known.young.insert(file.file_id, file);
        }
    }

    /// All objects of the registry, if they were learnt and no commit is known to have come since.
    pub(super) fn directory(&self) -> Option<(Uuid, Arc<Directory>)> {
        let known = self.known();
        known.registry_id.zip(known.objects.directory())
    }

    /// What is worth learning of a registry behind the answer to a list of objects, as of a commit.
    pub(super) fn next_lesson(&self, registry_id: Uuid, commit: i64) -> Option<Lesson> {
        let lists = 1 + self.lists.fetch_add(1, Relaxed);
        let mut known = self.of(registry_id)?;
        known.objects.next(commit, lists)
    }

    /// Remembers which files the catalog has rows of.
    pub(super) fn learn_files(&self, registry_id: Uuid, listing: Listing) {
        let material =
            self.of(registry_id).and_then(|mut known| known.objects.learn_files(listing));
        self.learn_whole(registry_id, material);
    }

    /// Remembers what is packed of the files' objects.
    pub(super) fn learn_objects(
        &self,
        registry_id: Uuid,
        asked: &[i64],
        found: Vec<(i64, Arc<[u8]>)>,
    ) {
        let learn = |mut known: MutexGuard<'_, Known>| known.objects.learn_objects(asked, found);
        let material = self.of(registry_id).and_then(learn);
        self.learn_whole(registry_id, material);
    }

    fn learn_whole(&self, registry_id: Uuid, material: Option<Material>) {
        let Some(material) = material else { return };
        let directory = material.directory();
        if let Some(mut known) = self.of(registry_id) {
            known.objects.learn_whole(directory);
        }
    }

    /// What is known of a registry; `None` if it is of another.
    fn of(&self, registry_id: Uuid) -> Option<MutexGuard<'_, Known>> {
        Some(self.known()).filter(|known| known.registry_id == Some(registry_id))
    }

    /// What is known of files of spectra.
    pub(super) fn spectra<T>(&self, with: impl FnOnce(&mut spectra::Known) -> T) -> T {
        with(&mut self.known().spectra)
    }

    /// Labels that many files share.
    pub(super) fn labels(&self, texts: [Option<String>; 3]) -> Arc<Labels> {
        let mut known = self.known();
        let made = || Arc::new(Labels::of(&texts));
        match known.labels.get(&texts) {
            Some(labels) => labels.clone(),
            None => {
                let labels = made();
                known.labels.insert(texts, labels.clone());
                labels
            }
        }
    }

    /// A word that many files share.
    pub(super) fn word(&self, word: &str) -> Arc<str> {
        let mut known = self.known();
        match known.words.get(word) {
            Some(word) => word.clone(),
            None => {
                let word: Arc<str> = word.into();
                known.words.insert(word.clone());
                word
            }
        }
    }

    /// Where lakes lie, if that was asked lately.
    pub(super) fn places(&self) -> Option<Arc<[PlaceRow]>> {
        let known = self.known();
        let (asked_at, places) = known.places.as_ref()?;
        (asked_at.elapsed() < TRUST).then(|| places.clone())
    }

    pub(super) fn learn_places(&self, places: Arc<[PlaceRow]>) {
        self.known().places = Some((Instant::now(), places));
    }

    /// The columns of a schema.
    pub(super) fn schema(&self, id: i32) -> Option<Columns> {
        self.known().schemas.get(&id).cloned()
    }

    pub(super) fn learn_schemas(&self, schemas: Vec<(i32, Columns)>) {
        self.known().schemas.extend(schemas);
    }

    /// Schemas that a product had when somebody last asked; `None` where nobody has.
    pub(super) fn product(&self, product: &str) -> Option<Vec<i32>> {
        self.known().products.get(product).filter(|ids| !ids.is_empty()).cloned()
    }

    /// Whether the catalog knew all files of a product when somebody last asked.
    pub(super) fn is_cataloged(&self, product: &str) -> bool {
        self.known().cataloged.contains(product)
    }

    pub(super) fn learn_cataloged(&self, product: &str, is_cataloged: bool) {
        let mut known = self.known();
        if !is_cataloged {
            known.cataloged.remove(product);
        } else if !known.cataloged.contains(product) {
            known.cataloged.insert(product.to_owned());
        }
    }

    pub(super) fn learn_product(&self, product: &str, schemas: Vec<i32>) {
        self.known().products.insert(product.to_owned(), schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_often_learns_what_is_beside() {
        let memory = Memory::default();
        for _ in 0..=OFTEN {
            assert_eq!(memory.around(&[70, 200]), [70, 200]);
            memory.files(&[70, 200], 1);
        }
        // a connection that is made anew, as the second of lists is, does not make it rare
        memory.forget();
        let mut around = memory.around(&[70, 200]);
        around.sort_unstable();
        assert!(around.into_iter().eq((64..128).chain(192..256)), "each of both blocks once");
        let far = FILES as i64;
        assert_eq!(memory.around(&[far]), [far], "so many cannot be kept");
        let many: Vec<i64> = (0..BLOCK).map(|block| block * BLOCK).collect();
        assert_eq!(memory.around(&many).len(), many.len() + LEARNT_BESIDE);
    }
}
