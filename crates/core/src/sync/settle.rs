//! What crashes left behind is settled: files between their rename and their commit are registered or
//! taken back, files that another lake has overtaken are taken away, nodes that will not come back
//! are taken out.

use super::difference::Difference;
use super::direct::{Item, Lease, Site, folder_of, register};
use super::{Error, Options, run_blocking, walk};
use crate::VERSION;
use crate::layout::{Lake, SPECTRA};
use crate::publish::{self, RUN, Running};
use crate::quarantine::{self, Record};
use crate::registry::campaign::{Ending, Intent, Retry, StoreIntent};
use crate::registry::{self, End, LakeSession, Registry};
use crate::tile::{FileName, Name};
use crate::withdraw::{Version, set_aside, withdraw};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// What was settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Files registered after all.
    pub adopted: usize,
    /// Files taken back.
    pub withdrawn: usize,
    /// Files that another lake has overtaken.
    pub set_aside: usize,
}

/// Settles what earlier runs of the lake began, and takes away what other lakes have overtaken. No
/// run may be at work in the lake, except the caller's.
///
/// # Errors
/// [`Error`]; it may be called again.
pub async fn settle(site: &Site) -> Result<Settled, Error> {
    let mut session = site.registry.lock_lake(site.lake.identity().lake_id).await?;
    settle_in(site, &mut session).await
}

/// As part of a sync; left alone while a run is at work, which settles by itself.
pub(super) async fn settle_idle(
    session: &mut LakeSession,
    registry: &Registry,
    lake: &Lake,
    options: &Options,
) -> Result<(), Error> {
    let Some(_running) = Running::begin(lake, RUN)? else { return Ok(()) };
    let site = Site {
        registry: registry.clone(),
        lake: lake.clone(),
        node: options.node.clone(),
        catalog: options.catalog.clone(),
        patience: Duration::from_secs(60),
        retry: Retry { tries: 1, pause_s: 0.0 },
    };
    settle_in(&site, session).await?;
    clear_made(registry, lake).await
}

/// Strikes tiles from the lake's quarantine that campaigns have made since, wherever that was. No run
/// may be at work in the lake, except the caller's.
///
/// # Errors
/// [`Error`]; it may be called again.
pub async fn clear_made(registry: &Registry, lake: &Lake) -> Result<(), Error> {
    let folder = lake.clone();
    let mut records = run_blocking(move || quarantine::list(&folder)).await?;
    records.retain(|record| record.product.as_str() == SPECTRA);
    let tile = |record: &Record| Some((record.tile.clone()?, record.at));
    let tiles: Vec<_> = records.iter().filter_map(tile).collect();
    if tiles.is_empty() {
        return Ok(());
    }
    let made = registry.made_tiles(&tiles).await?;
    for record in records {
        if let Some(tile) = record.tile.filter(|tile| made.contains(&tile.to_string())) {
            quarantine::clear(lake, &record.product, &tile, &record.sources)?;
        }
    }
    Ok(())
}

/// Folders of pixels in which a publication is not settled, and the spectra stores beside them.
pub(super) async fn folders_under_way(session: &LakeSession) -> Result<Vec<String>, Error> {
    let intents = session.intents().await?;
    let stores = session.store_intents().await?;
    let folders: BTreeSet<String> = intents.iter().filter_map(|i| folder_of(&i.path)).collect();
    Ok(folders.into_iter().chain(stores.into_iter().map(|store| store.path)).collect())
}

async fn settle_in(site: &Site, session: &mut LakeSession) -> Result<Settled, Error> {
    let mut settled = Settled::default();
    let mut by_token: BTreeMap<i64, Vec<Intent>> = BTreeMap::new();
    for intent in session.intents().await? {
        by_token.entry(intent.token).or_default().push(intent);
    }
    let mut stores: BTreeMap<i64, StoreIntent> =
        session.store_intents().await?.into_iter().map(|store| (store.token, store)).collect();
    if !by_token.is_empty() || !stores.is_empty() {
        let lake = site.lake.clone();
        run_blocking(move || publish::recover(&lake).map(drop)).await?;
        session.see_node(&site.node, None).await?;
    }
    for (token, intents) in by_token {
        // committed, and the answer was lost
        let (known, intents): (Vec<Intent>, _) = intents.into_iter().partition(|i| i.is_registered);
        let ids: Vec<i64> = known.iter().map(|i| i.attempt_id).collect();
        session.delete_intents(&ids).await?;
        let adopted = adopt(site, session, token, &intents).await?;
        settled.adopted += adopted.len();
        if !ids.is_empty() || !adopted.is_empty() {
            // the store came with them
            session.delete_store_intent(token).await?;
            stores.remove(&token);
        }
        let rest: Vec<Intent> =
            intents.into_iter().filter(|i| !adopted.contains(&i.attempt_id)).collect();
        if rest.is_empty() {
            continue;
        }
        settled.withdrawn += rest.len();
        let ids: Vec<i64> = rest.iter().map(|i| i.attempt_id).collect();
        let lake = site.lake.clone();
        run_blocking(move || {
            rest.iter().try_for_each(|i| withdraw(&lake, i.path.as_ref(), i.version, i.publish_id))
        })
        .await?;
        session.delete_intents(&ids).await?;
        let why = "its file was not registered when the process died";
        if let Some(store) = stores.remove(&token) {
            withdraw_store(site, session, store).await?;
        }
        site.registry.give_leases_back(&[token], Ending::Abandoned, why).await?;
    }
    for store in stores.into_values() {
        match store.is_held {
            // made of files that were there before: the next sync registers it
            true => session.delete_store_intent(store.token).await?,
            false => withdraw_store(site, session, store).await?,
        }
    }
    settled.set_aside = take_away(site, session).await?;
    Ok(settled)
}

/// The arrays of tiles that are taken back go with them, and those of their predecessors come back.
async fn withdraw_store(
    site: &Site,
    session: &LakeSession,
    store: StoreIntent,
) -> Result<(), Error> {
    let (lake, token) = (site.lake.clone(), store.token);
    run_blocking(move || withdraw(&lake, store.path.as_ref(), store.version, store.publish_id))
        .await?;
    Ok(session.delete_store_intent(token).await?)
}

/// Registers what is in place, if nobody has taken the lease over; gives the tries that ended.
async fn adopt(
    site: &Site,
    session: &mut LakeSession,
    token: i64,
    intents: &[Intent],
) -> Result<Vec<i64>, Error> {
    let root = site.lake.root();
    let mut items = Vec::new();
    let mut product = None;
    for intent in intents.iter().filter(|intent| intent.is_held) {
        if Version::of(&root.join(&intent.path))? != Some(intent.version) {
            continue;
        }
        let name = Path::new(&intent.path).file_name().and_then(|name| name.to_str());
        let Some(Ok(name)) = name.map(str::parse::<FileName>) else { continue };
        product = intent.path.split('/').next().and_then(|p| Name::new(p).ok());
        items.push(Item {
            attempt_id: intent.attempt_id,
            tile: name.tile,
            outcome: intent.outcome,
            path: Some(intent.path.clone()),
        });
    }
    let Some(product) = product else { return Ok(Vec::new()) };
    let ids = items.iter().map(|item| item.attempt_id).collect();
    let lease = Lease { token, product: &product, may_be_lapsed: true };
    match register(site, session, &lease, items, &[], || Ok(())).await? {
        Some(_) => Ok(ids),
        None => Ok(Vec::new()),
    }
}

/// Takes files away that other lakes have overtaken.
async fn take_away(site: &Site, session: &LakeSession) -> Result<usize, Error> {
    let going = session.set_aside().await?;
    if going.is_empty() {
        return Ok(0);
    }
    let (lake, files) = (site.lake.clone(), going.clone());
    let count = run_blocking(move || -> Result<usize, publish::Error> {
        let mut count = 0;
        for file in &files {
            count += usize::from(set_aside(&lake, file.path.as_ref(), file.version)?);
        }
        Ok(count)
    })
    .await?;
    let paths: Vec<&str> = going.iter().map(|file| file.path.as_str()).collect();
    session.forget_set_aside(&paths).await?;
    Ok(count)
}

/// What is known of a node that will not come back is taken out: its files are missing, and tiles
/// that nobody else has are queued. Gives the numbers of the commits, of files and of tiles; nothing
/// where the node is at work, or never was there.
///
/// # Errors
/// [`registry::Error`]; each lake of the node is one commit.
pub async fn forget(
    registry: &Registry,
    node: &str,
    product: &Name,
) -> Result<Option<(Vec<i64>, i64, u64)>, registry::Error> {
    let Some(lake_id) = registry.mark_forgotten(node).await? else { return Ok(None) };
    let leases = registry.leases_of(lake_id).await?;
    let why = "its node was forgotten";
    registry.give_leases_back(&leases, Ending::Abandoned, why).await?;
    let (mut commits, mut files, mut tiles) = (Vec::new(), 0, 0);
    for (lake_id, root) in registry.lakes_of(node).await? {
        let mut session = registry.lock_lake(lake_id).await?;
        let rows = session.current_files().await?;
        let found = Difference::find(&walk::Listing::default(), rows, None).await?;
        if found.is_empty() {
            continue;
        }
        let commit = session.begin_commit().await?;
        tiles += commit.requeue_lake(product).await?;
        let mut changes = super::planned(&found);
        changes.catalog_removed = super::take_out(&commit, &found).await?;
        files += changes.files_missing;
        commit.keep_outcomes(&[], &[]).await?;
        commits.push(commit.number());
        let pixels: Vec<i32> = found.gone().filter_map(|gone| gone.pixel).collect();
        commit.mark_faults(Some(&pixels[..]).filter(|p| p.len() <= super::FEW_PIXELS)).await?;
        let end = End {
            node,
            root: &root,
            program: &format!("bifrost {VERSION}"),
            action: "forget",
            key: None,
            has_moved: false,
            changes,
            listing_digest: None,
            catalog_digest: None,
        };
        commit.finish(&end).await?;
    }
    Ok(Some((commits, files, tiles)))
}
