//! One question to the archive, and what its answer means.
//!
//! An archive is a bucket of S3 (anonymous or signed, at any endpoint) or a folder of a web server.
//! Both are asked by GET, here and nowhere else: status codes, `Retry-After`, `ETag` and ranges are
//! read the same way for both. Nothing is tried again here; see [`crate::pace`].

use crate::pace::Verdict;
use chrono::{DateTime, Utc};
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// As much of an error's text as anybody reads.
const SAID_MAX: usize = 4096;
/// The survey's bucket lies there.
const REGION: &str = "us-west-2";

/// Where the archive is, and how it is asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `s3://BUCKET[/FOLDER]`, or `https://HOST/FOLDER`.
    pub location: String,
    /// Where S3 is answered, if not by Amazon: `https://s3.example.org`.
    pub endpoint: Option<String>,
    /// Region of the bucket, for Amazon's addresses and for signatures.
    pub region: Option<String>,
    /// Sign requests with the credentials of the environment (variables, web identity, instance).
    pub signed: bool,
    /// Longest silence that is borne, before an answer and in the middle of one.
    pub stall: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: "s3://desidata".to_owned(),
            endpoint: None,
            region: None,
            signed: false,
            stall: Duration::from_secs(30),
        }
    }
}

/// Settings that cannot be meant so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address.
    #[error("'{0}' is no archive: it looks like s3://BUCKET or https://HOST/FOLDER")]
    Location(String),
    /// An endpoint that is no address.
    #[error("'{0}' is no endpoint: it looks like https://HOST[:PORT]")]
    Endpoint(String),
    /// No credentials to sign with.
    #[error("requests cannot be signed: {0}")]
    Credentials(String),
    /// No HTTP client on this machine.
    #[error("failed to start an HTTP client: {0}")]
    Client(String),
}

/// Why a question was not answered as hoped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such file.
    #[error("it is not in the archive ({0})")]
    Absent(StatusCode),
    /// The archive does not let us.
    #[error("the archive refuses it: {0}")]
    Refused(String),
    /// The file is no longer the one that was begun.
    #[error("it changed in the archive while it was fetched")]
    Changed,
    /// The archive asks for patience.
    #[error("the archive is busy: {said}")]
    Busy {
        /// Status and code.
        said: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// A fault of the archive that may pass.
    #[error("the archive failed: {0}")]
    Server(String),
    /// Nothing came for too long.
    #[error("nothing came for {0} s")]
    Stalled(u64),
    /// The connection failed or broke.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The answer ended before all of it was there.
    #[error("it was cut short after {got} of {of} bytes")]
    Short {
        /// Bytes of the file that are here.
        got: u64,
        /// Its size.
        of: u64,
    },
    /// An answer that makes no sense.
    #[error("the archive's answer cannot be understood: {0}")]
    Nonsense(String),
}

impl Fault {
    /// Whether the same question may be answered later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Absent(_) | Self::Refused(_))
    }

    /// What the pace should learn from it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Busy { retry_after, .. } => Verdict::Slower(*retry_after),
            Self::Stalled(_) => Verdict::Slower(None),
            _ => Verdict::Neither,
        }
    }
}

/// A part of a file that is wanted.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    /// The first byte that is missing.
    pub from: u64,
    /// Only if the file is still this one.
    pub etag: Option<String>,
}

/// The archive.
#[derive(Debug, Clone)]
pub struct Archive {
    base: Url,
    folder: String,
    bucket: Option<String>,
    signer: Option<Signer>,
    stall: Duration,
    http: reqwest::Client,
}

#[derive(Debug, Clone)]
struct Signer {
    credentials: AwsCredentialProvider,
    region: String,
}

impl Archive {
    /// Makes ready to ask; asks nothing yet.
    ///
    /// # Errors
    /// [`Error`], where the settings cannot be meant so.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let wrong = || Error::Location(settings.location.clone());
        let (scheme, rest) = settings.location.split_once("://").ok_or_else(wrong)?;
        let region = settings.region.as_deref().unwrap_or(REGION);
        let (base, folder, bucket) = match scheme {
            "s3" => {
                let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(wrong());
                }
                let base = match &settings.endpoint {
                    Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
                    None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
                };
                let url = Url::parse(&base);
                let url = url.map_err(|_| Error::Endpoint(endpoint_of(settings)))?;
                (url, folder.trim_matches('/'), Some(bucket.to_owned()))
            }
            "http" | "https" => (Url::parse(&settings.location).map_err(|_| wrong())?, "", None),
            _ => return Err(wrong()),
        };
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(Error::Endpoint(endpoint_of(settings)));
        }
        let signer = match &bucket {
            Some(bucket) if settings.signed => Some(Signer::new(bucket, region)?),
            _ => None,
        };
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(settings.stall))
            // one connection a transfer: over one alone they would share its window
            .http1_only()
            .user_agent(concat!("bifrost/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Error::Client(chain(&e)))?;
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Ok(Self { base, folder, bucket, signer, stall: settings.stall, http })
    }

    /// The bucket's name; none where the archive is a web server.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// The address of a key.
    #[must_use]
    pub fn url(&self, key: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}/{}{key}", url.path().trim_end_matches('/'), self.folder);
        url.set_path(&path);
        url
    }

    /// The address of a page of a bucket's listing.
    pub(crate) fn listing(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        token: Option<&str>,
    ) -> Url {
        let mut url = self.base.clone();
        let prefix = format!("{}{prefix}", self.folder);
        url.query_pairs_mut().append_pair("list-type", "2").append_pair("prefix", &prefix);
        let more = [("delimiter", delimiter), ("continuation-token", token)];
        for (name, value) in more {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        url
    }

    /// The key of what a listing calls by its full name.
    pub(crate) fn key_of_listed<'a>(&self, listed: &'a str) -> Option<&'a str> {
        listed.strip_prefix(&self.folder)
    }

    /// Asks for a file, or the rest of it. The answer's head is there; its body is still to come.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn get(&self, url: &Url, rest: &Rest) -> Result<Answer, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if rest.from > 0 {
            put(&mut headers, header::RANGE, &format!("bytes={}-", rest.from));
            // a weak tag does not promise the same bytes
            if let Some(etag) = rest.etag.as_deref().filter(|tag| !tag.starts_with("W/")) {
                put(&mut headers, header::IF_MATCH, etag);
            }
        }
        if let Some(signer) = &self.signer {
            headers = signer.sign(url, headers).await?;
        }
        let sent = self.http.get(url.clone()).headers(headers).send();
        let response = match tokio::time::timeout(self.stall, sent).await {
            Err(_) => return Err(Fault::Stalled(self.stall.as_secs())),
            Ok(Err(e)) if e.is_timeout() => return Err(Fault::Stalled(self.stall.as_secs())),
            Ok(Err(e)) => return Err(Fault::Connection(chain(&e))),
            Ok(Ok(response)) => response,
        };
        if response.status() == StatusCode::OK || response.status() == StatusCode::PARTIAL_CONTENT {
            return Answer::new(response, self.stall);
        }
        Err(fault_of(response, self.stall).await)
    }
}

fn endpoint_of(settings: &Settings) -> String {
    settings.endpoint.clone().unwrap_or_else(|| settings.location.clone())
}

impl Signer {
    fn new(bucket: &str, region: &str) -> Result<Self, Error> {
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_region(region);
        let store = store.build().map_err(|e| Error::Credentials(e.to_string()))?;
        Ok(Self { credentials: store.credentials().clone(), region: region.to_owned() })
    }

    async fn sign(&self, url: &Url, headers: HeaderMap) -> Result<HeaderMap, Fault> {
        let credential = self.credentials.get_credential().await;
        let credential =
            credential.map_err(|e| Fault::Refused(format!("no credentials to sign with: {e}")))?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let uri = url.as_str().parse();
        *request.uri_mut() = uri.map_err(|_| Fault::Nonsense(format!("{url} is no address")))?;
        *request.headers_mut() = headers;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        Ok(std::mem::take(request.headers_mut()))
    }
}

/// A file on its way.
#[derive(Debug)]
pub struct Answer {
    /// The first byte that comes.
    pub from: u64,
    /// Size of the whole file, bytes; unknown where the server does not say.
    pub length: Option<u64>,
    /// The file's version, as the server names it.
    pub etag: Option<String>,
    response: Response,
    stall: Duration,
}

impl Answer {
    fn new(response: Response, stall: Duration) -> Result<Self, Fault> {
        let headers = response.headers();
        let etag = text(headers, &header::ETAG).map(str::to_owned);
        let nonsense = |what: &str| Fault::Nonsense(what.to_owned());
        // some name what it was uploaded as: aws-chunked
        let packed = ["gzip", "x-gzip", "deflate", "compress", "br", "zstd"];
        if let Some(coding) = text(headers, &header::CONTENT_ENCODING)
            && packed.iter().any(|name| coding.eq_ignore_ascii_case(name))
        {
            return Err(nonsense(&format!("packed by {coding}, which was not asked for")));
        }
        let (from, length) = if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = text(headers, &header::CONTENT_RANGE)
                .ok_or_else(|| nonsense("a part, without saying which"))?;
            let (from, length) =
                content_range(range).ok_or_else(|| nonsense(&format!("the part '{range}'")))?;
            (from, length)
        } else {
            let length = text(headers, &header::CONTENT_LENGTH).and_then(|n| n.parse().ok());
            (0, length)
        };
        Ok(Self { from, length, etag, response, stall })
    }

    /// The next bytes; none at the end, which may come too early.
    ///
    /// # Errors
    /// [`Fault::Stalled`], [`Fault::Connection`].
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, Fault> {
        match tokio::time::timeout(self.stall, self.response.chunk()).await {
            Err(_) => Err(Fault::Stalled(self.stall.as_secs())),
            Ok(Err(e)) => Err(Fault::Connection(chain(&e))),
            Ok(Ok(bytes)) => Ok(bytes),
        }
    }
}

/// `bytes 5-8/10`: the first byte, and the size of the whole, of which a server need not give all that is
/// asked for; `*` where it does not know the size.
fn content_range(range: &str) -> Option<(u64, Option<u64>)> {
    let (part, length) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = part.split_once('-')?;
    let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    let length = match length {
        "*" => None,
        length => Some(length.parse().ok()?),
    };
    (from <= to && length.is_none_or(|length| to < length)).then_some((from, length))
}

async fn fault_of(mut response: Response, stall: Duration) -> Fault {
    let status = response.status();
    let retry_after =
        text(response.headers(), &header::RETRY_AFTER).and_then(|wait| delay(wait, Utc::now()));
    let mut body = Vec::new();
    while let Ok(Ok(Some(bytes))) = tokio::time::timeout(stall, response.chunk()).await {
        body.extend_from_slice(&bytes);
        if body.len() > SAID_MAX {
            break;
        }
    }
    let code = code_of(&String::from_utf8_lossy(&body));
    let said = match &code {
        Some(code) => format!("{} ({code})", status.as_u16()),
        None => status.to_string(),
    };
    let slow = ["SlowDown", "ServiceUnavailable", "RequestTimeout", "TooManyRequests"];
    let is_slow = code.as_deref().is_some_and(|code| slow.contains(&code));
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Fault::Busy { said, retry_after }
        }
        _ if is_slow => Fault::Busy { said, retry_after },
        StatusCode::NOT_FOUND | StatusCode::GONE => Fault::Absent(status),
        StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => Fault::Changed,
        StatusCode::REQUEST_TIMEOUT => Fault::Busy { said, retry_after },
        _ if status.is_server_error() => Fault::Server(said),
        _ if status.is_redirection() => {
            Fault::Refused(format!("{said}: it is elsewhere; is --region right?"))
        }
        _ => Fault::Refused(said),
    }
}

/// `Retry-After`: seconds, or a date.
fn delay(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(value.trim()).ok()?.with_timezone(&Utc);
    Some((until - now).to_std().unwrap_or_default())
}

/// `<Code>` of an error document.
fn code_of(document: &str) -> Option<String> {
    let (_, rest) = document.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // what came out of a header goes into one
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// An error with its causes, without repeating what was said.
fn chain(error: &reqwest::Error) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !said.contains(&words) {
            said = format!("{said}: {words}");
        }
        cause = inner.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(location: &str, endpoint: Option<&str>) -> Result<Archive, Error> {
        let endpoint = endpoint.map(str::to_owned);
        Archive::new(&Settings { location: location.into(), endpoint, ..Settings::default() })
    }

    #[test]
    fn addresses_are_those_of_the_place() {
        let cases = [
            ("s3://desidata", None, "https://desidata.s3.us-west-2.amazonaws.com/dr1/a.fits"),
            ("s3://b/x/", Some("http://[::1]:9000/"), "http://[::1]:9000/b/x/dr1/a.fits"),
            (
                "https://data.desi.lbl.gov/public/",
                None,
                "https://data.desi.lbl.gov/public/dr1/a.fits",
            ),
        ];
        for (location, endpoint, url) in cases {
            let archive = archive(location, endpoint).expect(location);
            assert_eq!(archive.url("dr1/a.fits").as_str(), url);
        }
        let listing = archive("s3://b/x", Some("http://h")).expect("good");
        let url = listing.listing("dr1/", Some("/"), Some("a+/="));
        assert_eq!(
            url.as_str(),
            "http://h/b?list-type=2&prefix=x%2Fdr1%2F&delimiter=%2F&continuation-token=a%2B%2F%3D"
        );
        assert_eq!(listing.key_of_listed("x/dr1/a"), Some("dr1/a"));
        for location in ["desidata", "s3://", "ftp://h/x", "https://"] {
            assert!(archive(location, None).is_err(), "{location}");
        }
        assert!(matches!(archive("s3://b", Some("h:9")), Err(Error::Endpoint(_))));
    }

    #[test]
    fn headers_are_read_without_trust() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(content_range("bytes 5-8/10"), Some((5, Some(10))));
        for range in ["bytes 5-10/10", "bytes 9-5/10", "bytes */10", "5-9/10", "bytes 9-5/*"] {
            assert_eq!(content_range(range), None, "{range}");
        }
        assert_eq!(content_range("bytes 0-18446744073709551615/1"), None);
        let now = DateTime::parse_from_rfc2822("Wed, 21 Oct 2015 07:28:00 GMT").expect("a date");
        let delay = |value| delay(value, now.with_timezone(&Utc));
        assert_eq!(delay("120"), Some(Duration::from_secs(120)));
        assert_eq!(delay("Wed, 21 Oct 2015 07:29:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(delay("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(delay("soon"), None);
        assert_eq!(code_of("<Error><Code>SlowDown</Code>"), Some("SlowDown".into()));
        assert_eq!(code_of("<Code>a b</Code>"), None);
    }
}
