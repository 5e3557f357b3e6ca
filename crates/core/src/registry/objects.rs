//! Where objects are, packed: what `file_cells.objects` says of a file, and all of a registry at once for
//! whoever keeps asking for lists.
//!
//! A look-up in the catalog's index waits for memory some ten times over, and that for each object. A process
//! that asks for lists again and again learns, some files a question, what is packed of every cataloged file;
//! from then on the server is asked only whether that is still so.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

/// Low bits of a TARGETID, which tell objects of one brick and release apart.
const OBJECT_BITS: u32 = 22;
/// Bits of a row's number.
const ROW_BITS: u32 = 26;
/// Bytes of an object and its row.
const ENTRY: usize = 6;
/// Bytes of a run in the header.
const HEAD: usize = 12;

/// Lists after which it is worth to learn all objects.
const OFTEN: usize = 32;
/// Files that are learnt with one question, and bytes, about.
const AT_ONCE: usize = 512;
const BYTES_AT_ONCE: i64 = 6 << 20;
/// Registries of more files are not learnt,
pub(super) const FILES: i64 = 1 << 16;
/// nor are those of more bytes, some 30 million objects,
const BYTES: i64 = 192 << 20;
/// nor those whose TARGETIDs begin so differently that there are more runs; a survey has some hundred thousand.
const RUNS: usize = 1 << 22;

/// TARGETIDs and rows of a file, from 0, as its migration explains; `None` where a row's number is too great.
pub(crate) fn pack(mut objects: Vec<(i64, u32)>) -> Option<Vec<u8>> {
    if objects.iter().any(|(_, row)| row >> ROW_BITS != 0) {
        return None;
    }
    objects.sort_unstable();
    let runs = || objects.chunk_by(|(a, _), (b, _)| a >> OBJECT_BITS == b >> OBJECT_BITS);
    let mut bytes = Vec::with_capacity(4 + HEAD * 64 + ENTRY * objects.len());
    bytes.extend((runs().count() as u32).to_be_bytes());
    let mut end = 0;
    for run in runs() {
        end += run.len() as u32;
        bytes.extend((run[0].0 >> OBJECT_BITS).to_be_bytes());
        bytes.extend(end.to_be_bytes());
    }
    for (target_id, row) in &objects {
        let entry = low(*target_id) << ROW_BITS | u64::from(*row);
        bytes.extend(&entry.to_be_bytes()[8 - ENTRY..]);
    }
    Some(bytes)
}

fn low(target_id: i64) -> u64 {
    target_id as u64 & ((1 << OBJECT_BITS) - 1)
}

/// Objects of one brick and release in a file: which bytes of what is packed are theirs.
#[derive(Debug, Clone, Copy)]
struct Run {
    file: u32,
    start: u32,
    end: u32,
}

/// The runs of a file, each behind what its TARGETIDs begin with; `None` where the bytes are no such thing.
fn runs(file: u32, packed: &[u8]) -> Option<Vec<(i64, Run)>> {
    let (count, rest) = packed.split_first_chunk()?;
    let count = u32::from_be_bytes(*count) as usize;
    let heads = rest.get(..count.checked_mul(HEAD)?)?;
    let at = 4 + heads.len();
    let mut start = at;
    let run = |head: &[u8]| {
        let (brick, objects) = head.split_first_chunk()?;
        let end = at + ENTRY * u32::from_be_bytes(*objects.first_chunk()?) as usize;
        packed.get(start..end)?;
        let run = Run { file, start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? };
        start = end;
        Some((i64::from_be_bytes(*brick), run))
    };
    let runs = heads.chunks_exact(HEAD).map(run).collect::<Option<_>>()?;
    (start == packed.len()).then_some(runs)
}

/// Every object of a registry as of a commit.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) commit: i64,
    files: Vec<(i64, Arc<[u8]>)>,
    /// Those of one brick and release lie together.
    runs: Vec<Run>,
    /// Where the runs of each begin, and where they end.
    bricks: HashMap<i64, (u32, u32)>,
}

impl Directory {
    fn of(commit: i64, files: Vec<(i64, Arc<[u8]>)>) -> Option<Self> {
        let of_file = |(at, (_, packed)): (u32, &(i64, Arc<[u8]>))| runs(at, packed);
        let all: Option<Vec<_>> = (0..).zip(&files).map(of_file).collect();
        let mut all = all.filter(|all| all.iter().map(Vec::len).sum::<usize>() <= RUNS)?.concat();
        all.sort_by_key(|(brick, _)| *brick);
        let (mut bricks, mut end) = (HashMap::new(), 0);
        for of_brick in all.chunk_by(|(a, _), (b, _)| a == b) {
            let start = end;
            end += of_brick.len() as u32;
            bricks.insert(of_brick[0].0, (start, end));
        }
        let runs = all.into_iter().map(|(_, run)| run).collect();
        Some(Self { commit, files, runs, bricks })
    }

    /// The files, and the row of each, that hold these objects; a file comes as often as rows of it do.
    pub(super) fn find(&self, objects: &[i64]) -> (Vec<i64>, Vec<Option<i32>>) {
        // in steps: what one object waits for in memory, the others can wait for meanwhile
        let bricks = objects.iter().map(|id| (*id, self.bricks.get(&(id >> OBJECT_BITS))));
        let bricks: Vec<_> = bricks.filter_map(|(id, range)| Some((id, *range?))).collect();
        let runs = bricks.into_iter().flat_map(|(id, (start, end))| {
            let runs = self.runs.get(start as usize..end as usize).unwrap_or_default();
            runs.iter().map(move |run| (id, *run))
        });
        let runs: Vec<_> = runs.collect();
        let (mut ids, mut rows) = (Vec::new(), Vec::new());
        for (id, Run { file, start, end }) in runs {
            let Some((file_id, packed)) = self.files.get(file as usize) else { continue };
            let entries = packed.get(start as usize..end as usize).unwrap_or_default();
            let entries = entries.as_chunks::<ENTRY>().0;
            let wanted = low(id);
            let first = entries.partition_point(|entry| value(entry) >> ROW_BITS < wanted);
            let found = entries.iter().skip(first).map(value);
            for entry in found.take_while(|entry| entry >> ROW_BITS == wanted) {
                ids.push(*file_id);
                rows.push(Some((entry & ((1 << ROW_BITS) - 1)) as i32));
            }
        }
        (ids, rows)
    }
}

fn value(entry: &[u8; ENTRY]) -> u64 {
    entry.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// What was learnt of a registry's objects.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// As of which commit the last list was.
    asked_at: i64,
    /// What is packed of each file: of a version it never changes.
    packed: HashMap<i64, Arc<[u8]>>,
    listed: Option<Listed>,
    whole: Option<Arc<Directory>>,
    /// They are too many, or one is not packed.
    cannot_be: bool,
}

/// The files that there are as of a commit.
#[derive(Debug)]
struct Listed {
    commit: i64,
    /// Of which nothing is known yet.
    unknown: HashSet<i64>,
    /// So many are learnt at a time.
    at_once: usize,
}

/// What is to be learnt next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// Which files there are.
    Files,
    /// What is packed of some.
    Objects(Vec<i64>),
}

/// The files of which the catalog has rows, as of a commit.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: i64,
    pub(super) files: Vec<i64>,
    /// Bytes of what is packed of them; `None` where one is not packed.
    pub(super) bytes: Option<i64>,
}

impl Learnt {
    /// All objects, unless a commit came in between when somebody last asked.
    pub(super) fn directory(&self) -> Option<Arc<Directory>> {
        self.whole.clone().filter(|whole| whole.commit == self.asked_at)
    }

    /// What to learn behind a list, the so many-eth, that was answered as of a commit: nothing while every
    /// question comes to another one.
    pub(super) fn next(&mut self, commit: i64, lists: usize) -> Option<Lesson> {
        let is_settled = mem::replace(&mut self.asked_at, commit) == commit;
        let is_known = self.directory().is_some();
        if lists <= OFTEN || !is_settled || is_known || self.cannot_be {
            return None;
        }
        Some(match &self.listed {
            Some(listed) if listed.commit == commit => {
                let some = listed.unknown.iter().take(listed.at_once);
                Lesson::Objects(some.copied().collect())
            }
            _ => Lesson::Files,
        })
    }

    /// Takes note of the files that there are; gives what makes a directory, where all is known of them.
    pub(super) fn learn_files(&mut self, listing: Listing) -> Option<Material> {
        let Listing { commit, files, bytes } = listing;
        let count = files.len() as i64;
        let Some(bytes) = bytes.filter(|bytes| count <= FILES && *bytes <= BYTES) else {
            *self = Self { asked_at: self.asked_at, cannot_be: true, ..Self::default() };
            return None;
        };
        let there: HashSet<i64> = files.into_iter().collect();
        self.packed.retain(|id, _| there.contains(id));
        let unknown = there.into_iter().filter(|id| !self.packed.contains_key(id)).collect();
        let at_once = (BYTES_AT_ONCE * count / bytes.max(1)).clamp(1, AT_ONCE as i64) as usize;
        self.listed = Some(Listed { commit, unknown, at_once });
        self.material()
    }

    /// Takes what is packed of files that were asked for: of those that went meanwhile, nothing. What comes
    /// late is no part of the files that there are now, unless these are waiting for it.
    pub(super) fn learn_objects(
        &mut self,
        asked: &[i64],
        found: Vec<(i64, Arc<[u8]>)>,
    ) -> Option<Material> {
        let listed = self.listed.as_mut()?;
        let are_there = found.len() == asked.len();
        let awaited = found.into_iter().filter(|(id, _)| listed.unknown.remove(id));
        self.packed.extend(awaited);
        if !are_there {
            self.listed = None;
        }
        self.material()
    }

    fn material(&mut self) -> Option<Material> {
        let Listed { commit, .. } = self.listed.take_if(|listed| listed.unknown.is_empty())?;
        let files = self.packed.iter().map(|(id, packed)| (*id, packed.clone())).collect();
        Some(Material { commit, files })
    }

    /// Takes the directory that was made of it.
    pub(super) fn learn_whole(&mut self, whole: Option<Directory>) {
        self.cannot_be = whole.is_none();
        self.whole = whole.map(Arc::new);
    }
}

/// Every file of a commit with what is packed of it.
pub(super) struct Material {
    commit: i64,
    files: Vec<(i64, Arc<[u8]>)>,
}

impl Material {
    /// The directory; `None` where something is not packed as it should be, or they are too many. Of millions of objects it takes a
    /// while, in which others need not wait.
    pub(super) fn directory(self) -> Option<Directory> {
        Directory::of(self.commit, self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};

    fn packed(objects: &[(i64, u32)]) -> Arc<[u8]> {
        pack(objects.to_vec()).expect("rows are few").into()
    }

    #[test]
    fn a_directory_finds_what_was_packed() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(6);
        let bricks = [0, 1, 39_633_179 << 22, i64::MAX, i64::MIN, -1, 2_305_843_019_946_942_000];
        let mut some = |_| {
            let brick = bricks[rng.random_range(0..bricks.len())];
            brick
                .saturating_add(rng.random_range(-9..9))
                .saturating_sub(rng.random_range(0..2) << 22)
        };
        for round in 0..200 {
            let objects: Vec<i64> = (0..round * 3).map(&mut some).collect();
            let files: Vec<(i64, Vec<(i64, u32)>)> = (0..4)
                .map(|file| {
                    let of_file = objects.iter().skip(file).step_by(4).copied();
                    (
                        7 + file as i64,
                        of_file.zip([(1 << ROW_BITS) - 1].into_iter().chain(0..)).collect(),
                    )
                })
                .collect();
            let all = files.iter().map(|(id, objects)| (*id, packed(objects))).collect();
            let directory = Directory::of(3, all).expect("whole");
            let mut wanted: Vec<i64> = (0..50).map(&mut some).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let (ids, rows) = directory.find(&wanted);
            let mut found: Vec<_> = ids.into_iter().zip(rows.into_iter().flatten()).collect();
            let held =
                files.iter().flat_map(|(id, held)| held.iter().map(move |held| (*id, *held)));
            let held = held.filter(|(_, (id, _))| wanted.contains(id));
            let mut there: Vec<_> = held.map(|(file, (_, row))| (file, row as i32)).collect();
            found.sort_unstable();
            there.sort_unstable();
            assert_eq!(found, there);
        }
    }

    #[test]
    fn what_is_no_pack_is_no_directory() {
        let good = packed(&[(5, 1), (-5, 2), (9010 << 42 | 77 << 22, 3)]);
        assert!(Directory::of(1, vec![(1, good.clone())]).is_some());
        for cut in 0..good.len() {
            assert!(Directory::of(1, vec![(1, good[..cut].into())]).is_none(), "{cut}");
        }
        let huge = [&[0, 0, 0, 1][..], &[0; 8], &[0xff; 4]].concat();
        for bytes in [[&good[..], &[0]].concat(), [0xff; 40].to_vec(), huge] {
            assert!(Directory::of(1, vec![(1, bytes.into())]).is_none());
        }
        assert!(Directory::of(1, vec![(1, packed(&[]))]).is_some());
        assert_eq!(pack(vec![(5, 1 << ROW_BITS)]), None);
    }

    /// Lists at a commit, of which each is followed by what it taught.
    fn ask(learnt: &mut Learnt, commit: i64, there: &HashMap<i64, Arc<[u8]>>) -> Option<Lesson> {
        let lesson = learnt.next(commit, OFTEN + 1);
        match &lesson {
            Some(Lesson::Files) => {
                let bytes = Some(there.values().map(|packed| packed.len() as i64).sum());
                let files = there.keys().copied().collect();
                let material = learnt.learn_files(Listing { commit, files, bytes });
                make(learnt, material);
            }
            Some(Lesson::Objects(ids)) => {
                let found = ids.iter().filter_map(|id| Some((*id, there.get(id)?.clone())));
                let material = learnt.learn_objects(ids, found.collect());
                make(learnt, material);
            }
            None => {}
        }
        lesson
    }

    fn make(learnt: &mut Learnt, material: Option<Material>) {
        if let Some(material) = material {
            learnt.learn_whole(material.directory());
        }
    }

    #[test]
    fn what_comes_late_is_not_taken_for_what_is_there() {
        let mut learnt = Learnt::default();
        let listing = |commit, files| Listing { commit, files, bytes: Some(60) };
        assert!(learnt.learn_files(listing(4, vec![1])).is_none());
        // another thread has asked for file 1, of commit 4; before its answer comes, 2 takes its place
        assert!(learnt.learn_files(listing(5, vec![2])).is_none());
        assert!(learnt.learn_objects(&[1], vec![(1, packed(&[(77, 0)]))]).is_none());
        let material = learnt.learn_objects(&[2], vec![(2, packed(&[(77, 3)]))]);
        let directory = material.expect("all").directory().expect("whole");
        assert_eq!((directory.commit, directory.find(&[77])), (5, (vec![2], vec![Some(3)])));
        assert!(
            learnt.learn_objects(&[2], vec![(2, packed(&[(77, 3)]))]).is_none(),
            "known before"
        );
    }

    #[test]
    fn large_files_are_learnt_a_few_at_a_time() {
        let mut learnt = Learnt::default();
        let files = (0..400).collect();
        learnt.learn_files(Listing { commit: 0, files, bytes: Some(400 << 18) });
        let lesson = learnt.next(0, OFTEN + 1);
        assert!(matches!(lesson, Some(Lesson::Objects(files)) if files.len() == 24));
    }

    #[test]
    fn a_directory_is_as_of_the_last_commit_or_none() {
        let mut there: HashMap<i64, Arc<[u8]>> =
            (0..700).map(|id| (id, packed(&[(id, 0)]))).collect();
        let mut learnt = Learnt::default();
        assert_eq!(learnt.next(4, OFTEN), None, "too seldom");
        assert_eq!(ask(&mut learnt, 4, &there), Some(Lesson::Files));
        assert!(
            matches!(ask(&mut learnt, 4, &there), Some(Lesson::Objects(ids)) if ids.len() == AT_ONCE)
        );
        assert!(learnt.directory().is_none());
        assert!(
            matches!(ask(&mut learnt, 4, &there), Some(Lesson::Objects(ids)) if ids.len() == 188)
        );
        assert_eq!(learnt.directory().expect("whole").find(&[699]), (vec![699], vec![Some(0)]));
        assert_eq!(ask(&mut learnt, 4, &there), None);
        // a commit that takes one file and brings another
        there.remove(&699);
        there.insert(800, packed(&[(800, 3)]));
        assert_eq!(ask(&mut learnt, 5, &there), None, "another may come at once");
        assert!(learnt.directory().is_none());
        assert_eq!(ask(&mut learnt, 5, &there), Some(Lesson::Files));
        assert_eq!(ask(&mut learnt, 5, &there), Some(Lesson::Objects(vec![800])));
        let directory = learnt.directory().expect("whole");
        assert_eq!(
            (directory.commit, directory.find(&[699, 800])),
            (5, (vec![800], vec![Some(3)]))
        );
        // a file that went before it was learnt: once more from the beginning
        ask(&mut learnt, 6, &there);
        there.insert(801, packed(&[]));
        assert_eq!(ask(&mut learnt, 6, &there), Some(Lesson::Files));
        there.remove(&801);
        assert_eq!(ask(&mut learnt, 6, &there), Some(Lesson::Objects(vec![801])));
        assert_eq!(ask(&mut learnt, 6, &there), Some(Lesson::Files));
        assert_eq!(learnt.directory().map(|directory| directory.commit), Some(6));
        // no more than can be kept
        learnt.learn_files(Listing { commit: 6, files: vec![1], bytes: Some(BYTES + 1) });
        assert!(learnt.directory().is_none() && ask(&mut learnt, 6, &there).is_none());
        let mut learnt = Learnt::default();
        learnt.learn_files(Listing { commit: 6, files: vec![1], bytes: None });
        assert!(ask(&mut learnt, 0, &there).is_none(), "one is not packed");
    }
}
