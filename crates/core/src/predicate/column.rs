//! Which name means which column: upper and lower case are one, and `targetid` is `target_id`; but a name
//! in double quotes that is not in lower case means itself alone.

use super::Error;

/// Words that are no names to sqlparser where a name may stand.
const WORDS: [&str; 22] = [
    "all",
    "any",
    "current_catalog",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "exists",
    "false",
    "interval",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "select",
    "session_user",
    "some",
    "struct",
    "trim",
    "true",
    "user",
    "with",
];

/// The name by which columns are compared: lower case, `targetid` spelled `target_id`.
#[must_use]
pub fn fold(name: &str) -> String {
    let lower = name.to_lowercase();
    if lower == "targetid" { "target_id".into() } else { lower }
}

/// Position of the column that a name means; the exact spelling wins, then the first that folds
/// to the same.
pub fn find<'a>(names: impl IntoIterator<Item = &'a str>, wanted: &str) -> Option<usize> {
    let folded = fold(wanted);
    let mut first = None;
    for (i, name) in names.into_iter().enumerate() {
        if name == wanted {
            return Some(i);
        }
        if first.is_none() && fold(name) == folded {
            first = Some(i);
        }
    }
    first
}

/// The name as a predicate keeps it: folded, unless it stood in quotes. What folding would not change means
/// the same with quotes and without, as in Postgres.
#[must_use]
pub(super) fn kept(name: &str, is_quoted: bool) -> String {
    if is_quoted { name.to_owned() } else { fold(name) }
}

/// Position of the column that a name of a predicate means: one that is not folded stood in quotes, and means
/// the column of this spelling alone.
pub fn find_named<'a>(names: impl IntoIterator<Item = &'a str>, named: &str) -> Option<usize> {
    if named == fold(named) {
        find(names, named)
    } else {
        names.into_iter().position(|name| name == named)
    }
}

/// Says that a name of a predicate means no column.
///
/// # Errors
/// [`Error::UnknownColumn`] with the most similar of the names.
pub fn require<'a>(
    names: impl IntoIterator<Item = &'a str> + Clone,
    wanted: &str,
) -> Result<(), Error> {
    if find_named(names.clone(), wanted).is_some() {
        return Ok(());
    }
    Err(Error::UnknownColumn { name: wanted.to_owned(), nearest: nearest(names, wanted) })
}

/// The most similar name, unless none is similar at all.
pub fn nearest<'a>(names: impl IntoIterator<Item = &'a str>, wanted: &str) -> Option<String> {
    let folded = fold(wanted);
    let limit = (folded.chars().count() / 2).max(1);
    names
        .into_iter()
        .map(|name| (edits(&folded, &fold(name)), name))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, name)| name.to_owned())
}

/// The name as SQL, in double quotes only where it needs them.
#[must_use]
pub fn quoted(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
        && !WORDS.contains(&name)
        && name == fold(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((j, to), above) in b.iter().enumerate().zip(row.windows(2)) {
            let left = next.get(j).copied().unwrap_or(usize::MAX - 1);
            next.push((above[0] + usize::from(from != *to)).min(above[1] + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_case() {
        let names = ["Z", "z", "TARGETID", "ra"];
        assert_eq!(find(names, "z"), Some(1));
        assert_eq!(find(names, "Z"), Some(0));
        assert_eq!(find(names, "target_id"), Some(2));
        assert_eq!(find(names, "Targetid"), Some(2));
        assert_eq!(find(names, "dec"), None);
    }

    #[test]
    fn a_name_in_quotes_means_itself() {
        let names = ["z", "Z", "Zwarn"];
        assert_eq!(find_named(names, &kept("Z", true)), Some(1));
        assert_eq!(find_named(names, &kept("Z", false)), Some(0));
        assert_eq!(find_named(names, &kept("zwarn", true)), Some(2));
        assert_eq!(find_named(names, &kept("ZWARN", false)), Some(2));
        assert_eq!(find_named(names, &kept("ZWARN", true)), None);
        assert_eq!(find_named(["target_id"], &kept("targetid", true)), None);
        let told = require(names, "ZWARN").expect_err("none is so named").to_string();
        assert_eq!(told, "no column 'ZWARN': did you mean 'Zwarn'?");
    }

    #[test]
    fn the_nearest_name_is_named() {
        let names = ["spectype", "subtype", "z", "zwarn", "deltachi2"];
        assert_eq!(nearest(names, "spectyp").as_deref(), Some("spectype"));
        assert_eq!(nearest(names, "delta_chi2").as_deref(), Some("deltachi2"));
        assert_eq!(nearest(names, "ZWRAN").as_deref(), Some("zwarn"));
        assert_eq!(nearest(names, "wavelength"), None);
    }
}
