//! Lists of keys as people and older programs wrote them, mended: one key a file, spelled as the
//! archive spells it. Every correction is reported with its line, and so is every line that means
//! nothing.
//!
//! What a list says is read from the most reliable place: the file's own name, then its folder. The
//! bucket, the production and the padding of numbers are then those of the archive, whatever the
//! line says.

mod csv;
#[cfg(test)]
mod tests;

use crate::key::{HEALPIX, Kind, Production, Said, group};
use bifrost_core::tile::{Name, Tile};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the list is about; lines that say otherwise are corrected.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The production.
    pub production: Production,
    /// The bucket, if the archive is one.
    pub bucket: Option<String>,
    /// The survey of lines that give a pixel only.
    pub survey: Option<Name>,
    /// The program of lines that give a pixel only.
    pub program: Option<Name>,
}

/// One thing that was wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// It is in another bucket.
    Bucket,
    /// It is a web address, not a key.
    Url,
    /// It is of another production.
    Production,
    /// A number has more or fewer zeros before it than the archive's.
    Padding,
    /// The folder is not the file's, or the production's is not where the archive has it.
    Folder,
    /// The column of pixels says another pixel than the file's name.
    Pixel,
    /// The column of file types says another type than the file's name.
    FileType,
    /// The address names another file than the column of file names.
    Address,
    /// Upper case, doubled slashes, a missing folder and the like.
    Spelling,
    /// It was there before.
    Duplicate,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bucket => "wrong bucket",
            Self::Url => "URL in place of a key",
            Self::Production => "wrong production",
            Self::Padding => "wrong zero padding",
            Self::Folder => "wrong folder",
            Self::Pixel => "wrong pixel column",
            Self::FileType => "wrong file_type column",
            Self::Address => "url names another file",
            Self::Spelling => "misspelled",
            Self::Duplicate => "duplicate",
        })
    }
}

/// A line that was corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Correction {
    /// Number of the line, from 1.
    pub line: usize,
    /// What it said.
    pub was: String,
    /// What is meant: a key, or a tile's folder.
    pub now: String,
    /// What was wrong.
    pub wrong: Vec<Wrong>,
}

impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong: Vec<_> = self.wrong.iter().map(ToString::to_string).collect();
        write!(f, "{} → {} ({})", self.was, self.now, wrong.join(", "))
    }
}

/// A line that means nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Number of the line, from 1.
    pub line: usize,
    /// What it said.
    pub was: String,
    /// Why it is of no use.
    pub reason: String,
}

/// What a list asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// The tiles, and the kinds of files that were named; none = the tile as a whole.
    pub tiles: BTreeMap<Tile, Vec<Kind>>,
    /// Lines that named something, header and blank lines apart.
    pub lines: usize,
    /// Lines that were corrected.
    pub corrections: Vec<Correction>,
    /// Lines that were refused.
    pub refused: Vec<Refused>,
}

/// What one line says, before it is compared with what it should say.
#[derive(Default)]
struct Line<'a> {
    number: usize,
    /// The line, for the report.
    text: &'a str,
    /// The key or address.
    address: &'a str,
    /// What other columns say.
    file_name: Option<&'a str>,
    pixel: Option<&'a str>,
    file_type: Option<&'a str>,
    survey: Option<&'a str>,
    program: Option<&'a str>,
}

/// Reads a list: one key, address, folder or tile a line, or a CSV (with commas, semicolons or tabs)
/// with some of the columns `file_type`, `pixel`, `filename`, `url`, `survey`, `program`. `#` begins a
/// comment line.
#[must_use]
pub fn mend(text: &str, expected: &Expected) -> Mended {
    let mut mended = Mended::default();
    let mut seen = BTreeMap::new();
    for line in csv::lines(text) {
        mended.lines += 1;
        match understood(&line, expected) {
            Ok((tile, kind, mut wrong)) => {
                let before = *seen.entry((tile.clone(), kind)).or_insert(line.number);
                if before != line.number {
                    wrong.push(Wrong::Duplicate);
                }
                if !wrong.is_empty() {
                    let now = spelled(expected, &tile, kind);
                    let was = line.text.to_owned();
                    mended.corrections.push(Correction { line: line.number, was, now, wrong });
                }
                let kinds = mended.tiles.entry(tile).or_default();
                kinds.extend(kind.filter(|k| !kinds.contains(k)));
            }
            Err(reason) => {
                let was = line.text.to_owned();
                mended.refused.push(Refused { line: line.number, was, reason });
            }
        }
    }
    mended
}

/// A row of one of the production's tile tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableRow {
    /// Survey, as it is written.
    pub survey: String,
    /// Program, as it is written.
    pub program: String,
    /// HEALPix pixel.
    pub pixel: i64,
    /// Whatever else tells rows apart: the tile and petal that saw the pixel.
    pub of: Vec<i64>,
}

/// Reads a tile table. A pixel has a row for each time that it was seen; a row that repeats another
/// altogether is reported.
#[must_use]
pub fn mend_rows(rows: &[TableRow], expected: &Expected) -> Mended {
    let mut mended = Mended { lines: rows.len(), ..Mended::default() };
    let mut seen = BTreeSet::new();
    for (line, row) in (1..).zip(rows) {
        let was = || format!("{} {} {} {:?}", row.survey, row.program, row.pixel, row.of);
        let said = Said::new(None, &row.survey, &row.program, &row.pixel.to_string());
        let Some(tile) = said.and_then(|said| said.tile(expected.production.release())) else {
            let reason = "it names no tile".to_owned();
            mended.refused.push(Refused { line, was: was(), reason });
            continue;
        };
        if !row.of.is_empty() && !seen.insert(row) {
            let now = expected.production.folder(&tile);
            let wrong = vec![Wrong::Duplicate];
            mended.corrections.push(Correction { line, was: was(), now, wrong });
        }
        mended.tiles.entry(tile).or_default();
    }
    mended
}

fn spelled(expected: &Expected, tile: &Tile, kind: Option<Kind>) -> String {
    match kind {
        Some(kind) => expected.production.key(tile, kind),
        None => expected.production.folder(tile),
    }
}

type Understood = (Tile, Option<Kind>, Vec<Wrong>);

fn understood(line: &Line<'_>, expected: &Expected) -> Result<Understood, String> {
    let mut wrong = Vec::new();
    let key = key_of(line.address, expected, &mut wrong);
    let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
    let of_address = said(&parts);
    let of_name = line.file_name.and_then(Said::of_file);
    let survey = line.survey.or(expected.survey.as_ref().map(Name::as_str));
    let program = line.program.or(expected.program.as_ref().map(Name::as_str));
    let of_column = || Said::new(None, survey?, program?, digits(line.pixel?));
    let is_of_columns = of_name.is_none() && of_address.is_none();
    let is_upper =
        |word: Option<&str>| word.is_some_and(|w| w.bytes().any(|b| b.is_ascii_uppercase()));
    if is_of_columns && (is_upper(line.survey) || is_upper(line.program)) {
        wrong.push(Wrong::Spelling);
    }
    let Some(mut said) = of_name.clone().or_else(|| of_address.clone()).or_else(of_column) else {
        return Err(match (line.pixel, survey, program) {
            (Some(pixel), Some(_), Some(_)) => {
                format!("'{pixel}' is no pixel, or its survey or program is none")
            }
            (Some(_), ..) => "it gives a pixel only: give --survey and --program".to_owned(),
            (None, ..) => "it names no tile and none of a tile's files".to_owned(),
        });
    };
    let release = expected.production.release();
    let tile = said.tile(release).ok_or_else(|| {
        format!("there is no pixel {}: nside 64 has pixels 0 to 49151", said.digits)
    })?;
    let named = of_name.is_some().then(|| of_address.as_ref().and_then(|a| a.tile(release)));
    if named.flatten().is_some_and(|other| other != tile) {
        wrong.push(Wrong::Address);
    }
    let typed = line.file_type.map(str::to_ascii_lowercase);
    match (said.kind, typed.and_then(|word| word.parse().ok())) {
        (Some(kind), Some(other)) if kind != other => wrong.push(Wrong::FileType),
        (None, Some(kind)) => said.kind = Some(kind),
        _ => {}
    }
    if let Some(pixel) = line.pixel {
        let digits = digits(pixel);
        match digits.parse::<u32>() {
            Ok(number) if number != tile.pixel.get() => wrong.push(Wrong::Pixel),
            Ok(_) if digits != pixel => wrong.push(Wrong::Spelling),
            Ok(number) if number.to_string() != digits => wrong.push(Wrong::Padding),
            Ok(_) => {}
            Err(_) => wrong.push(Wrong::Pixel),
        }
    }
    let right = spelled(expected, &tile, said.kind);
    if parts.len() > 1 && key.trim_end_matches('/') != right && !wrong.contains(&Wrong::Address) {
        compare(&parts, &right, &tile, &mut wrong);
    } else {
        let name = line.file_name.filter(|_| of_name.is_some()).or(parts.last().copied());
        compare_name(name.unwrap_or_default(), &said, &tile, &mut wrong);
    }
    wrong.sort_unstable();
    wrong.dedup();
    Ok((tile, said.kind, wrong))
}

/// Digits of a pixel, which programs without whole numbers that may be missing write as `10000.0`.
fn digits(pixel: &str) -> &str {
    pixel.strip_suffix(".0").unwrap_or(pixel)
}

/// The key in an address: without scheme, host, bucket, query.
fn key_of<'a>(address: &'a str, expected: &Expected, wrong: &mut Vec<Wrong>) -> &'a str {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.trim_start_matches('/');
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let (bucket, key) = if scheme.eq_ignore_ascii_case("s3") {
        (Some(host), path)
    } else {
        wrong.push(Wrong::Url);
        bucket_of(host, path)
    };
    if let (Some(bucket), Some(right)) = (bucket, &expected.bucket)
        && bucket != right
    {
        wrong.push(Wrong::Bucket);
    }
    key
}

/// The bucket that a web address names, if it is of S3; the key under the site's public folder else.
fn bucket_of<'a>(host: &'a str, path: &'a str) -> (Option<&'a str>, &'a str) {
    let site = host.split(':').next().unwrap_or(host);
    if !site.ends_with(".amazonaws.com") {
        return (None, path.strip_prefix("public/").unwrap_or(path));
    }
    if let Some((bucket, _)) = site.split_once(".s3") {
        return (Some(bucket), path);
    }
    path.split_once('/').map_or((None, path), |(bucket, key)| (Some(bucket), key))
}

/// What the end of a key says: a file's name, else a folder `SURVEY/PROGRAM[/GROUP]/PIX`, else a
/// tile's name.
fn said(parts: &[&str]) -> Option<Said> {
    let last = *parts.last()?;
    if let Some(said) = Said::of_file(last).or_else(|| Said::of_tile(last)) {
        return Some(said);
    }
    let from = parts.iter().rposition(|part| *part == HEALPIX).map_or(0, |at| at + 1);
    match parts[from..] {
        [survey, program, digits] | [survey, program, _, digits] => {
            Said::new(None, survey, program, digits)
        }
        _ => None,
    }
}

/// Says in what a name without a folder differs from what it should be.
fn compare_name(name: &str, said: &Said, tile: &Tile, wrong: &mut Vec<Wrong>) {
    let is_other = |release: &String| !release.eq_ignore_ascii_case(tile.release.as_str());
    if said.release.as_ref().is_some_and(is_other) {
        wrong.push(Wrong::Production);
    }
    if said.digits != tile.pixel.to_string() {
        wrong.push(Wrong::Padding);
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        wrong.push(Wrong::Spelling);
    }
}

/// Says in what a key differs from what it should be.
fn compare(parts: &[&str], right: &str, tile: &Tile, wrong: &mut Vec<Wrong>) {
    let before = wrong.len();
    let right: Vec<&str> = right.split('/').collect();
    let at = |parts: &[&str]| parts.iter().rposition(|part| *part == HEALPIX);
    let (Some(here), Some(there)) = (at(parts), at(&right)) else {
        wrong.push(Wrong::Spelling);
        return;
    };
    if parts[..here] != right[..there] {
        let is_other = here > 0 && parts[here - 1] != right[there - 1];
        wrong.push(if is_other { Wrong::Production } else { Wrong::Folder });
    }
    let (tail, right_tail) = (&parts[here + 1..], &right[there + 1..]);
    if tail.len() != right_tail.len() {
        wrong.push(Wrong::Folder);
    }
    for (index, (part, right)) in tail.iter().zip(right_tail).enumerate() {
        if part == right {
            continue;
        }
        let number = part.parse::<u32>().ok();
        let is_padded = match index {
            2 => number == Some(group(tile.pixel)),
            3 => number == Some(tile.pixel.get()),
            _ => Said::of_file(part).is_some_and(|said| said.digits != tile.pixel.to_string()),
        };
        let is_case = part.eq_ignore_ascii_case(right);
        let release = Said::of_file(part).and_then(|said| said.release);
        wrong.push(match index {
            _ if is_padded => Wrong::Padding,
            _ if is_case => Wrong::Spelling,
            _ if release.is_some_and(|r| r != tile.release.as_str()) => Wrong::Production,
            _ if part.ends_with(".sha256sum") => Wrong::Padding,
            0..=3 => Wrong::Folder,
            _ => Wrong::Spelling,
        });
    }
    if wrong.len() == before {
        wrong.push(Wrong::Spelling);
    }
}
