//! Files on their way into the registry: footers are read in parallel and streamed into COPY.
//!
//! One task reads and decodes on all cores, the other encodes and sends; a bounded channel lies
//! between them, so that memory does not grow with the number of files.

use super::catalog::Candidate;
use super::difference::{Fresh, Registered};
use super::inspect::{Found, Inspected, Inspector, Making};
use super::walk::Seen;
use super::{Progress, Quarantined, Step, run_blocking};
use crate::footer::{Schema, Schemas};
use crate::metadata::{self, Content, Parent};
use crate::registry::{Commit, Error, FileRow, ReadRow, Rows, Table};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Files that are read side by side before the first are sent: few, so that the server need not wait.
const FIRST_FILES: usize = 128;
/// So many at most: each time twice as many.
const CHUNK_FILES: usize = 1024;

/// What the registry is told about files, apart from the files.
pub(super) struct Registrar<'a> {
    pub(super) commit: &'a Commit<'a>,
    pub(super) lake_id: Uuid,
    pub(super) node: &'a str,
    pub(super) root: PathBuf,
    /// Products whose rows belong into the catalog.
    pub(super) products: Option<&'a [String]>,
    pub(super) progress: &'a Progress,
    schema_ids: HashMap<String, i32>,
    making_ids: HashMap<blake3::Hash, i32>,
    pub(super) registered: Tally,
}

/// What came of registering files.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) rows: i64,
    pub(super) bytes: i64,
    pub(super) quarantined: Vec<Quarantined>,
    /// Files that changed while they were read.
    pub(super) unsettled: Vec<String>,
    pub(super) candidates: Vec<Candidate>,
    /// Pixels of tiles that came.
    pub(super) pixels: Vec<i32>,
}

impl<'a> Registrar<'a> {
    pub(super) fn new(
        commit: &'a Commit<'a>,
        lake_id: Uuid,
        node: &'a str,
        root: PathBuf,
        products: Option<&'a [String]>,
        progress: &'a Progress,
    ) -> Self {
        Self {
            commit,
            lake_id,
            node,
            root,
            products,
            progress,
            schema_ids: HashMap::new(),
            making_ids: HashMap::new(),
            registered: Tally::default(),
        }
    }

    /// Registers files that are new, or new versions.
    pub(super) async fn register(&mut self, fresh: Vec<Fresh>) -> Result<(), Error> {
        let total = fresh.len() as u64;
        let mut next_id = self.commit.reserve_file_ids(total as i64).await?;
        let (reading, mut chunks) =
            inspect_all(self.root.clone(), fresh.into_iter().map(|f| f.seen).collect());
        let mut done = 0;
        while let Some(chunk) = chunks.recv().await {
            done += chunk.len() as u64;
            self.send(chunk, &mut next_id).await?;
            (self.progress)(Step::Files { done, total });
        }
        reading.await;
        Ok(())
    }

    /// Tells the registry about files that were looked at.
    pub(super) async fn send(
        &mut self,
        chunk: Vec<(Seen, Inspected)>,
        next_id: &mut i64,
    ) -> Result<(), Error> {
        let (mut files, mut bounds) = (Rows::default(), Rows::default());
        let (mut parents, mut groups) = (Rows::default(), Rows::default());
        for (seen, inspected) in chunk {
            match inspected {
                Inspected::Read(found) => {
                    self.put(&mut files, &seen, &found, *next_id).await?;
                    bounds.bounds(*next_id, &found.footer);
                    parents_of(&found).iter().for_each(|parent| parents.parent(*next_id, parent));
                    found.groups.iter().for_each(|group| groups.group(*next_id, group));
                    self.note(seen, &found, *next_id, true);
                }
                Inspected::Unreadable(reason) => {
                    self.put_unreadable(&mut files, &seen, &reason, *next_id);
                    self.registered.quarantined.push(Quarantined { path: seen.path, reason });
                }
                Inspected::Unsettled => {
                    self.registered.unsettled.push(seen.path);
                    continue;
                }
            }
            *next_id += 1;
        }
        self.commit.copy(Table::Files, files).await?;
        self.commit.copy(Table::Bounds, bounds).await?;
        self.commit.copy(Table::Parents, parents).await?;
        self.commit.copy(Table::Groups, groups).await?;
        Ok(())
    }

    /// Looks again at registered files whose rows the catalog lacks.
    pub(super) async fn look_again(&mut self, backlog: Vec<Registered>) -> Result<(), Error> {
        let ids: HashMap<String, i64> =
            backlog.iter().map(|r| (r.seen.path.clone(), r.file_id)).collect();
        let (reading, mut chunks) =
            inspect_all(self.root.clone(), backlog.into_iter().map(|r| r.seen).collect());
        while let Some(chunk) = chunks.recv().await {
            for (seen, inspected) in chunk {
                match (inspected, ids.get(&seen.path)) {
                    (Inspected::Read(found), Some(&file_id)) => {
                        self.note(seen, &found, file_id, false);
                    }
                    (Inspected::Unreadable(reason), Some(&file_id)) => {
                        self.commit.quarantine(file_id, &reason).await?;
                        self.registered.quarantined.push(Quarantined { path: seen.path, reason });
                    }
                    _ => self.registered.unsettled.push(seen.path),
                }
            }
        }
        reading.await;
        Ok(())
    }

    fn is_wanted(&self, product: &str) -> bool {
        self.products.is_some_and(|wanted| wanted.iter().any(|p| p == product))
    }

    fn note(&mut self, seen: Seen, found: &Found, file_id: i64, is_fresh: bool) {
        if is_fresh {
            self.registered.rows += found.footer.bounds.num_rows;
            self.registered.bytes += seen.size_bytes;
            self.registered.pixels.extend(found.tile.as_ref().map(|t| t.pixel.get() as i32));
        }
        if self.is_wanted(seen.product()) {
            self.registered.candidates.push(Candidate {
                file_id,
                num_rows: found.footer.bounds.num_rows,
                tile: found.tile.clone(),
                is_one_tile: found.is_one_tile(),
                is_fresh,
                seen,
            });
        }
    }

    async fn put(
        &mut self,
        rows: &mut Rows,
        seen: &Seen,
        found: &Found,
        file_id: i64,
    ) -> Result<(), Error> {
        let footer = &found.footer;
        let schema_id = self.schema_id(&footer.schema).await?;
        let making_id = self.making_id(&found.making).await?;
        let content = footer.value(metadata::CONTENT).filter(|_| footer.is_ours());
        let promoted = found.promoted();
        let off_brick = footer.value(metadata::OFF_BRICK).filter(|_| footer.is_ours());
        let content = ReadRow {
            num_rows: footer.bounds.num_rows,
            num_row_groups: i32::try_from(footer.num_row_groups).unwrap_or(i32::MAX),
            schema_id,
            making_id,
            in_catalog: self.is_wanted(seen.product()),
            is_ours: footer.is_ours(),
            z: found.floats("z"),
            deltachi2: found.floats("deltachi2"),
            zwarn: found.ints("zwarn"),
            target_id: found.ints("target_id"),
            ra: found.floats("ra"),
            dec: found.floats("dec"),
            spectype: found.texts("spectype"),
            footer_hash: &footer.hash,
            content: content.filter(|c| c.parse::<Content>().is_ok()),
            order_hash: found.order_hash.as_deref(),
            promoted: promoted.as_deref(),
            off_brick: off_brick.and_then(|rows| rows.parse().ok()),
        };
        rows.file(&self.file(seen, Some(found), file_id, Ok(content)));
        Ok(())
    }

    fn put_unreadable(&self, rows: &mut Rows, seen: &Seen, reason: &str, file_id: i64) {
        rows.file(&self.file(seen, None, file_id, Err(reason)));
    }

    fn file<'r>(
        &'r self,
        seen: &'r Seen,
        found: Option<&'r Found>,
        file_id: i64,
        content: Result<ReadRow<'r>, &'r str>,
    ) -> FileRow<'r> {
        FileRow {
            file_id,
            lake_id: self.lake_id,
            added_commit: self.commit.number(),
            size_bytes: seen.size_bytes,
            mtime_ns: seen.mtime_ns,
            inode: seen.inode,
            node: self.node,
            product: seen.product(),
            path: &seen.path,
            tile: found.and_then(|f| f.tile.as_ref()),
            sky: found.and_then(|f| f.sky.clone()),
            content,
        }
    }

    async fn schema_id(&mut self, schema: &Schema) -> Result<i32, Error> {
        if let Some(id) = self.schema_ids.get(schema.fingerprint()) {
            return Ok(*id);
        }
        let columns = serde_json::json!(schema.columns());
        let id = self.commit.schema_id(schema.fingerprint(), &columns).await?;
        self.schema_ids.insert(schema.fingerprint().to_owned(), id);
        Ok(id)
    }

    async fn making_id(&mut self, making: &Making) -> Result<i32, Error> {
        if let Some(id) = self.making_ids.get(&making.fingerprint) {
            return Ok(*id);
        }
        let document = serde_json::from_str(&making.document).unwrap_or_default();
        let id = self.commit.making_id(&making.fingerprint.to_hex(), &document).await?;
        self.making_ids.insert(making.fingerprint, id);
        Ok(id)
    }
}

/// What a file was made of: one of a product, and nothing that Postgres refuses.
fn parents_of(found: &Found) -> Vec<&Parent> {
    let mut parents: Vec<&Parent> = Vec::new();
    for parent in &found.parents {
        let texts = [&parent.name, &parent.content, &parent.order];
        let is_new = parents.iter().all(|known| known.product != parent.product);
        if is_new && texts.iter().all(|text| !text.contains('\0')) {
            parents.push(parent);
        }
    }
    parents
}

/// Reads the footers of files in parallel, in order.
fn inspect_all(
    root: PathBuf,
    seen: Vec<Seen>,
) -> (impl Future<Output = ()>, mpsc::Receiver<Vec<(Seen, Inspected)>>) {
    let (sender, receiver) = mpsc::channel(2);
    let reading = run_blocking(move || {
        let schemas = Schemas::default();
        let inspector = || Inspector::new(&root, &schemas);
        let look = |inspector: &mut Inspector<'_>, seen: Seen| {
            let inspected = inspector.inspect(&seen);
            (seen, inspected)
        };
        let (mut seen, mut size) = (seen.into_iter(), FIRST_FILES);
        loop {
            let chunk: Vec<Seen> = seen.by_ref().take(size).collect();
            if chunk.is_empty() {
                return;
            }
            let inspected = chunk.into_par_iter().map_init(inspector, look).collect();
            // the other end went away: the sync has failed, and says so
            if sender.blocking_send(inspected).is_err() {
                return;
            }
            size = CHUNK_FILES.min(2 * size);
        }
    });
    (reading, receiver)
}
