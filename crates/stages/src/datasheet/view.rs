//! The datasheet's words and numbers, as its template takes them.
//!
//! Facts come in as the registry counts them; here they are summed, put into shares, ranges and
//! groups of redshift, and everything that is not known becomes the word `unknown`.

mod listed;

use super::archive::{self, Production};
use super::spell::{self, UNKNOWN, known};
use super::{Access, sky_map};
use bifrost_core::layout::{SPECTRA, partition_of};
use bifrost_core::registry::facts::{
    ClassRow, CommitRow, Facts, LakeRow, ProductRow, RedshiftRow, Survey, TargetRow, TileRow,
};
use bifrost_core::sky;
use bifrost_core::store;
use bifrost_core::tile::Pixel;
use chrono::{DateTime, Utc};
pub(crate) use listed::type_name;
use listed::{MakingView, Named, OutcomeView, SchemaView, WrongView};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use uuid::Uuid;

/// A node that was silent for so long before the sheet was made is pointed out.
const STALE_DAYS: i64 = 7;

/// Upper edges of the redshift groups, in bins of 0.05, and their headings.
const REDSHIFT_GROUPS: [(i16, &str); 8] = [
    (2, "z < 0.1"),
    (8, "0.1–0.4"),
    (16, "0.4–0.8"),
    (24, "0.8–1.2"),
    (32, "1.2–1.6"),
    (42, "1.6–2.1"),
    (70, "2.1–3.5"),
    (i16::MAX, "z ≥ 3.5"),
];

/// Everything the template may name.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    title: String,
    size_category: &'static str,
    as_of: AsOf,
    here: Here<'a>,
    totals: Totals,
    few_tiles: bool,
    tile_area: String,
    products: Vec<Product>,
    places: Vec<Place<'a>>,
    surveys: Vec<SurveyView>,
    redshift_heads: Vec<&'static str>,
    classes: Vec<ClassView>,
    targets: &'a [TargetRow],
    tile_outcomes: Named<OutcomeView>,
    files_wrong: Named<WrongView>,
    schemas: Vec<SchemaView>,
    productions: Vec<Production>,
    citations: BTreeSet<&'static str>,
    makings: Vec<MakingView>,
    lakes: Vec<LakeView>,
    commits: Vec<CommitView<'a>>,
    acknowledgement: &'static str,
    access: &'a Access,
    glob: String,
    catalog: String,
    unreadable: Vec<String>,
    broken_pixels: BTreeSet<(u8, u64)>,
    drift: bool,
    rust_example: &'static str,
}

#[derive(Debug, Serialize)]
struct AsOf {
    commit: Option<i64>,
    committed_at: String,
    generated_at: String,
}

#[derive(Debug, Serialize)]
struct Here<'a> {
    lake_id: Uuid,
    node: &'a str,
    root: &'a str,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    pixels: usize,
    tiles: usize,
    tiles_here: usize,
    rows: i64,
    rows_here: i64,
    area: String,
    area_here: String,
    files: i64,
    files_here: i64,
    size_bytes: i64,
    size_bytes_here: i64,
    outcomes_here: String,
    wrong_here: String,
}

#[derive(Debug, Serialize)]
struct Product {
    name: String,
    glob: String,
}

#[derive(Debug, Serialize)]
struct Place<'a> {
    product: &'a str,
    node: &'a str,
    root: &'a str,
    here: bool,
    live: i64,
    rows: i64,
    row_groups: i64,
    size_bytes: i64,
    largest_bytes: i64,
    empty: i64,
    quarantined: i64,
    missing: i64,
}

#[derive(Debug, Serialize)]
struct SurveyView {
    release: String,
    survey: String,
    program: String,
    tiles: usize,
    tiles_here: usize,
    rows: i64,
    area: String,
}

#[derive(Debug, Serialize)]
struct ClassView {
    release: String,
    survey: String,
    program: String,
    class: String,
    counts: Vec<i64>,
    good: i64,
    all: i64,
}

#[derive(Debug, Serialize)]
struct LakeView {
    node: String,
    root: String,
    here: bool,
    last_commit: String,
    last_seen_at: String,
    stale: Option<String>,
    uri_prefixes: String,
}

#[derive(Debug, Serialize)]
struct CommitView<'a> {
    when: String,
    #[serde(flatten)]
    commit: &'a CommitRow,
}

impl<'a> From<&'a CommitRow> for CommitView<'a> {
    fn from(commit: &'a CommitRow) -> Self {
        Self { when: spell::time(commit.committed_at), commit }
    }
}

impl<'a> View<'a> {
    /// Puts the facts into words.
    pub(super) fn new(facts: &'a Facts, access: &'a Access, generated_at: &str) -> Self {
        let lakes: BTreeMap<Uuid, (&str, &str)> =
            facts.lakes.iter().map(|l| (l.lake_id, (&*l.node, &*l.root))).collect();
        let node_of = |lake: Uuid| lakes.get(&lake).map_or(UNKNOWN, |(node, _)| node).to_owned();
        let (node, root) = lakes.get(&facts.here).copied().unwrap_or((UNKNOWN, UNKNOWN));
        let totals = totals(facts);
        let releases: BTreeSet<&str> = facts.tiles.iter().map(|t| &*t.release).collect();
        let productions: Vec<Production> =
            releases.iter().map(|release| archive::production(release)).collect();
        Self {
            title: title(facts),
            size_category: size_category(totals.rows),
            as_of: as_of(facts, generated_at),
            here: Here { lake_id: facts.here, node, root },
            few_tiles: totals.pixels > 0 && sky_map::has_rings(totals.pixels),
            tile_area: spell::area(sky::cell_area_deg2(Pixel::ORDER)),
            products: products(facts),
            places: places(facts, &lakes),
            surveys: surveys(&facts.tiles),
            redshift_heads: REDSHIFT_GROUPS.map(|(_, head)| head).to_vec(),
            classes: classes(&facts.classes, &facts.redshifts),
            targets: &facts.targets,
            tile_outcomes: listed::outcomes(facts, node_of),
            files_wrong: listed::files_wrong(facts, node_of),
            schemas: listed::schemas(facts),
            citations: productions.iter().map(|p| p.citation).collect(),
            productions,
            makings: listed::makings(facts),
            lakes: lake_views(facts),
            commits: facts.commits.iter().map(CommitView::from).collect(),
            totals,
            acknowledgement: archive::ACKNOWLEDGEMENT.trim_end(),
            access,
            glob: format!("{root}/{SPECTRA}/dataset/*/*/*/*.parquet"),
            catalog: format!("{root}/{SPECTRA}"),
            broken_pixels: broken_pixels(&listed::unreadable(facts, root), root),
            unreadable: listed::unreadable(facts, root),
            drift: facts.schemas.iter().filter(|s| s.product == SPECTRA).count() > 1,
            rust_example: include_str!("../../../core/examples/read_lake.rs"),
        }
    }
}

/// What the lake's data are called.
pub(super) fn title(facts: &Facts) -> String {
    let releases: BTreeSet<&str> = facts.tiles.iter().map(|t| &*t.release).collect();
    match releases.into_iter().collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "DESI spectra".to_owned(),
        releases => format!("DESI spectra ({releases})"),
    }
}

/// The classes of size that data hubs sort by.
fn size_category(rows: i64) -> &'static str {
    match rows {
        ..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        _ => "100M<n<1B",
    }
}

fn as_of(facts: &Facts, generated_at: &str) -> AsOf {
    let latest = facts.commits.first();
    AsOf {
        commit: latest.map(|c| c.commit_id),
        committed_at: latest.map_or_else(|| UNKNOWN.to_owned(), |c| spell::time(c.committed_at)),
        generated_at: generated_at.to_owned(),
    }
}

fn totals(facts: &Facts) -> Totals {
    let mut totals = Totals::default();
    let mut pixels = BTreeSet::new();
    let mut pixels_here = BTreeSet::new();
    for tile in &facts.tiles {
        totals.tiles += 1;
        pixels.insert(tile.pixel);
        if tile.here {
            totals.tiles_here += 1;
            pixels_here.insert(tile.pixel);
        }
    }
    for place in &facts.products {
        let here = i64::from(place.lake_id == facts.here);
        let rows = if place.product == SPECTRA { place.rows } else { 0 };
        totals.files += place.live;
        totals.files_here += place.live * here;
        totals.rows += rows;
        totals.rows_here += rows * here;
        totals.size_bytes += place.size_bytes;
        totals.size_bytes_here += place.size_bytes * here;
    }
    totals.pixels = pixels.len();
    totals.area = area_of(pixels.len());
    totals.area_here = area_of(pixels_here.len());
    let outcomes = &facts.tile_outcomes;
    let outcomes_here = outcomes.rows.iter().filter(|row| row.lake_id == facts.here).count();
    totals.outcomes_here = at_least(outcomes_here, outcomes.rows.len(), outcomes.total);
    let wrong = &facts.files_wrong;
    let wrong_here = wrong.rows.iter().filter(|row| row.lake_id == facts.here).count();
    totals.wrong_here = at_least(wrong_here, wrong.rows.len(), wrong.total);
    totals
}

/// A count of which only the listed part is known.
fn at_least(count: usize, listed: usize, total: u64) -> String {
    let count = spell::grouped(count as u64);
    if listed as u64 == total { count } else { format!("at least {count}") }
}

fn area_of(pixels: usize) -> String {
    spell::area(pixels as f64 * sky::cell_area_deg2(Pixel::ORDER))
}

/// One configuration of a data hub for each product that has files here.
fn products(facts: &Facts) -> Vec<Product> {
    let here = facts
        .products
        .iter()
        .filter(|p| p.lake_id == facts.here && p.live > 0 && p.product != store::PRODUCT);
    here.map(|p| Product { name: p.product.clone(), glob: format!("{}/**/*.parquet", p.product) })
        .collect()
}

fn places<'a>(facts: &'a Facts, lakes: &BTreeMap<Uuid, (&'a str, &'a str)>) -> Vec<Place<'a>> {
    let place = |row: &'a ProductRow| {
        let (node, root) = lakes.get(&row.lake_id).copied().unwrap_or((UNKNOWN, UNKNOWN));
        Place {
            product: &row.product,
            node,
            root,
            here: row.lake_id == facts.here,
            live: row.live,
            rows: row.rows,
            row_groups: row.row_groups,
            size_bytes: row.size_bytes,
            largest_bytes: row.largest_bytes,
            empty: row.empty,
            quarantined: row.quarantined,
            missing: row.missing,
        }
    };
    let mut places: Vec<Place<'_>> = facts.products.iter().map(place).collect();
    places.sort_by_key(|place| (place.product, !place.here, place.node, place.root));
    places
}

fn surveys(tiles: &[TileRow]) -> Vec<SurveyView> {
    let mut surveys: BTreeMap<(&str, &str, &str), (usize, usize, i64)> = BTreeMap::new();
    for tile in tiles {
        let key = (&*tile.release, &*tile.survey, &*tile.program);
        let (count, here, rows) = surveys.entry(key).or_default();
        *count += 1;
        *here += usize::from(tile.here);
        *rows += tile.rows;
    }
    let view =
        |((release, survey, program), (tiles, tiles_here, rows)): ((&str, &str, &str), _)| {
            SurveyView {
                release: release.to_owned(),
                survey: survey.to_owned(),
                program: program.to_owned(),
                tiles,
                tiles_here,
                rows,
                area: area_of(tiles),
            }
        };
    surveys.into_iter().map(view).collect()
}

/// Pixels of `spectra` in which there is a file that cannot be read.
fn broken_pixels(unreadable: &[String], root: &str) -> BTreeSet<(u8, u64)> {
    let folder = Path::new(root).join(SPECTRA);
    let inside = |path: &String| Path::new(path).strip_prefix(&folder).ok().and_then(partition_of);
    unreadable.iter().filter_map(inside).collect()
}

fn classes(classes: &[ClassRow], redshifts: &[RedshiftRow]) -> Vec<ClassView> {
    let key = |survey, spectype: &Option<String>| (survey, spectype.is_none(), spectype.clone());
    let mut views: BTreeMap<(&Survey, bool, Option<String>), ClassView> = BTreeMap::new();
    for row in classes {
        let view = views.entry(key(&row.survey, &row.spectype)).or_insert_with(|| ClassView {
            release: known(&row.survey.release),
            survey: known(&row.survey.survey),
            program: known(&row.survey.program),
            class: known(&row.spectype),
            counts: vec![0; REDSHIFT_GROUPS.len()],
            good: 0,
            all: 0,
        });
        view.all += row.objects;
        view.good += if row.zwarn_zero { row.objects } else { 0 };
    }
    for row in redshifts {
        let group = REDSHIFT_GROUPS.partition_point(|(end, _)| *end <= row.z_bin);
        let view = views.get_mut(&key(&row.survey, &row.spectype));
        if let Some(count) = view.and_then(|view| view.counts.get_mut(group)) {
            *count += row.objects;
        }
    }
    views.into_values().collect()
}

fn lake_views(facts: &Facts) -> Vec<LakeView> {
    let latest = facts.commits.first().map_or(facts.taken_at, |c| c.committed_at);
    let view = |lake: &LakeRow| LakeView {
        node: lake.node.clone(),
        root: lake.root.clone(),
        here: lake.lake_id == facts.here,
        last_commit: lake.last_commit.map_or_else(|| UNKNOWN.to_owned(), |c| c.to_string()),
        last_seen_at: spell::time(lake.last_seen_at),
        stale: silence(lake.last_seen_at, latest),
        uri_prefixes: match lake.uri_prefixes.join(" ") {
            none if none.is_empty() => UNKNOWN.to_owned(),
            prefixes => prefixes,
        },
    };
    facts.lakes.iter().map(view).collect()
}

/// How long a node has been silent, where that is worth saying.
fn silence(last_seen_at: DateTime<Utc>, latest: DateTime<Utc>) -> Option<String> {
    let days = latest.signed_duration_since(last_seen_at).num_days();
    (days >= STALE_DAYS).then(|| format!("{days} days"))
}
