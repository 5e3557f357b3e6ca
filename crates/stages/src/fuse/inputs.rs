//! A tile's files, opened: what is there, what they are, and what their headers say.

use super::findings::Findings;
use super::sources::{Kind, Sources};
use super::sums;
use crate::fits::{Fits, Value};
use bifrost_core::metadata::Input;
use bifrost_core::outcome::Outcome;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use uuid::Uuid;

/// A tile's files.
#[derive(Debug)]
pub struct Inputs {
    /// What identifies each file, by kind.
    pub files: BTreeMap<Kind, Input>,
    /// Where each file lies.
    pub paths: BTreeMap<Kind, PathBuf>,
    /// Spectra.
    pub coadd: Option<Fits>,
    /// Redshifts.
    pub redrock: Option<Fits>,
    /// Lines, where the file has any.
    pub emline: Option<Fits>,
    known_digests: BTreeMap<Kind, String>,
    scratch: Vec<PathBuf>,
}

impl Drop for Inputs {
    fn drop(&mut self) {
        for path in &self.scratch {
            // in a staging folder, which is emptied anyway
            let _ = fs::remove_file(path);
        }
    }
}

impl Inputs {
    /// Opens a tile's files; packed ones are unpacked into `scratch` first, and stay closed without.
    pub fn open(sources: &Sources, scratch: Option<&Path>, findings: &mut Findings) -> Self {
        let mut inputs = Self {
            files: BTreeMap::new(),
            paths: sources.files.clone(),
            coadd: None,
            redrock: None,
            emline: None,
            known_digests: sources.digests.clone(),
            scratch: Vec::new(),
        };
        for (kind, path) in &sources.files {
            match describe(*kind, path) {
                Ok(input) => {
                    inputs.files.insert(*kind, input);
                }
                Err(e) => findings.unreadable(kind.as_str(), &e.into()),
            }
        }
        inputs.coadd = inputs.require(Kind::Coadd, sources, scratch, findings);
        inputs.redrock = inputs.require(Kind::Redrock, sources, scratch, findings);
        inputs.emline = inputs.open_emline(scratch, findings);
        if !inputs.paths.contains_key(&Kind::Rrdetails) {
            findings.note("there is no rrdetails file");
        }
        inputs
    }

    fn require(
        &mut self,
        kind: Kind,
        sources: &Sources,
        scratch: Option<&Path>,
        findings: &mut Findings,
    ) -> Option<Fits> {
        if !self.paths.contains_key(&kind) {
            let name = format!("{kind}-{}.fits", sources.stem);
            findings.add(Outcome::MissingSource, format!("{name} is not there"));
        }
        self.open_fits(kind, scratch, findings)
    }

    /// The archive has emline files of no bytes and without a table: they are as good as none.
    fn open_emline(&mut self, scratch: Option<&Path>, findings: &mut Findings) -> Option<Fits> {
        let Some(input) = self.files.get(&Kind::Emline) else {
            findings.note("there is no emline file");
            return None;
        };
        if input.size_bytes == 0 {
            findings.note("the emline file is empty");
            return None;
        }
        let fits = self.open_fits(Kind::Emline, scratch, findings)?;
        if !fits.has(EMLINE_TABLE) {
            findings.note("the emline file has no table");
            return None;
        }
        Some(fits)
    }

    fn open_fits(
        &mut self,
        kind: Kind,
        scratch: Option<&Path>,
        findings: &mut Findings,
    ) -> Option<Fits> {
        // a file that could not even be described is a finding already
        self.files.get(&kind)?;
        let path = self.paths.get(&kind)?.clone();
        let opened = if path.extension().is_some_and(|e| e == "gz") {
            let unpacked = scratch?.join(format!("{}.fits", Uuid::new_v4()));
            self.scratch.push(unpacked.clone());
            match unpack(&path, &unpacked) {
                Ok(()) => Fits::open(&unpacked),
                Err(e) => Err(e.into()),
            }
        } else {
            Fits::open(&path)
        };
        opened.map_err(|e| findings.unreadable(kind.as_str(), &e)).ok()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.values().map(|input| input.size_bytes).sum()
    }

    /// What the sum files beside the files state about them.
    #[must_use]
    pub fn stated_sums(&self) -> HashMap<Kind, String> {
        let mut by_folder: HashMap<&Path, HashMap<String, String>> = HashMap::new();
        let mut stated = HashMap::new();
        for (kind, path) in &self.paths {
            let folder = path.parent().unwrap_or(Path::new("."));
            // a folder that cannot be listed states nothing
            let sums =
                by_folder.entry(folder).or_insert_with(|| sums::stated(folder).unwrap_or_default());
            if let Some(digest) = self.files.get(kind).and_then(|input| sums.get(&input.name)) {
                stated.insert(*kind, digest.clone());
            }
        }
        stated
    }

    /// Digests of files: computed, as many at a time as there are cores, where they are not known.
    /// The largest begins first, since it takes longest.
    #[must_use]
    pub fn digests(
        &self,
        kinds: impl IntoIterator<Item = Kind>,
    ) -> BTreeMap<Kind, io::Result<String>> {
        let mut kinds: Vec<Kind> = kinds.into_iter().collect();
        kinds.sort_by_key(|kind| Reverse(self.files.get(kind).map(|input| input.size_bytes)));
        let digest = |kind| match self.known_digests.get(&kind) {
            Some(known) => (kind, Ok(known.clone())),
            None => (kind, bifrost_sha256::file(&self.paths[&kind])),
        };
        let digests: Vec<_> = kinds.into_par_iter().with_max_len(1).map(digest).collect();
        digests.into_iter().collect()
    }

    /// Computes every digest and holds it against the stated one.
    pub fn verify(&self, findings: &mut Findings) -> BTreeMap<Kind, Input> {
        let stated = self.stated_sums();
        let mut verified = self.files.clone();
        for (kind, digest) in self.digests(self.files.keys().copied()) {
            let Some(input) = verified.get_mut(&kind) else { continue };
            match (digest, stated.get(&kind)) {
                (Ok(digest), Some(stated)) if digest == *stated => {
                    (input.sha256, input.verified) = (Some(digest), true);
                }
                (Ok(digest), Some(stated)) => findings.add(
                    Outcome::ChecksumMismatch,
                    format!("{}: its sha256 is {digest}, its sum file states {stated}", input.name),
                ),
                (Ok(digest), None) => {
                    findings.note(format!("{}: no sum file states its digest", input.name));
                    input.sha256 = Some(digest);
                }
                (Err(e), _) => findings.unreadable(kind.as_str(), &e.into()),
            }
        }
        verified
    }

    /// The files with the digests that are stated of them, unverified.
    #[must_use]
    pub fn unverified(&self) -> BTreeMap<Kind, Input> {
        let mut stated = self.stated_sums();
        let mut files = self.files.clone();
        files.iter_mut().for_each(|(kind, input)| input.sha256 = stated.remove(kind));
        files
    }

    /// Header cards that are worth keeping, by `file.CARD`.
    #[must_use]
    pub fn headers(&self) -> BTreeMap<String, serde_json::Value> {
        let mut kept = BTreeMap::new();
        for (kind, fits) in [(Kind::Coadd, &self.coadd), (Kind::Redrock, &self.redrock)] {
            let Some(fits) = fits else { continue };
            for (keyword, value) in fits.primary().cards().filter(|(k, _)| is_worth_keeping(k)) {
                kept.entry(format!("{kind}.{keyword}")).or_insert_with(|| json(value));
            }
            for name in ["SPECPROD", "desispec", "redrock", "desitarget", "RR_TEMPLATE_DIR"] {
                if let Some(version) = dependency(fits, name) {
                    kept.insert(format!("{kind}.dependency.{name}"), version.into());
                }
            }
        }
        kept
    }
}

/// The table of an emline file.
pub const EMLINE_TABLE: &str = "EMLINEFIT";

/// What the primary or the FIBERMAP header states as the version of a name.
#[must_use]
pub fn dependency<'a>(fits: &'a Fits, name: &str) -> Option<&'a str> {
    let fibermap = fits.hdu("FIBERMAP").ok().map(|hdu| &hdu.header);
    [Some(fits.primary()), fibermap].into_iter().flatten().find_map(|h| h.dependency(name))
}

fn is_worth_keeping(keyword: &str) -> bool {
    const EXACT: [&str; 9] =
        ["SPGRP", "SPGRPVAL", "SURVEY", "PROGRAM", "RRVER", "NIGHT", "TILEID", "SPECTRO", "PETAL"];
    EXACT.contains(&keyword)
        || ["HPX", "TEMNAM", "TEMVER"].iter().any(|prefix| keyword.starts_with(prefix))
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(n) => (*n).into(),
        Value::Real(x) => (*x).into(),
        Value::Logical(b) => (*b).into(),
    }
}

/// Name, size and time of a file.
fn describe(kind: Kind, path: &Path) -> Result<Input, io::Error> {
    let about = fs::metadata(path)?;
    let since = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Input {
        kind: kind.to_string(),
        name,
        size_bytes: about.len(),
        mtime_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        sha256: None,
        verified: false,
    })
}

fn unpack(packed: &Path, unpacked: &Path) -> io::Result<()> {
    let mut reader = flate2::read::MultiGzDecoder::new(File::open(packed)?);
    let mut file = File::create(unpacked)?;
    match io::copy(&mut reader, &mut file) {
        // flate2 reports damage as these
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, e))
        }
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_is_known_is_held_against_the_sum_without_reading_the_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("coadd-x.fits");
        fs::write(&path, "abc").expect("written");
        let abc = bifrost_sha256::file(&path).expect("read");
        fs::write(dir.path().join("x.sha256sum"), format!("{abc}  coadd-x.fits\n"))
            .expect("written");
        let verified = |digests: &[(Kind, &str)]| {
            let digests = digests.iter().map(|(kind, digest)| (*kind, (*digest).to_owned()));
            let files = BTreeMap::from([(Kind::Coadd, path.clone())]);
            let sources = Sources { stem: "x".to_owned(), files, digests: digests.collect() };
            let mut findings = Findings::default();
            let inputs = Inputs::open(&sources, None, &mut Findings::default());
            let verified = inputs.verify(&mut findings)[&Kind::Coadd].verified;
            (verified, findings.worst())
        };
        assert_eq!(verified(&[]), (true, None));
        assert_eq!(verified(&[(Kind::Coadd, &abc)]), (true, None));
        let other = verified(&[(Kind::Coadd, "00")]);
        assert_eq!(other, (false, Some(Outcome::ChecksumMismatch)));
    }
}
