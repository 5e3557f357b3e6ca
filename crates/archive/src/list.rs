//! What a bucket holds: its listing, page by page. A page that fails is asked for again; the pages
//! before it stand.

use crate::archive::Fault;
use crate::caller::Caller;
use crate::key::{Kind, Production};
use bifrost_core::registry::ArchiveFile;
use bifrost_core::tile::Name;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

/// A page holds a thousand keys.
const PAGE_MAX: usize = 16 << 20;
/// Listings under way at once; the pace may allow fewer.
const PREFIXES_AT_ONCE: usize = 8;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<Entry>,
    #[serde(default)]
    common_prefixes: Vec<Folder>,
    is_truncated: bool,
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    size: u64,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Folder {
    prefix: String,
}

/// The surveys and programs of a production that a bucket holds, or those of them that are asked
/// for.
///
/// # Errors
/// [`Fault`], once patience is at an end.
pub async fn programs(
    caller: &Caller,
    production: &Production,
    survey: Option<&Name>,
    program: Option<&Name>,
) -> Result<Vec<(Name, Name)>, Fault> {
    let surveys = match survey {
        Some(survey) => vec![survey.clone()],
        None => folders(caller, &production.prefix(None, None)).await?,
    };
    let mut found = Vec::new();
    for survey in surveys {
        let programs = match program {
            Some(program) => vec![program.clone()],
            None => folders(caller, &production.prefix(Some(&survey), None)).await?,
        };
        found.extend(programs.into_iter().map(|program| (survey.clone(), program)));
    }
    Ok(found)
}

/// Files of tiles, of these kinds, with size and version, in no order.
///
/// # Errors
/// [`Fault`], once patience is at an end.
pub async fn files(
    caller: &Caller,
    production: &Production,
    programs: &[(Name, Name)],
    kinds: &[Kind],
) -> Result<Vec<ArchiveFile>, Fault> {
    let listings = stream::iter(programs).map(|(survey, program)| async move {
        let prefix = production.prefix(Some(survey), Some(program));
        let mut files = Vec::new();
        each_page(caller, &prefix, None, |page| {
            files.extend(page.contents.into_iter().filter_map(|entry| {
                let key = caller.archive.key_of_listed(&entry.key)?;
                let (tile, kind) = production.parse(key)?;
                kinds.contains(&kind).then(|| ArchiveFile {
                    tile,
                    kind: kind.as_str().to_owned(),
                    key: key.to_owned(),
                    size_bytes: i64::try_from(entry.size).ok(),
                    etag: entry.etag,
                    sha256: None,
                })
            }));
        })
        .await?;
        Ok::<_, Fault>(files)
    });
    let files: Vec<Vec<_>> = listings.buffer_unordered(PREFIXES_AT_ONCE).try_collect().await?;
    Ok(files.into_iter().flatten().collect())
}

/// Names of the folders in a folder; what is no name is passed over.
async fn folders(caller: &Caller, prefix: &str) -> Result<Vec<Name>, Fault> {
    let mut names = Vec::new();
    each_page(caller, prefix, Some("/"), |page| {
        names.extend(page.common_prefixes.iter().filter_map(|folder| {
            let last = folder.prefix.trim_end_matches('/').rsplit('/').next()?;
            Name::new(last).ok().filter(|name| name.as_str() == last)
        }));
    })
    .await?;
    Ok(names)
}

async fn each_page(
    caller: &Caller,
    prefix: &str,
    delimiter: Option<&str>,
    mut take: impl FnMut(Page),
) -> Result<(), Fault> {
    let mut token: Option<String> = None;
    loop {
        let url = caller.archive.listing(prefix, delimiter, token.as_deref());
        let mut page = caller.small(&url, PAGE_MAX, read).await?;
        let next = page.next_continuation_token.take();
        let is_truncated = page.is_truncated;
        take(page);
        match next {
            Some(next) if is_truncated && token.as_ref() == Some(&next) => {
                return Err(Fault::Nonsense("a listing that goes in circles".to_owned()));
            }
            Some(next) if is_truncated => token = Some(next),
            _ => return Ok(()),
        }
    }
}

fn read(document: &[u8]) -> Result<Page, String> {
    let text = std::str::from_utf8(document).map_err(|e| format!("a listing: {e}"))?;
    if !text.trim_end().ends_with("</ListBucketResult>") {
        return Err("a listing that does not end".to_owned());
    }
    let page: Page = quick_xml::de::from_str(text).map_err(|e| format!("a listing: {e}"))?;
    if page.is_truncated && page.next_continuation_token.is_none() {
        return Err("a listing that goes on, without saying where".to_owned());
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_without_trust() {
        let page = r#"<?xml version="1.0"?><ListBucketResult xmlns="x"><Name>b</Name>
            <IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>
            <Contents><Key>a&amp;b</Key><Size>7</Size><ETag>&quot;e&quot;</ETag><StorageClass>S</StorageClass></Contents>
            <CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>
            <Contents><Key>c</Key><Size>0</Size></Contents></ListBucketResult>"#;
        let read_page = read(page.as_bytes()).expect("a page");
        let entries: Vec<_> = read_page
            .contents
            .iter()
            .map(|e| (e.key.as_str(), e.size, e.etag.as_deref()))
            .collect();
        assert_eq!(entries, [("a&b", 7, Some("\"e\"")), ("c", 0, None)]);
        assert_eq!(read_page.common_prefixes[0].prefix, "p/");
        for end in 0..page.len() {
            assert!(read(&page.as_bytes()[..end]).is_err(), "{}", &page[..end]);
        }
        assert!(read(b"<html></html>").is_err());
        let endless = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
        assert!(read(endless.as_bytes()).is_err());
    }
}
