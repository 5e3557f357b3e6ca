//! The options that say where the archive is and how it is asked; shared by the commands that do.

use crate::exit::Usage;
use bifrost_archive::archive::{self, Archive};
use bifrost_archive::caller::{Caller, Tell};
use bifrost_archive::key::Production;
use bifrost_archive::pace::{Pace, Patience};
use bifrost_core::tile::Name;
use serde::Deserialize;
use std::num::NonZero;
use std::time::Duration;

/// About the archive's sweet spot; beyond ten it answers 503.
const WORKERS: usize = 8;
const RETRIES: u32 = 10;
const BACKOFF_S: f64 = 0.5;
const BACKOFF_MAX: Duration = Duration::from_secs(60);
const STALL_S: f64 = 30.0;

/// What may also be set in `bifrost.toml`, under `[archive]`, with the same spelling.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "The archive")]
pub struct Options {
    /// Where it is: s3://BUCKET[/FOLDER] or https://HOST/FOLDER [default: s3://desidata]
    #[arg(long, value_name = "URL")]
    archive: Option<String>,
    /// Where S3 is answered, if not by Amazon
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket [default: us-west-2]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Sign requests with the credentials of the environment (AWS_ACCESS_KEY_ID, …)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    signed: Option<bool>,
    /// Production [default: iron, which is DR1]
    #[arg(long, value_name = "NAME")]
    release: Option<Name>,
    /// Its folder in the archive [default: dr1/spectro/redux/iron for iron]
    #[arg(long, value_name = "FOLDER")]
    root: Option<String>,
    /// Requests at a time, at most; fewer when the archive is busy [default: 8]
    #[arg(long, value_name = "N")]
    requests: Option<NonZero<usize>>,
    /// Failures in a row, without any progress, after which a file is given up [default: 10]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Longest wait before the first retry, seconds; it doubles, up to a minute [default: 0.5]
    #[arg(long, value_name = "S")]
    backoff: Option<f64>,
    /// Longest silence that is borne, seconds [default: 30]
    #[arg(long, value_name = "S")]
    stall: Option<f64>,
}

impl Options {
    /// These, and where they are silent, those.
    pub fn or(self, those: &Self) -> Self {
        let those = those.clone();
        Self {
            archive: self.archive.or(those.archive),
            endpoint: self.endpoint.or(those.endpoint),
            region: self.region.or(those.region),
            signed: self.signed.or(those.signed),
            release: self.release.or(those.release),
            root: self.root.or(those.root),
            requests: self.requests.or(those.requests),
            retries: self.retries.or(those.retries),
            backoff: self.backoff.or(those.backoff),
            stall: self.stall.or(those.stall),
        }
    }

    /// The production that is meant.
    pub fn production(&self) -> anyhow::Result<Production> {
        let release = match &self.release {
            Some(release) => release.clone(),
            None => Name::new("iron")?,
        };
        if let Some(root) = &self.root {
            return Ok(Production::new(&release, root));
        }
        let unknown = format!("where is production {release}? give its folder with --root");
        Production::known(&release).ok_or_else(|| Usage(unknown).into())
    }

    /// The archive that is meant.
    pub fn open(&self) -> anyhow::Result<Archive> {
        let default = archive::Settings::default();
        let settings = archive::Settings {
            location: self.archive.clone().unwrap_or(default.location),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            signed: self.signed.unwrap_or(false),
            stall: seconds("--stall", self.stall.unwrap_or(STALL_S))?,
        };
        Archive::new(&settings).map_err(|e| Usage(e.to_string()).into())
    }

    /// The archive, asked at a bearable pace.
    pub fn caller(&self, tell: Tell) -> anyhow::Result<Caller> {
        let requests = self.requests.map_or(WORKERS, NonZero::get);
        let first = seconds("--backoff", self.backoff.unwrap_or(BACKOFF_S))?;
        let patience =
            Patience::new(first, BACKOFF_MAX.max(first), self.retries.unwrap_or(RETRIES));
        Ok(Caller::new(self.open()?, Pace::new(requests, requests), patience, tell))
    }

    /// Transfers at a time, at most.
    pub fn requests(&self) -> usize {
        self.requests.map_or(WORKERS, NonZero::get)
    }
}

fn seconds(option: &str, value: f64) -> anyhow::Result<Duration> {
    if !(0.0..=86_400.0).contains(&value) {
        return Err(Usage(format!("{option} takes seconds, from 0 to a day")).into());
    }
    Ok(Duration::from_secs_f64(value))
}

/// `100`, `500kB`, `1.5GB`, `2GiB`: bytes, in decimal or binary units.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => f64::from(1 << 10),
        "mib" => f64::from(1 << 20),
        "gib" => f64::from(1 << 30),
        "tib" => (1u64 << 40) as f64,
        _ => return Err("use bytes, kB, MB, GB, TB, or KiB, MiB, GiB, TiB".to_owned()),
    };
    match digits.trim().parse::<f64>() {
        Ok(number) if number >= 0.0 && number * factor < 1e18 => Ok((number * factor) as u64),
        _ => Err(format!("'{text}' is no size: use e.g. 500kB, 1.5GB")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let decimal = [("0", 0), ("12", 12), ("500kB", 500_000), ("1.5 GB", 1_500_000_000)];
        let cases = decimal.into_iter().chain([("1KiB", 1024), ("2GiB", 2 << 30)]);
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "1XB", "NaN", "1e30TB", "MB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn productions_are_known_or_given() {
        let options = |text: &str| toml::from_str::<Options>(text).expect("options");
        let root = |text: &str| options(text).production().map(|p| p.root().to_owned());
        assert_eq!(root("").expect("iron"), "dr1/spectro/redux/iron");
        assert_eq!(root("release = 'fuji'").expect("fuji"), "edr/spectro/redux/fuji");
        assert!(root("release = 'else'").expect_err("unknown").is::<Usage>());
        assert_eq!(root("release = 'else'\nroot = '/a/b/'").expect("given"), "a/b");
        for text in ["archive = 'x'", "stall = -1.0", "endpoint = 'x:y'"] {
            assert!(options(text).open().expect_err(text).is::<Usage>());
        }
    }
}
