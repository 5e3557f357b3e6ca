//! The archive's sum files: which files a tile has, and their SHA-256.
//!
//! Everything else is verified by them and nothing verifies them, so one that does not look right
//! (a line that is none, a file that a tile should have and is not named) is believed only when it
//! is read twice with the same bytes. One of which no line is a sum is none at all.

use crate::archive::Fault;
use crate::caller::Caller;
use crate::key::{Kind, Production, file_name};
use bifrost_core::tile::Tile;
use futures::{StreamExt, stream};
use std::collections::BTreeMap;

const SIZE_MAX: usize = 1 << 20;
/// Readings of one sum file, at most, until two agree.
const READINGS: usize = 8;

/// A sum file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    text: Vec<u8>,
    digests: BTreeMap<String, String>,
    is_plain: bool,
}

impl Sums {
    /// Reads `<64 hex digits>`, two blanks (or a blank and a star), a bare file name (or one after `./`),
    /// line by line.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut digests = BTreeMap::new();
        let mut is_plain = text.last().is_none_or(|b| *b == b'\n');
        for line in String::from_utf8_lossy(text).lines() {
            match entry(line) {
                Some((name, digest)) => is_plain &= digests.insert(name, digest).is_none(),
                None => is_plain = false,
            }
        }
        Self { text: text.to_owned(), digests, is_plain }
    }

    /// The digest of a file, lower-case hex; none where the archive does not have it.
    #[must_use]
    pub fn digest(&self, name: &str) -> Option<&str> {
        self.digests.get(name).map(String::as_str)
    }

    /// The bytes, as they came.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    fn names_all(&self, tile: &Tile, kinds: &[Kind]) -> bool {
        self.is_plain && kinds.iter().all(|kind| self.digest(&file_name(tile, *kind)).is_some())
    }
}

fn entry(line: &str) -> Option<(String, String)> {
    let (digest, name) = (line.get(..64)?, line.get(64..)?);
    let name = name.strip_prefix("  ").or_else(|| name.strip_prefix(" *"))?;
    let name = name.strip_prefix("./").unwrap_or(name);
    let is_digest = digest.bytes().all(|b| b.is_ascii_hexdigit());
    let is_name = !name.is_empty() && !name.contains('/');
    (is_digest && is_name).then(|| (name.to_owned(), digest.to_ascii_lowercase()))
}

/// Reads a tile's sum file; none where the archive has none. `doubt` asks for a second opinion
/// whatever it looks like.
///
/// # Errors
/// [`Fault`], once patience is at an end.
pub async fn read(
    caller: &Caller,
    production: &Production,
    tile: &Tile,
    kinds: &[Kind],
    doubt: bool,
) -> Result<Option<Sums>, Fault> {
    let url = caller.archive.url(&production.key(tile, Kind::Sums));
    let mut before: Option<Sums> = None;
    for _ in 0..READINGS {
        let read = caller.small(&url, SIZE_MAX, |bytes| Ok(Sums::parse(bytes))).await;
        let sums = match read {
            Err(Fault::Absent(_)) => return Ok(None),
            other => other?,
        };
        if before.as_ref() == Some(&sums) || (!doubt && sums.names_all(tile, kinds)) {
            if sums.digests.is_empty() && !sums.text.is_empty() {
                return Err(Fault::Nonsense("its sum file holds no sums".to_owned()));
            }
            return Ok(Some(sums).filter(|sums| !sums.text.is_empty()));
        }
        before = Some(sums);
    }
    Err(Fault::Nonsense("its sum file says something else each time".to_owned()))
}

/// Reads the sum files of many tiles; each with its tile, as they come.
pub async fn read_all(
    caller: &Caller,
    production: &Production,
    tiles: &[Tile],
    kinds: &[Kind],
    mut took: impl FnMut(&Tile, Result<Option<Sums>, Fault>),
) {
    /// The pace may allow fewer.
    const AT_ONCE: usize = 32;
    let mut reads = stream::iter(tiles)
        .map(|tile| async move { (tile, read(caller, production, tile, kinds, false).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((tile, sums)) = reads.next().await {
        took(tile, sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::tile::{Name, Pixel};

    #[test]
    fn sum_files_are_read_strictly() {
        let digest = "Ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(7).expect("a pixel");
        let tile =
            Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel };
        let good =
            format!("{digest}  coadd-main-dark-7.fits\n{digest}  redrock-main-dark-7.fits\n");
        let sums = Sums::parse(good.as_bytes());
        let lower = digest.to_lowercase();
        assert_eq!(sums.digest("coadd-main-dark-7.fits"), Some(lower.as_str()));
        let kinds = [Kind::Coadd, Kind::Redrock];
        assert!(sums.names_all(&tile, &kinds));
        assert!(!sums.names_all(&tile, &Kind::ALL));
        for spelling in [" *", "  ./", " *./"] {
            let spelled = Sums::parse(good.replace("  ", spelling).as_bytes());
            assert_eq!(spelled.digests, sums.digests, "{spelling}");
        }
        assert!(Sums::parse(good.replace("  ", "  dir/").as_bytes()).digests.is_empty());
        // one byte less, or another one, anywhere: it is not taken at its word, or says the same,
        // or another digest, which no file will have
        let same: Vec<_> = sums.digests.keys().collect();
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 0x14;
            let flipped = Sums::parse(&bytes);
            let names: Vec<_> = flipped.digests.keys().collect();
            assert!(!flipped.names_all(&tile, &kinds) || names == same, "{at}");
            assert!(!Sums::parse(&good.as_bytes()[..at]).names_all(&tile, &kinds), "{at}");
        }
    }
}
