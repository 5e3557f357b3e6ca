//! What lies in `.bifrost/` that nobody needs any more.

use crate::layout::{Lake, SPECTRA};
use crate::publish::{Error, REPLACED, entries};
use crate::tile::{Name, Tile};
use crate::withdraw::Version;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of what is about to be unlinked, below `.bifrost`.
pub(super) const MOVED: &str = "gc";

/// Why a file may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It had its time in the lake.
    Replaced,
    /// A note of digests that nobody needs.
    Digest,
    /// A process left it half done.
    Partial,
}

impl Kind {
    /// As the registry spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Digest => "digest",
            Self::Partial => "partial",
        }
    }

    /// The kind that is spelt so.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "digest" => Self::Digest,
            "partial" => Self::Partial,
            _ => Self::Replaced,
        }
    }
}

/// Files by path relative to `.bifrost`.
pub(super) type Found = BTreeMap<String, (Kind, Version)>;

/// Files that may go, leaving out folders of `.bifrost/replaced` that are `kept`.
pub(super) fn candidates(lake: &Lake, kept: &[String]) -> Result<Found, Error> {
    let mut found = Found::new();
    for folder in entries(&lake.private(REPLACED))? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !kept.iter().any(|id| name.starts_with(id)) {
            below(lake, folder, &mut |_| Some(Kind::Replaced), &mut found)?;
        }
    }
    below(lake, lake.private("digests"), &mut |path| note(lake, path), &mut found)?;
    let draft = |path: &Path| has_extension(path, &["draft"]).then_some(Kind::Partial);
    below(lake, lake.private("quarantine"), &mut |path| draft(path), &mut found)?;
    let part = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (name.ends_with(".part") || name.ends_with(".part.json")).then_some(Kind::Partial)
    };
    below(lake, lake.private("scratch"), &mut |path| part(path), &mut found)?;
    Ok(found)
}

/// Files that lie in the folder of what was moved, by the paths that they had.
pub(super) fn moved(lake: &Lake) -> Result<Found, Error> {
    let mut found = Found::new();
    below(lake, lake.private(MOVED), &mut |_| Some(Kind::Replaced), &mut found)?;
    let prefix = format!("{MOVED}/");
    let had = |(path, about): (String, _)| Some((path.strip_prefix(&prefix)?.to_owned(), about));
    let kind = |(path, (_, version)): (String, (Kind, Version))| {
        let kind = if path.starts_with(REPLACED) {
            Kind::Replaced
        } else if has_extension(Path::new(&path), &["json"]) {
            Kind::Digest
        } else {
            Kind::Partial
        };
        (path, (kind, version))
    };
    Ok(found.into_iter().filter_map(had).map(kind).collect())
}

/// A note of digests is needed while the tile's file is older: a file that was made since knows the
/// times that the note is about.
fn note(lake: &Lake, path: &Path) -> Option<Kind> {
    if has_extension(path, &["draft"]) {
        return Some(Kind::Partial);
    }
    let tile: Tile = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
    let noted = Version::of(path).ok()??;
    let live = lake.files_of(&Name::new(SPECTRA).ok()?, &tile).ok()?;
    let is_older = |file: &PathBuf| {
        Version::of(file).is_ok_and(|v| v.is_none_or(|v| v.mtime_ns <= noted.mtime_ns))
    };
    (!live.iter().any(is_older)).then_some(Kind::Digest)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|e| extensions.iter().any(|known| e == *known))
}

/// Everything below a folder that is of some kind; links are not followed.
fn below(
    lake: &Lake,
    folder: PathBuf,
    kind: &mut dyn FnMut(&Path) -> Option<Kind>,
    found: &mut Found,
) -> Result<(), Error> {
    let private = lake.private("");
    let mut waiting = vec![folder];
    while let Some(path) = waiting.pop() {
        let about = match std::fs::symlink_metadata(&path) {
            Ok(about) => about,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::new("look at", &path)(e)),
        };
        if about.is_dir() {
            waiting.extend(entries(&path)?);
        } else if let Some(kind) = about.is_file().then(|| kind(&path)).flatten()
            // a name that is not UTF-8 cannot be noted
            && let Some(relative) = path.strip_prefix(&private).ok().and_then(Path::to_str)
        {
            found.insert(relative.to_owned(), (kind, Version::from(&about)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, SystemTime};

    #[test]
    fn only_what_nobody_needs_may_go() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lake = Lake::open_or_create(dir.path(), "here").expect("a lake");
        let put = |path: &str| {
            let path = lake.private(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(&path, "x").expect("written");
            path
        };
        let (old, new) = ("iron-main-dark-7_1.parquet", "iron-main-dark-8_1.parquet");
        for path in [
            "replaced/one/a.parquet",
            "replaced/two/b.parquet",
            "replaced/two-withdrawn/c.parquet",
            "digests/iron-main-dark-6.json",
            "digests/iron-main-dark-7.json",
            "digests/iron-main-dark-8.json",
            "digests/iron-main-dark-8.draft",
            "digests/whose.json",
            "quarantine/iron-main-dark-9.json",
            "quarantine/x.draft",
            "scratch/a/coadd.fits",
            "scratch/a/redrock.fits.part",
            "scratch/a/redrock.fits.part.json",
            "staging/x/y.parquet",
            "gc/replaced/zero/d.parquet",
        ] {
            put(path);
        }
        let second = Duration::from_secs(1);
        for (name, time) in [(old, SystemTime::now() - second), (new, SystemTime::now() + second)] {
            let tile = name.parse::<crate::tile::FileName>().expect("a name");
            let file = lake.file(&Name::new(SPECTRA).expect("a name"), &tile);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            let file = fs::File::create(file).expect("made");
            file.set_modified(time).expect("set");
        }
        let found = candidates(&lake, &["two".to_owned()]).expect("listed");
        let found: Vec<_> = found.iter().map(|(path, (kind, _))| (path.as_str(), *kind)).collect();
        assert_eq!(
            found,
            [
                ("digests/iron-main-dark-6.json", Kind::Digest),
                ("digests/iron-main-dark-8.draft", Kind::Partial),
                ("digests/iron-main-dark-8.json", Kind::Digest),
                ("quarantine/x.draft", Kind::Partial),
                ("replaced/one/a.parquet", Kind::Replaced),
                ("scratch/a/redrock.fits.part", Kind::Partial),
                ("scratch/a/redrock.fits.part.json", Kind::Partial),
            ]
        );
        let moved = moved(&lake).expect("listed");
        assert_eq!(moved.keys().collect::<Vec<_>>(), ["replaced/zero/d.parquet"]);
    }
}
