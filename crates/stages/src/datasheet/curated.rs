//! Sections that people write: text between `<!-- curated: NAME -->` and `<!-- /curated -->` is
//! taken over from the sheet that is there, whatever was written in it.
//!
//! A marker is a line of its own. Where one is damaged (an end is missing, a name appears twice, an
//! end has no beginning) nothing is thrown away: what can be told apart is taken over, and the
//! caller is told, so that it keeps the old sheet beside the new one.

use std::collections::BTreeMap;

const OPEN: &str = "<!-- curated:";
const CLOSE: &str = "<!-- /curated -->";

/// A fresh sheet with the curated words of its predecessor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merged {
    /// The text of the new sheet.
    pub text: String,
    /// What was wrong with the predecessor's markers; empty: nothing.
    pub damage: Vec<String>,
}

/// Puts the curated words of `existing` in the place of the defaults of `fresh`; sections that
/// `fresh` does not have are put at its end.
pub(super) fn merge(fresh: &str, existing: &str) -> Merged {
    let headings: Vec<&str> = generated(fresh).filter(|line| is_heading(line)).collect();
    let mut written = sections(existing, &headings);
    let mut text = String::with_capacity(fresh.len());
    let mut inside = false;
    for line in fresh.lines() {
        if let Some(name) = opened(line) {
            push(&mut text, line);
            if let Some(words) = written.words.remove(name) {
                text.push_str(&words);
                inside = true;
            }
        } else if is_close(line) {
            inside = false;
            push(&mut text, line);
        } else if !inside {
            push(&mut text, line);
        }
    }
    for (name, words) in written.words {
        text.push_str(&format!("\n{OPEN} {name} -->\n{words}{CLOSE}\n"));
    }
    Merged { text, damage: written.damage }
}

struct Sections {
    words: BTreeMap<String, String>,
    damage: Vec<String>,
}

/// Reads the curated sections of a sheet. A section without an end goes on to the next marker, or
/// to the next heading that the generated text is known to have.
fn sections(sheet: &str, headings: &[&str]) -> Sections {
    let mut found = Sections { words: BTreeMap::new(), damage: Vec::new() };
    let mut open: Option<(String, String)> = None;
    for (number, line) in sheet.lines().enumerate() {
        let at = number + 1;
        if let Some(name) = opened(line) {
            if let Some((name, words)) = open.take() {
                found.damage.push(format!("line {at}: section '{name}' has no end before this"));
                found.keep(name, words, at);
            }
            open = Some((name.to_owned(), String::new()));
        } else if is_close(line) {
            match open.take() {
                Some((name, words)) => found.keep(name, words, at),
                None => found.damage.push(format!("line {at}: an end without a beginning")),
            }
        } else if open.is_some() && headings.contains(&line) {
            if let Some((name, words)) = open.take() {
                found.damage.push(format!("line {at}: section '{name}' has no end before this"));
                found.keep(name, words, at);
            }
        } else if let Some((_, words)) = &mut open {
            push(words, line);
        } else if looks_like_a_marker(line) {
            found.damage.push(format!("line {at}: a marker that cannot be understood"));
        }
    }
    if let Some((name, words)) = open {
        found.damage.push(format!("section '{name}' has no end"));
        found.keep(name, words, sheet.lines().count());
    }
    found
}

impl Sections {
    /// Keeps a section; a name that appears twice gets its words one after the other.
    fn keep(&mut self, name: String, words: String, at: usize) {
        match self.words.get_mut(&name) {
            Some(first) => {
                self.damage.push(format!("line {at}: section '{name}' appears twice"));
                first.push_str(&words);
            }
            None => {
                self.words.insert(name, words);
            }
        }
    }
}

/// Lines of a fresh sheet outside its curated sections.
fn generated(sheet: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    sheet.lines().filter(move |line| {
        let was_inside = inside;
        inside = opened(line).is_some() || (inside && !is_close(line));
        !was_inside && !inside
    })
}

fn opened(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix(OPEN)?.strip_suffix("-->")?.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.chars().all(fits)).then_some(name)
}

fn is_close(line: &str) -> bool {
    line.trim() == CLOSE
}

fn is_heading(line: &str) -> bool {
    line.starts_with('#')
}

/// `<!-- curated motivation`, `/curated -->`: somebody's marker once.
fn looks_like_a_marker(line: &str) -> bool {
    let line = line.trim();
    line.contains("curated") && (line.contains("<!--") || line.ends_with("-->"))
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: &str = "\
# Sheet
## Motivation
<!-- curated: motivation -->
Why this was made: not written yet.
<!-- /curated -->
## Uses
12 files.
<!-- curated: uses -->
Nothing yet.
<!-- /curated -->
";

    fn edited(from: &str, to: &str) -> Merged {
        let existing = FRESH.replace("Nothing yet.", "For voids.").replace(from, to);
        merge(&FRESH.replace("12 files", "13 files"), &existing)
    }

    #[test]
    fn words_survive_and_the_rest_is_made_anew() {
        let merged = edited("not written yet.", "because\n\n## Ours\nwe | could <!-- yes -->");
        assert_eq!(merged.damage, [""; 0]);
        assert!(merged.text.contains("because\n\n## Ours\nwe | could <!-- yes -->\n<!-- /curated"));
        assert!(merged.text.contains("13 files") && !merged.text.contains("12 files"));
        assert!(merged.text.contains("For voids.") && !merged.text.contains("Nothing yet."));
    }

    #[test]
    fn an_empty_section_stays_empty() {
        let merged = edited("Why this was made: not written yet.\n", "");
        assert!(merged.text.contains("<!-- curated: motivation -->\n<!-- /curated -->"));
    }

    #[test]
    fn a_section_of_ones_own_is_kept() {
        let merged =
            edited("For voids.", "For voids.\n<!-- /curated -->\n<!-- curated: mine -->\nM.");
        assert_eq!(merged.damage, [""; 0]);
        assert!(merged.text.ends_with("<!-- curated: mine -->\nM.\n<!-- /curated -->\n"));
    }

    #[test]
    fn merging_twice_changes_nothing() {
        let once = edited("For voids.", "A\n<!-- /curated -->\n<!-- curated: mine -->\nM.").text;
        assert_eq!(merge(FRESH, &merge(FRESH, &once).text).text, merge(FRESH, &once).text);
    }

    #[test]
    fn damage_loses_no_words_and_is_told() {
        let no_end = edited("not written yet.\n<!-- /curated -->", "lost?");
        assert!(no_end.text.contains("lost?\n<!-- /curated -->"), "{}", no_end.text);
        assert!(no_end.text.contains("For voids."), "{}", no_end.text);
        assert_eq!(no_end.text.matches("## Uses").count(), 1);
        assert_eq!(no_end.damage.len(), 1);
        for (from, to) in [
            ("<!-- curated: uses -->\n", ""),
            ("<!-- curated: uses -->", "<!-- curated uses"),
            ("<!-- curated: uses -->", "<!-- curated: motivation -->"),
        ] {
            assert!(!edited(from, to).damage.is_empty(), "{to:?} went unnoticed");
        }
    }
}
