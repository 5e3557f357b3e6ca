//! Stage two: files and row groups judged by all of their bounds, with the whole predicate.

use super::quick::Quick;
use super::{Error, region};
use crate::bounds::{Bounds, Known};
use crate::occupancy::{Ends, Shell};
use crate::predicate::{self, Literal, Predicate, bounds, column};
use crate::process::map_many;
use crate::registry::candidates::{self, Candidate, CandidateRow};
use crate::registry::promoted::Entry;
use crate::registry::resolve::{BoundsRow, ColumnRow, Kind, Resolver, Slices};
use crate::registry::row_groups::RowGroups;
use crate::sky::Region;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// Files whose bounds are fetched at once: bounds what a question takes of memory.
const FILES_AT_ONCE: usize = 20_000;

/// The column whose bounds a region's HEALPix ranges are held against.
const HEALPIX_29: &str = "_healpix_29";

/// A candidate that may hold matching rows.
pub(super) struct Judged<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) row_groups: Vec<usize>,
    /// Rows of each of them, where the file has several and it is known.
    pub(super) spans: Vec<Range<i64>>,
    pub(super) row_groups_in_file: usize,
    pub(super) rows_at_most: i64,
}

impl Judged<'_> {
    pub(super) fn file(&self) -> &CandidateRow {
        &self.candidate.file
    }

    /// No more rows can match than were located.
    pub(super) fn count_located(&mut self) {
        let located = self.candidate.located.as_ref();
        let located = located.and_then(|rows| i64::try_from(rows.len()).ok());
        self.rows_at_most = self.rows_at_most.min(located.unwrap_or(i64::MAX));
    }
}

/// The judges of one question: one for each schema among the candidates.
pub(super) struct Judges<'a> {
    by_schema: BTreeMap<i32, Judge>,
    question: Question<'a>,
}

struct Question<'a> {
    condition: &'a Predicate,
    quick: Quick<'a>,
    /// Whether located rows are those of the objects that it lists.
    are_objects_located: bool,
    /// The columns that it is about, where bounds of all are at hand.
    at_hand: Option<AtHand>,
    shell: Option<Shell>,
    band: Option<Predicate>,
    ranges: Option<&'a [Range<i64>]>,
}

/// What bounds at hand tell of a candidate.
enum Look<'c> {
    Out,
    In(Judged<'c>),
    /// Nothing: others have to be asked for.
    Unknown(&'c Candidate),
}

struct Judge {
    /// The columns that the question is about, with their names in it.
    asked: Vec<(String, ColumnRow)>,
    slices: Slices,
}

impl<'a> Judges<'a> {
    /// Looks up the candidates' schemas.
    pub(super) async fn new(
        resolver: &Resolver,
        candidates: &[Candidate],
        condition: &'a Predicate,
        shell: Option<Shell>,
        regions: &[Region],
        cover: Option<&'a [Range<i64>]>,
    ) -> Result<Self, Error> {
        let mut ids: Vec<i32> = candidates.iter().filter_map(|c| c.file.schema_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let schemas = if ids.is_empty() { Vec::new() } else { resolver.schemas(&ids).await? };
        let mut names: BTreeSet<String> =
            condition.columns().into_iter().map(str::to_owned).collect();
        if !regions.is_empty() {
            names.extend(["ra", "dec", HEALPIX_29].map(str::to_owned));
        }
        let by_schema =
            schemas.into_iter().map(|(id, columns)| (id, Judge::new(&columns, &names))).collect();
        let question = Question {
            condition,
            quick: Quick::of(condition),
            are_objects_located: false,
            at_hand: AtHand::of(names).filter(|_| !condition.asks_for_null()),
            shell,
            band: region::band(regions),
            ranges: cover,
        };
        Ok(Self { by_schema, question })
    }

    /// The same; whether the rows that are located are those of the objects that the question lists.
    pub(super) fn with_objects_located(mut self, are_located: bool) -> Self {
        self.question.are_objects_located = are_located;
        self
    }

    /// Whether some candidate has a column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_schema.values().any(|judge| judge.column(name).is_some())
    }

    /// Finds a literal that its column can be compared with in none of the candidates.
    pub(super) fn check_types(&self, condition: &Predicate) -> Result<(), predicate::Error> {
        condition.literals().into_iter().try_for_each(|(name, literal)| {
            let holders = || self.by_schema.values().filter_map(|judge| judge.column(name));
            match holders().next() {
                Some(first) if !holders().any(|held| held.compares_with(&literal)) => {
                    Err(predicate::Error::Type {
                        column: name.to_owned(),
                        holds: first.kind.words(&first.data_type),
                        with: literal.to_string(),
                    })
                }
                _ => Ok(()),
            }
        })
    }

    /// Judges every candidate; what is left may hold matching rows.
    pub(super) async fn judge<'c>(
        &self,
        resolver: &Resolver,
        candidates: &'c [Candidate],
    ) -> Result<Vec<Judged<'c>>, Error> {
        let shell = self.question.shell.as_ref();
        let is_in = |ends: &Ends| shell.is_none_or(|shell| shell.may_meet(ends));
        let look = |candidate: &'c Candidate| match &self.question.at_hand {
            _ if !candidate.file.ends.as_ref().is_none_or(is_in) => Look::Out,
            Some(asked) if candidate.file.has_bounds_at_hand() => {
                self.question.judged(candidate, asked).map_or(Look::Out, Look::In)
            }
            _ => Look::Unknown(candidate),
        };
        let (mut judged, mut others) = (Vec::with_capacity(candidates.len()), Vec::new());
        for look in map_many(candidates.iter().collect(), look) {
            match look {
                Look::In(file) => judged.push(file),
                Look::Unknown(candidate) => others.push(candidate),
                Look::Out => {}
            }
        }
        self.judge_by_schema(resolver, others, judged).await
    }

    /// The same, by bounds that have to be asked for.
    async fn judge_by_schema<'c>(
        &self,
        resolver: &Resolver,
        candidates: Vec<&'c Candidate>,
        mut judged: Vec<Judged<'c>>,
    ) -> Result<Vec<Judged<'c>>, Error> {
        let mut by_schema: BTreeMap<Option<i32>, Vec<&Candidate>> = BTreeMap::new();
        for file in candidates {
            by_schema.entry(file.file.schema_id).or_default().push(file);
        }
        for (schema_id, files) in by_schema {
            let judge = schema_id.and_then(|id| self.by_schema.get(&id));
            for files in files.chunks(FILES_AT_ONCE) {
                match judge {
                    Some(judge) => {
                        let bench = Bench { question: &self.question, judge };
                        bench.judge(resolver, files, &mut judged).await?;
                    }
                    None => judged.extend(files.iter().map(|file| whole(file))),
                }
            }
        }
        Ok(judged)
    }
}

/// Columns of which bounds are at hand.
struct AtHand {
    names: Vec<String>,
    /// Of each of them, see [`candidates::place_of`].
    places: Vec<usize>,
}

impl AtHand {
    /// `None` if bounds of some column have to be asked for.
    fn of(names: BTreeSet<String>) -> Option<Self> {
        let places = names.iter().map(|name| candidates::place_of(name)).collect::<Option<_>>()?;
        Some(Self { names: names.into_iter().collect(), places })
    }

    fn place(&self, name: &str) -> Option<usize> {
        let found = self.names.iter().position(|known| known == name)?;
        self.places.get(found).copied()
    }
}

impl Question<'_> {
    /// Judges a file by bounds at hand.
    fn judged<'c>(&self, candidate: &'c Candidate, asked: &AtHand) -> Option<Judged<'c>> {
        let file = &candidate.file;
        let is_located = self.are_objects_located && candidate.located.is_some();
        let may_match =
            |entry: &Entry| self.quick.may(entry, is_located) && self.may_else(file, entry, asked);
        let (whole_file, groups) = file.entries.split_first()?;
        if !may_match(whole_file) {
            return None;
        }
        // of one row group, the bounds are the file's
        if groups.len() != row_groups_in(file) {
            return Some(whole(candidate));
        }
        let groups = (0..)
            .zip(groups)
            .map(|(group, entry)| (group, i64::from(entry.num_rows), move || may_match(entry)));
        narrowed(candidate, groups)
    }

    /// What of a question is not decided quickly.
    fn may_else(&self, file: &CandidateRow, entry: &Entry, asked: &AtHand) -> bool {
        if self.quick.others.is_empty() && self.band.is_none() && self.ranges.is_none() {
            return true;
        }
        let bounds = file.at_hand(entry, &asked.places);
        let known = |name: &str| match (&bounds, asked.place(name)) {
            (Some(bounds), Some(place)) => Known::Bounds(bounds.get(place)),
            _ => Known::Unknown,
        };
        let rows = u64::from(entry.num_rows);
        self.is_there(rows, &known)
            && self.quick.others.iter().all(|other| bounds::may(other, rows, &known))
    }

    fn may<'b>(&self, rows: u64, known: &impl Fn(&str) -> Known<'b>) -> bool {
        self.is_there(rows, known) && bounds::may(self.condition, rows, known)
    }

    /// Whether some row may lie where the question is about.
    fn is_there<'b>(&self, rows: u64, known: &impl Fn(&str) -> Known<'b>) -> bool {
        let in_ranges = match (self.ranges, known(HEALPIX_29)) {
            (Some(ranges), Known::Bounds(bounds)) => region::may_meet(ranges, bounds),
            _ => true,
        };
        in_ranges && self.band.as_ref().is_none_or(|band| bounds::may(band, rows, known))
    }
}

/// Leaves the row groups that hold a located row, where rows were located, and may match; none: the
/// file is out. Groups come in order: number, rows, judgement.
fn narrowed<'c>(
    candidate: &'c Candidate,
    groups: impl Iterator<Item = (usize, i64, impl FnOnce() -> bool)>,
) -> Option<Judged<'c>> {
    let located = candidate.located.as_deref();
    let several = groups.size_hint().0;
    let mut judged = Judged {
        candidate,
        row_groups: Vec::with_capacity(several),
        spans: Vec::with_capacity(several),
        row_groups_in_file: row_groups_in(&candidate.file),
        rows_at_most: 0,
    };
    let mut start = 0i64;
    for (group, rows, may_match) in groups {
        let end = start.saturating_add(rows);
        let holds = |rows: &[i32]| {
            let first = rows.partition_point(|row| i64::from(*row) < start);
            rows.get(first).is_some_and(|row| i64::from(*row) < end)
        };
        if located.is_none_or(holds) && may_match() {
            judged.row_groups.push(group);
            judged.spans.push(start..end);
            judged.rows_at_most += rows;
        }
        start = end;
    }
    (!judged.row_groups.is_empty()).then_some(judged)
}

fn row_groups_in(file: &CandidateRow) -> usize {
    file.num_row_groups.and_then(|groups| usize::try_from(groups).ok()).unwrap_or_default()
}

/// A file of which nothing is known is kept whole.
pub(super) fn whole(candidate: &Candidate) -> Judged<'_> {
    let groups = row_groups_in(&candidate.file);
    Judged {
        candidate,
        row_groups: (0..groups).collect(),
        spans: Vec::new(),
        row_groups_in_file: groups,
        rows_at_most: candidate.file.num_rows.unwrap_or_default(),
    }
}

impl Judge {
    fn new(columns: &[ColumnRow], names: &BTreeSet<String>) -> Self {
        let asked: Vec<(String, ColumnRow)> = names
            .iter()
            .filter_map(|name| {
                let found = column::find_named(columns.iter().map(|c| c.name.as_str()), name)?;
                Some((name.clone(), columns.get(found)?.clone()))
            })
            .collect();
        let hull = |slot: &dyn Fn(&ColumnRow) -> Option<i32>| {
            let slots = || asked.iter().filter_map(|(_, column)| slot(column));
            slots().min().zip(slots().max()).unwrap_or((1, 0))
        };
        let of_kind = |kinds: &'static [Kind]| {
            move |c: &ColumnRow| c.slot.filter(|_| kinds.contains(&c.kind))
        };
        let slices = Slices {
            position: hull(&|c| c.position),
            int: hull(&of_kind(&[Kind::Int, Kind::Bool])),
            float: hull(&of_kind(&[Kind::Float])),
            text: hull(&of_kind(&[Kind::Text])),
        };
        Self { asked, slices }
    }

    fn column(&self, name: &str) -> Option<&ColumnRow> {
        self.asked.iter().find(|(known, _)| known == name).map(|(_, column)| column)
    }
}

/// What the judging of one schema's files needs.
struct Bench<'a> {
    question: &'a Question<'a>,
    judge: &'a Judge,
}

impl Bench<'_> {
    async fn judge<'c>(
        &self,
        resolver: &Resolver,
        files: &[&'c Candidate],
        judged: &mut Vec<Judged<'c>>,
    ) -> Result<(), Error> {
        let rows = self.fetched(resolver, files).await?;
        let may_match = |c: &Candidate| {
            rows.get(&c.file.file_id).is_none_or(|row| {
                let bounds =
                    |column: usize| row.of(&self.judge.asked[column].1, &self.judge.slices);
                self.may_match(row.num_rows, bounds)
            })
        };
        let left: Vec<&Candidate> = files.iter().copied().filter(|file| may_match(file)).collect();
        let (several, one): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|c| c.file.num_row_groups.is_none_or(|n| n > 1));
        judged.extend(one.into_iter().map(whole));
        let ids: Vec<i64> = several.iter().map(|c| c.file.file_id).collect();
        let mut groups: HashMap<i64, RowGroups> = HashMap::new();
        let is_located = several.iter().any(|c| c.located.is_some());
        if (is_located || !self.judge.asked.is_empty()) && !ids.is_empty() {
            let asked = self.judge.asked.iter().map(|(_, column)| column);
            groups.extend(resolver.row_groups(&ids, asked).await?);
        }
        judged.extend(several.into_iter().filter_map(|c| match groups.get(&c.file.file_id) {
            Some(groups) => self.narrowed(c, groups),
            None => Some(whole(c)),
        }));
        Ok(())
    }

    /// Bounds of whole files, unless the question is about none of their columns.
    async fn fetched(
        &self,
        resolver: &Resolver,
        files: &[&Candidate],
    ) -> Result<HashMap<i64, BoundsRow>, Error> {
        if self.question.condition.columns().is_empty() && self.question.ranges.is_none() {
            return Ok(HashMap::new());
        }
        let ids: Vec<i64> = files.iter().map(|c| c.file.file_id).collect();
        let rows = resolver.file_bounds(&ids, &self.judge.slices).await?;
        Ok(rows.into_iter().map(|row| (row.file_id, row)).collect())
    }

    /// Row groups that may hold matching rows; `None` if there are none.
    fn narrowed<'c>(&self, candidate: &'c Candidate, groups: &RowGroups) -> Option<Judged<'c>> {
        let groups = groups.num_rows.iter().copied().enumerate().map(|(group, rows)| {
            (group, rows, move || self.may_match(rows, |column| groups.of(column, group)))
        });
        narrowed(candidate, groups)
    }

    /// Whether some of so many rows may match, by the bounds of each of the columns asked for.
    fn may_match<B: Borrow<Bounds>>(&self, num_rows: i64, bounds: impl Fn(usize) -> B) -> bool {
        let asked = &self.judge.asked;
        let bounds: Vec<B> = (0..asked.len()).map(bounds).collect();
        let place = |name: &str| asked.iter().position(|(known, _)| known == name);
        let known = |name: &str| match place(name).and_then(|index| bounds.get(index)) {
            Some(bounds) => Known::Bounds(bounds.borrow()),
            None => Known::Absent,
        };
        let rows = u64::try_from(num_rows).unwrap_or(u64::MAX);
        self.question.may(rows, &known)
    }
}

impl ColumnRow {
    /// Whether a filter could compare the column with a literal; dates and the like may.
    fn compares_with(&self, literal: &Literal) -> bool {
        let is_decimal = self.data_type.starts_with("Decimal");
        match (self.kind, literal) {
            (_, Literal::Null)
            | (Kind::Int | Kind::Float, Literal::Number(_))
            | (Kind::Text, Literal::Text(_))
            | (Kind::Bool, Literal::Bool(_)) => true,
            (Kind::Other, Literal::Text(_)) => !is_decimal,
            (Kind::Other, Literal::Number(_)) => is_decimal,
            _ => false,
        }
    }
}

impl Kind {
    fn words(self, data_type: &str) -> String {
        match self {
            Self::Int => "integers".into(),
            Self::Float => "numbers".into(),
            Self::Text => "text".into(),
            Self::Bool => "booleans".into(),
            Self::Other if data_type.contains("List") => "arrays".into(),
            Self::Other if data_type.starts_with("Decimal") => "numbers".into(),
            Self::Other => format!("values of type {data_type}"),
        }
    }
}
