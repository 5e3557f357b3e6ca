//! What no compiler notices: files that nothing uses, files too long to read, paths of one machine.

use crate::support::repository;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;

/// Every file of the repository, as its path from the top.
fn files() -> Vec<PathBuf> {
    let top = repository();
    let mut folders = vec![top.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let skipped = [".git", "target", ".venv", "__pycache__", ".pytest_cache"];
            if skipped.contains(&name.as_str()) {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(&top).expect("below the top").to_owned());
            }
        }
    }
    files.sort();
    files
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|e| extensions.contains(&e.to_string_lossy().as_ref()))
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(repository().join(path)).expect("a file");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn every_statement_migration_and_template_is_used() {
    let files = files();
    let code: String =
        files.iter().filter(|f| has_extension(f, &["rs"])).map(|f| text(f)).collect();
    let mut seen = 0;
    for file in &files {
        let kept_apart = ["sql", "migrations", "templates"].iter().any(|f| file.starts_with(f));
        if kept_apart {
            seen += 1;
            let path = format!("/{}\"", file.display());
            assert!(code.contains(&path), "nothing includes {}", file.display());
        }
    }
    assert!(seen > 0, "no file was looked at");
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let sources = files().into_iter().filter(|f| has_extension(f, &["rs", "py"]));
    let too_long: Vec<_> = sources
        .filter_map(|file| {
            let text = text(&file);
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().count();
            (lines > LINES_MAX).then(|| format!("{}: {lines} lines", file.display()))
        })
        .collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    // spelt in pieces, so that this file is not found itself
    let roots = ["work", "root", "farm", "tmp/wt", "home"].map(|root| format!("/{root}/"));
    let mut found = Vec::new();
    for file in files().iter().filter(|f| f.as_path() != Path::new("Cargo.lock")) {
        for (number, line) in text(file).lines().enumerate() {
            if roots.iter().any(|root| line.contains(root)) {
                found.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
