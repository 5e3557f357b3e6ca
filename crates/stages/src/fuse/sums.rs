//! The archive's sum files.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

/// Digests (lower-case hex) by bare file name, from every `*.sha256sum` of a folder.
///
/// # Errors
/// What the file system refuses.
pub fn stated(folder: &Path) -> io::Result<HashMap<String, String>> {
    let mut sums = HashMap::new();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "sha256sum") {
            files.push(path);
        }
    }
    files.sort();
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
        sums.extend(text.lines().filter_map(parse));
    }
    Ok(sums)
}

/// `<64 hex>`, two blanks (or a blank and a star), the name.
fn parse(line: &str) -> Option<(String, String)> {
    let (digest, name) = line.split_once(' ')?;
    let name = name.trim_start_matches([' ', '*']).trim_end();
    let name = Path::new(name).file_name()?.to_str()?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest.then(|| (name.to_owned(), digest.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_files_are_read_and_agree() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text =
            format!("{}  a.fits\n{known} *dir/b.fits\nnonsense\n12  c\n", known.to_uppercase());
        fs::write(dir.path().join("x.sha256sum"), text).expect("written");
        let sums = stated(dir.path()).expect("read");
        assert_eq!(sums.len(), 2);
        assert_eq!((sums["a.fits"].as_str(), sums["b.fits"].as_str()), (known, known));
    }
}
