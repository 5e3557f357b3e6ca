//! What lies behind a URL: objects of stores and files of web servers, and folders there to write to.

use crate::process::Own;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    Error as Refusal, GetOptions, GetRange, ObjectStore, ObjectStoreExt, ObjectStoreScheme,
};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// Bytes of a large object that are sent or asked for at once: stores want 5 MiB at least, and a slow line
/// carries so many before a request is given up.
const PIECE: usize = 8 << 20;
/// Pieces of an object under way at once.
const PIECES: usize = 4;

/// Why a folder behind a URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There can be none of this URL.
    #[error("{url} is no folder of an object store, as s3://BUCKET/FOLDER is")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The server refuses, or does not answer.
    #[error("failed to {doing} {url}: {}", advice(source))]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// With what.
        url: String,
        /// What it says.
        source: Refusal,
    },
}

impl Error {
    /// Whether the same thing may work later without anybody's doing.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Refused { source: Refusal::Generic { .. }, .. })
    }
}

/// What to do about a refusal.
fn advice(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotFound { .. } => {
            "there is no such bucket: make it, or correct the URL, AWS_ENDPOINT or AWS_REGION"
        }
        Refusal::PermissionDenied { .. } | Refusal::Unauthenticated { .. } => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of somebody who may read and write there"
        }
        _ => "no server answers as it should: are the URL and AWS_ENDPOINT right?",
    }
}

/// A folder behind a URL. What is put there is there as a whole or not at all.
#[derive(Debug)]
pub struct Folder {
    url: String,
    store: Arc<dyn ObjectStore>,
    root: Key,
}

impl Folder {
    /// The folder of a URL, which settings of S3 in the variables of AWS apply to. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn new(url: &str) -> Result<Self, Error> {
        let wrong = |source| Error::Address { url: url.to_owned(), source };
        let parsed = Url::parse(url).map_err(|error| wrong(io::Error::other(error)))?;
        let (store, root) = store_of(&parsed).map_err(wrong)?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), store, root })
    }

    /// The URL of what has this name, which may have several parts.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// Puts an object there.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let (store, key) = (self.store.clone(), self.key(name));
        let put = await_here(async move { put(&*store, &key, bytes.into()).await });
        put.map_err(self.refused("write", name))
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let (store, key) = (self.store.clone(), self.key(name));
        let got = await_here(async move { Object::met(store, key).await?.whole().await });
        unless_gone(got).map_err(self.refused("read", name))
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn has(&self, name: &str) -> Result<bool, Error> {
        let (store, key) = (self.store.clone(), self.key(name));
        let met = unless_gone(await_here(async move { store.head(&key).await }));
        met.map(|met| met.is_some()).map_err(self.refused("look for", name))
    }

    /// Names in a folder of it: those of objects, and those of folders. One that is not there is empty.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn names(&self, folder: &str) -> Result<[Vec<String>; 2], Error> {
        let (store, key) = (self.store.clone(), self.key(folder));
        let listed = await_here(async move { store.list_with_delimiter(Some(&key)).await });
        let listed = listed.map_err(self.refused("list", folder))?;
        let name = |key: &Key| key.filename().map(str::to_owned);
        let objects = listed.objects.iter().filter_map(|object| name(&object.location));
        Ok([objects.collect(), listed.common_prefixes.iter().filter_map(name).collect()])
    }

    /// When anything was last put into a folder of it.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn newest(&self, folder: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let mut objects = self.store.list(Some(&self.key(folder)));
        let newest = await_here(async move {
            let mut newest = None;
            while let Some(object) = objects.try_next().await? {
                newest = newest.max(Some(object.last_modified));
            }
            Ok(newest)
        });
        newest.map_err(self.refused("list", folder))
    }

    /// Removes an object, whether or not it is there.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let (store, key) = (self.store.clone(), self.key(name));
        let removed = unless_gone(await_here(async move { store.delete(&key).await }));
        removed.map(drop).map_err(self.refused("remove", name))
    }

    /// Removes all that is in a folder of it.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn remove_all(&self, folder: &str) -> Result<(), Error> {
        let keys = self.store.list(Some(&self.key(folder))).map_ok(|object| object.location);
        let mut removed = self.store.delete_stream(keys.boxed());
        let removed = await_here(async move {
            while let Some(of) = removed.next().await {
                unless_gone(of)?;
            }
            Ok(())
        });
        removed.map_err(self.refused("remove", folder))
    }

    fn key(&self, name: &str) -> Key {
        name.split('/').filter(|part| !part.is_empty()).fold(self.root.clone(), Key::join)
    }

    fn refused(&self, doing: &'static str, name: &str) -> impl FnOnce(Refusal) -> Error {
        let url = self.url(name);
        move |source| Error::Refused { doing, url, source }
    }
}

/// None, if what was asked for is not there, or not as it was.
fn unless_gone<T>(asked: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(Refusal::NotFound { .. } | Refusal::Precondition { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn put(store: &dyn ObjectStore, key: &Key, bytes: Bytes) -> object_store::Result<()> {
    if bytes.len() <= PIECE {
        return store.put(key, bytes.into()).await.map(drop);
    }
    let mut upload = store.put_multipart(key).await?;
    let starts = (0..bytes.len()).step_by(PIECE);
    let pieces = starts.map(|start| bytes.slice(start..bytes.len().min(start + PIECE)));
    let pieces: Vec<_> = pieces.map(|piece| upload.put_part(piece.into())).collect();
    let sent = stream::iter(pieces).buffer_unordered(PIECES).try_collect::<()>().await;
    match sent {
        Ok(()) => upload.complete().await.map(drop),
        Err(error) => {
            // what is left of it nobody sees
            let _ = upload.abort().await;
            Err(error)
        }
    }
}

/// A version of an object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) key: Key,
    pub(crate) size: u64,
    pub(crate) e_tag: Option<String>,
}

impl Object {
    async fn met(store: Arc<dyn ObjectStore>, key: Key) -> object_store::Result<Self> {
        let met = store.head(&key).await?;
        Ok(Self { store, key, size: met.size, e_tag: met.e_tag })
    }

    /// A range of it.
    pub(crate) async fn get(&self, range: Range<u64>) -> object_store::Result<Bytes> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: self.e_tag.clone(),
            ..GetOptions::default()
        };
        self.store.get_opts(&self.key, options).await?.bytes().await
    }

    /// All of it.
    async fn whole(&self) -> object_store::Result<Vec<u8>> {
        let starts = (0..self.size).step_by(PIECE);
        let ranges = starts.map(|start| start..self.size.min(start + PIECE as u64));
        let mut pieces = stream::iter(ranges).map(|range| self.get(range)).buffered(PIECES);
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// Variables of AWS, in lower case.
type Settings = HashMap<String, String>;

/// What talks to servers.
struct Net {
    runtime: Arc<Runtime>,
    /// Of each address the last one, and of which settings it is.
    stores: HashMap<String, (Settings, Arc<dyn ObjectStore>)>,
}

static NET: Own<Mutex<Option<Net>>> = Own::new();

fn with_net<T>(use_it: impl FnOnce(&mut Net) -> T) -> io::Result<T> {
    let mut net = NET.get().lock().unwrap_or_else(PoisonError::into_inner);
    let net = match &mut *net {
        Some(net) => net,
        none => {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            none.insert(Net { runtime: Arc::new(runtime), stores: HashMap::new() })
        }
    };
    Ok(use_it(net))
}

/// Variables that say who asks S3.
const CREDENTIALS: [&str; 4] = [
    "aws_access_key_id",
    "aws_web_identity_token_file",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
];

/// The store of a URL, and the key in it. Settings of S3 come from the variables of AWS; without
/// credentials among them it is asked anonymously, as public archives want it.
pub(crate) fn store_of(url: &Url) -> io::Result<(Arc<dyn ObjectStore>, Key)> {
    let base = &url[..url::Position::BeforePath];
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?.to_ascii_lowercase();
        name.starts_with("aws_").then_some((name, value.into_string().ok()?))
    });
    let mut settings: Settings = variables.collect();
    if !CREDENTIALS.iter().any(|name| settings.contains_key(*name)) {
        settings.entry("aws_skip_signature".to_owned()).or_insert_with(|| "true".to_owned());
    }
    if url.scheme() == "http" {
        settings.insert("allow_http".to_owned(), "true".to_owned());
    }
    let (scheme, key) = ObjectStoreScheme::parse(url).map_err(io::Error::other)?;
    let key = Key::parse(key).map_err(io::Error::other)?;
    let shared = with_net(|net| {
        // whoever corrects a variable, or has new credentials, need not start anew
        if let Some((of, store)) = net.stores.get(base)
            && *of == settings
        {
            return Ok(store.clone());
        }
        let store: Arc<dyn ObjectStore> = match scheme {
            ObjectStoreScheme::Http => web(base, settings.clone())?,
            _ => object_store::parse_url_opts(url, settings.clone())?.0,
        }
        .into();
        net.stores.insert(base.to_owned(), (settings, store.clone()));
        Ok(store)
    })?;
    Ok((shared.map_err(|error: Refusal| io::Error::other(error))?, key))
}

/// A web server, which may not know how large its files are.
fn web(base: &str, settings: Settings) -> object_store::Result<Box<dyn ObjectStore>> {
    let builder = HttpBuilder::new().with_url(base).with_http_connector(Sizing);
    let builder = settings.into_iter().fold(builder, |builder, (key, value)| match key.parse() {
        Ok(key) => builder.with_config(key, value),
        Err(_) => builder,
    });
    Ok(Box::new(builder.build()?))
}

/// Answers with a part of a file whose size the server does not tell, `bytes 5-9/*`, are taken as its end: of
/// ranges that are asked for here the size is known beforehand, or they reach to the end.
#[derive(Debug)]
struct Sizing;

impl HttpConnector for Sizing {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Telling(ReqwestConnector::default().connect(options)?)))
    }
}

#[derive(Debug)]
struct Telling(HttpClient);

impl HttpService for Telling {
    fn call<'this, 'call>(
        &'this self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'call>>
    where
        'this: 'call,
        Self: 'call,
    {
        Box::pin(async move {
            let mut answer = self.0.execute(request).await?;
            let range = answer.headers().get("content-range").and_then(|range| range.to_str().ok());
            if let Some(range) = range.and_then(sized)
                && let Ok(range) = range.parse()
            {
                answer.headers_mut().insert("content-range", range);
            }
            Ok(answer)
        })
    }
}

/// The range of a file of unknown size as that of one that ends there.
fn sized(range: &str) -> Option<String> {
    let part = range.strip_suffix("/*")?;
    let last: u64 = part.rsplit_once('-')?.1.parse().ok()?;
    Some(format!("{part}/{}", last.checked_add(1)?))
}

/// Waits for what goes on elsewhere, whether or not this thread runs other such work.
pub(crate) fn await_here<T: Send + 'static>(
    work: impl Future<Output = object_store::Result<T>> + Send + 'static,
) -> object_store::Result<T> {
    let failed = |error: io::Error| Refusal::Generic { store: "remote", source: Box::new(error) };
    let runtime = with_net(|net| net.runtime.clone()).map_err(failed)?;
    let (tell, told) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // nobody may be waiting any more
        let _ = tell.send(work.await);
    });
    told.recv().unwrap_or_else(|_| Err(failed(io::Error::other("the request was dropped"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn folder() -> Folder {
        let (store, root) = (Arc::new(InMemory::new()), Key::from("a/folder"));
        Folder { url: "s3://bucket/a/folder".to_owned(), store, root }
    }

    #[test]
    fn large_objects_travel_in_pieces() {
        let folder = folder();
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            let bytes: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            folder.put("of/large", bytes.clone()).expect("put");
            assert!(
                folder.get("of/large").expect("got").is_some_and(|got| got == bytes),
                "{length}"
            );
        }
    }

    #[test]
    fn a_folder_tells_what_is_in_it() {
        let folder = folder();
        for name in ["b/1", "b/2", "b/deep/3", "bb/4", "5"] {
            folder.put(name, name.into()).expect("put");
        }
        let names = |of: &str| folder.names(of).expect("listed").map(|names| names.join(" "));
        assert_eq!(names(""), ["5", "b bb"]);
        assert_eq!(names("b"), ["1 2", "deep"]);
        assert_eq!(names("gone"), ["", ""]);
        assert!(folder.newest("b").expect("listed").is_some_and(|newest| newest <= Utc::now()));
        assert_eq!(folder.newest("gone").expect("listed"), None);
        assert!(folder.has("b/2").expect("asked") && !folder.has("b/3").expect("asked"));
        folder.remove("b/2").expect("removed");
        folder.remove("b/2").expect("removed again");
        assert_eq!(folder.get("b/2").expect("asked"), None);
        folder.remove_all("b").expect("removed");
        assert_eq!(names(""), ["5", "bb"]);
        assert_eq!(folder.url("5"), "s3://bucket/a/folder/5");
    }

    #[test]
    fn a_part_of_unknown_size_is_the_end() {
        assert_eq!(sized("bytes 5-9/*").as_deref(), Some("bytes 5-9/10"));
        for range in ["bytes 5-9/10", "bytes */*", "bytes 0-18446744073709551615/*", "/*", ""] {
            assert_eq!(sized(range), None, "{range}");
        }
    }

    #[test]
    fn a_url_that_is_none_is_told() {
        for url in ["", "bucket/folder", "s3://", "gs://bucket/folder", "://"] {
            let told = Folder::new(url).expect_err(url).to_string();
            assert_eq!(
                told,
                format!("{url} is no folder of an object store, as s3://BUCKET/FOLDER is")
            );
        }
    }
}
