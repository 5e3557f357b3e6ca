//! Leases, publication and the ledger against a real Postgres: whoever dies or loses a lease when,
//! the registry and the lakes show one file a tile.

use crate::support::Place;
use bifrost_core::layout::Lake;
use bifrost_core::outcome::Outcome;
use bifrost_core::publish::{RUN, Running, Staging};
use bifrost_core::registry::campaign::{AttemptEnd, Disk, Ending, Lease, Member, Retry, Taker};
use bifrost_core::registry::{ArchiveFile, Registry};
use bifrost_core::sync::{self, Bundle, Ended, Settled, Shard, Site, StoreDraft};
use bifrost_core::tile::{Name, Pixel, Tile};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Longer than any test takes.
const LONG_S: f64 = 600.0;
/// Over before it is used.
const NO_TIME_S: f64 = 0.0;
const DISK: Disk = Disk { free_bytes: 1, size_bytes: 2 };

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn tile(pixel: i64) -> Tile {
    let pixel = Pixel::new(pixel).expect("a pixel");
    Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel }
}

fn file(pixel: i64, etag: &str) -> ArchiveFile {
    ArchiveFile {
        tile: tile(pixel),
        kind: "coadd".to_owned(),
        key: format!("coadd-{pixel}"),
        size_bytes: Some(10),
        etag: Some(etag.to_owned()),
        sha256: None,
    }
}

/// A place with an inventory of some pixels, one tile each, and real files of tile 10000 and its pixel.
struct Campaign {
    place: Place,
    registry: Registry,
    parquet: PathBuf,
    store: PathBuf,
}

impl Campaign {
    async fn new(pixels: &[i64]) -> Self {
        let place = Place::new();
        place
            .bifrost([
                "mock",
                "--out",
                "archive",
                "--tiles",
                "1",
                "--objects",
                "5",
                "--program",
                "dark",
            ])
            .expect(0);
        place.bifrost(["convert", "archive", "--arrays", "both"]).expect(0);
        let lake = Lake::open(&place.lake()).expect("a lake");
        let store = place.path("made.h5");
        std::fs::copy(lake.store(tile(10_000).pixel), &store).expect("copied");
        let made = lake.files_of(&name("spectra"), &tile(10_000));
        let parquet = place.path("made.parquet");
        std::fs::copy(&made.expect("listed")[0], &parquet).expect("copied");
        place.bifrost(["db", "migrate"]).expect(0);
        let registry = Registry::connect(&place.database_url()).await.expect("connected");
        let files: Vec<_> = pixels.iter().map(|p| file(*p, "1")).collect();
        registry.take_inventory(&files, "a test", None).await.expect("taken in");
        Self { place, registry, parquet, store }
    }

    fn node(&self, node: &str) -> Node {
        let lake = Lake::open_or_create(&self.place.path(node), node).expect("a lake");
        let site = Site {
            registry: self.registry.clone(),
            lake: lake.clone(),
            node: node.to_owned(),
            catalog: Some(vec!["spectra".to_owned()]),
            patience: Duration::from_secs(60),
            retry: Retry { tries: 3, pause_s: 0.0 },
        };
        let taker = Taker {
            node: node.to_owned(),
            lake_id: lake.identity().lake_id,
            run_id: Uuid::new_v4(),
            release: name("iron"),
            stage: "convert".to_owned(),
            product: name("spectra"),
            only: None,
            lease_s: LONG_S,
        };
        Node { site, taker, parquet: self.parquet.clone(), store: self.store.clone() }
    }

    fn sql(&self, query: &str) -> String {
        let url = self.place.database_url();
        let psql = std::process::Command::new("psql")
            .args(["-AtXq", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", query])
            .output()
            .expect("psql is installed");
        assert!(psql.status.success(), "{query}: {}", String::from_utf8_lossy(&psql.stderr));
        String::from_utf8_lossy(&psql.stdout).trim_end().to_owned()
    }

    /// `node` of each live file of tile 10000, and what became of its tries, in order.
    fn state(&self) -> (String, String) {
        let live =
            "SELECT string_agg(node, ',' ORDER BY node) FROM file_registry WHERE state = 'live'";
        let tries = "SELECT string_agg(ended, ',' ORDER BY attempt_id) FROM attempts";
        assert_eq!(self.sql("SELECT count(*) FROM campaign_intents"), "0");
        (self.sql(live), self.sql(tries))
    }
}

struct Node {
    site: Site,
    taker: Taker,
    parquet: PathBuf,
    store: PathBuf,
}

impl Node {
    /// Takes the lease of pixel 10000, which must be free.
    async fn take(&self, lease_s: f64) -> Lease {
        let pixels = [tile(10_000).pixel];
        let taker = Taker { lease_s, ..self.taker.clone() };
        self.site.registry.make_leases(&pixels).await.expect("made");
        let mut leases = self.site.registry.take_leases(&taker, &pixels).await.expect("asked");
        leases.pop().expect("the lease")
    }

    /// Makes the tile; `rows` goes into its name, and tells versions apart.
    fn make(&self, lease: &Lease, rows: u64) -> Bundle {
        let staging = Staging::open(&self.site.lake).expect("staging");
        let claim = staging.claim(&name("spectra"), &tile(10_000)).expect("a claim");
        std::fs::copy(&self.parquet, claim.draft()).expect("copied");
        let attempt_id = lease.tiles[0].attempt_id;
        let shard = Shard::draft(attempt_id, tile(10_000), claim, rows).expect("a shard");
        Bundle {
            token: lease.token,
            product: name("spectra"),
            shards: vec![shard],
            store: None,
            failed: vec![],
        }
    }

    /// The same, and its pixel's spectra store.
    fn make_both(&self, lease: &Lease, rows: u64) -> Bundle {
        let staging = Staging::open(&self.site.lake).expect("staging");
        let claim = staging.claim_store(tile(10_000).pixel).expect("a claim");
        std::fs::copy(&self.store, claim.draft()).expect("copied");
        let store = Some(StoreDraft::new(claim, rows).expect("a draft"));
        Bundle { store, ..self.make(lease, rows) }
    }

    /// Inode of the spectra store of pixel 10000.
    fn store(&self) -> Option<u64> {
        let about = std::fs::metadata(self.site.lake.store(tile(10_000).pixel)).ok()?;
        Some(about.ino())
    }

    /// The files of tile 10000 that lie in the lake.
    fn files(&self) -> Vec<String> {
        let files = self.site.lake.files_of(&name("spectra"), &tile(10_000)).expect("listed");
        files
            .iter()
            .map(|f| f.file_name().expect("a name").to_string_lossy().into_owned())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_one_nodes_and_its_token_larger_than_any_before() {
    let pixels: Vec<i64> = (0..40).collect();
    let campaign = Campaign::new(&pixels).await;
    let pixels: Vec<Pixel> = pixels.iter().map(|p| tile(*p).pixel).collect();
    campaign.registry.make_leases(&pixels).await.expect("made");
    let (mut last, mut all) = (0, 0);
    for round in 0..3 {
        let takers = (0..6).map(|n| campaign.node(&format!("node{n}")).taker);
        let taking = takers.map(|taker| {
            let (registry, pixels) = (campaign.registry.clone(), pixels.clone());
            let taker = Taker { lease_s: if round < 2 { NO_TIME_S } else { LONG_S }, ..taker };
            tokio::spawn(async move { registry.take_leases(&taker, &pixels[..]).await })
        });
        let mut tokens = BTreeSet::new();
        let mut count = 0;
        for taken in futures::future::join_all(taking).await {
            for lease in taken.expect("it ran").expect("asked") {
                count += 1;
                assert!(tokens.insert(lease.token), "one token twice");
                assert!(lease.token > last, "a token of earlier times");
            }
        }
        all += count;
        last = *tokens.last().expect("some leases");
        if round == 2 {
            assert_eq!(count, 40, "each pixel is exactly one's");
        }
    }
    // every lease that lapsed has left its try closed
    let ended = "SELECT ended, count(*) FROM attempts GROUP BY ended ORDER BY ended";
    assert_eq!(campaign.sql(ended), format!("abandoned|{}\nunder way|40", all - 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_registers_the_file_ends_the_try_and_frees_the_pixel() {
    let campaign = Campaign::new(&[10_000]).await;
    let alpha = campaign.node("alpha");
    let lease = alpha.take(LONG_S).await;
    let ended = sync::publish(&alpha.site, &alpha.make(&lease, 5)).await.expect("published");
    assert!(matches!(&ended, Ended::Published(ends) if ends[0].outcome == Outcome::Converted));
    assert_eq!(campaign.state(), ("alpha".into(), "converted".into()));
    assert_eq!(campaign.sql("SELECT state, failures FROM archive_tiles"), "done|0");
    assert_eq!(campaign.sql("SELECT count(*) FROM campaign_leases WHERE token IS NOT NULL"), "0");
    let rows = campaign.sql("SELECT num_rows FROM file_registry");
    assert_eq!(campaign.sql("SELECT count(*) FROM catalog"), rows);
    // a sync finds the lake as the registry knows it
    let options = sync::Options {
        node: "alpha".into(),
        catalog: alpha.site.catalog.clone(),
        ..Default::default()
    };
    let report = sync::run(&campaign.registry, &alpha.site.lake, &options, Arc::new(|_| {})).await;
    let report = report.expect("synced");
    assert_eq!((report.commit, report.files), (None, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_lease_publishes_nothing() {
    let campaign = Campaign::new(&[10_000]).await;
    let (alpha, beta) = (campaign.node("alpha"), campaign.node("beta"));
    let lost = alpha.take(NO_TIME_S).await;
    let bundle = alpha.make(&lost, 5);
    assert_eq!(sync::publish(&alpha.site, &bundle).await.expect("asked"), Ended::Fenced, "lapsed");
    let lease = beta.take(LONG_S).await;
    assert_eq!(sync::publish(&alpha.site, &bundle).await.expect("asked"), Ended::Fenced, "taken");
    assert!(alpha.files().is_empty());
    sync::publish(&beta.site, &beta.make(&lease, 5)).await.expect("published");
    let settled = sync::settle(&alpha.site).await.expect("settled");
    assert_eq!(settled, Settled { withdrawn: 1, ..Settled::default() });
    assert_eq!(campaign.state(), ("beta".into(), "abandoned,converted".into()));
    assert!(alpha.files().is_empty() && beta.files().len() == 1);
}

/// Lets publications die after the rename and before the commit.
const DIE: &str = "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN RAISE EXCEPTION 'the power failed'; END $$; \
    CREATE TRIGGER die BEFORE DELETE ON campaign_intents FOR EACH ROW EXECUTE FUNCTION die()";
const LAPSE: &str =
    "UPDATE campaign_leases SET expires_at = clock_timestamp() - interval '1 s', lease_s = 0";
const LIVE: &str = "DROP TRIGGER die ON campaign_intents; DROP FUNCTION die";

#[tokio::test(flavor = "multi_thread")]
async fn what_died_between_rename_and_commit_is_adopted_while_the_lease_holds() {
    // a first file, or one in place of an earlier one: of the same name, or of another
    for (before, rows) in [(None, 5), (Some(5), 5), (Some(5), 6)] {
        let campaign = Campaign::new(&[10_000]).await;
        let alpha = campaign.node("alpha");
        if let Some(rows) = before {
            let lease = alpha.take(LONG_S).await;
            sync::publish(&alpha.site, &alpha.make(&lease, rows)).await.expect("published");
            campaign
                .registry
                .take_inventory(&[file(10_000, "2")], "a test", None)
                .await
                .expect("queued");
        }
        // lapsed, but nobody has taken it over
        let lease = alpha.take(LONG_S).await;
        campaign.sql(DIE);
        let bundle = alpha.make(&lease, rows);
        sync::publish(&alpha.site, &bundle).await.expect_err("it dies");
        drop(bundle);
        campaign.sql(LIVE);
        assert_eq!(alpha.files().len(), 1, "it is in place");
        let version = "SELECT inode FROM file_registry WHERE state = 'live'";
        let known = campaign.sql(version);
        campaign.sql(LAPSE);
        // a sync of the lake settles first, as the next run does
        alpha_sync(&campaign, &alpha).await;
        let tries = if before.is_some() { "converted,converted" } else { "converted" };
        assert_eq!(campaign.state(), ("alpha".into(), tries.into()));
        assert_ne!(campaign.sql(version), known, "the new file is the live one");
        assert_eq!(campaign.sql("SELECT state FROM archive_tiles"), "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_between_rename_and_commit_is_taken_back_if_the_lease_is_lost() {
    for (before, rows) in [(None, 5), (Some(5), 5), (Some(5), 6)] {
        let campaign = Campaign::new(&[10_000]).await;
        let (alpha, beta) = (campaign.node("alpha"), campaign.node("beta"));
        if let Some(rows) = before {
            let lease = alpha.take(LONG_S).await;
            sync::publish(&alpha.site, &alpha.make(&lease, rows)).await.expect("published");
            campaign
                .registry
                .take_inventory(&[file(10_000, "2")], "a test", None)
                .await
                .expect("queued");
        }
        let lease = alpha.take(LONG_S).await;
        campaign.sql(DIE);
        sync::publish(&alpha.site, &alpha.make(&lease, rows)).await.expect_err("it dies");
        campaign.sql(LIVE);
        campaign.sql(LAPSE);
        let lease = beta.take(LONG_S).await;
        sync::publish(&beta.site, &beta.make(&lease, 5)).await.expect("published");
        // also alpha's earlier file is beta's to replace
        assert_eq!(campaign.sql("SELECT string_agg(node, ',') FROM files"), "beta");
        alpha_sync(&campaign, &alpha).await;
        let tries =
            if before.is_some() { "converted,abandoned,converted" } else { "abandoned,converted" };
        assert_eq!(campaign.state(), ("beta".into(), tries.into()));
        assert!(alpha.files().is_empty(), "{:?}", alpha.files());
        assert_eq!(beta.files().len(), 1);
        assert_eq!(campaign.sql("SELECT count(*) FROM campaign_set_aside"), "0");
        let rows = campaign.sql("SELECT sum(num_rows) FROM files");
        assert_eq!(campaign.sql("SELECT count(*) FROM catalog"), rows);
    }
}

/// Where files of a product are live, and whether intents of stores are left.
const STORES: &str = "SELECT (SELECT string_agg(product || ' ' || node, ',' ORDER BY product) FROM file_registry \
    WHERE state = 'live'), (SELECT count(*) FROM campaign_store_intents), (SELECT count(*) FROM campaign_set_aside)";

#[tokio::test(flavor = "multi_thread")]
async fn a_spectra_store_is_adopted_with_its_tiles() {
    let campaign = Campaign::new(&[10_000]).await;
    let alpha = campaign.node("alpha");
    let lease = alpha.take(LONG_S).await;
    campaign.sql(DIE);
    sync::publish(&alpha.site, &alpha.make_both(&lease, 5)).await.expect_err("it dies");
    campaign.sql(LIVE);
    // a sync beside the run leaves both alone
    let running = Running::begin(&alpha.site.lake, RUN).expect("asked").expect("alone");
    alpha_sync(&campaign, &alpha).await;
    assert_eq!(campaign.sql(STORES), "|1|0");
    drop(running);
    campaign.sql(LAPSE);
    alpha_sync(&campaign, &alpha).await;
    assert_eq!(campaign.sql(STORES), "spectra alpha,spectra-h5 alpha|0|0");
    assert_eq!(campaign.sql("SELECT count(DISTINCT added_commit) FROM file_registry"), "1");
    assert!(alpha.store().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spectra_store_is_taken_back_with_its_tiles() {
    for has_earlier in [false, true] {
        let campaign = Campaign::new(&[10_000]).await;
        let (alpha, beta) = (campaign.node("alpha"), campaign.node("beta"));
        if has_earlier {
            let lease = alpha.take(LONG_S).await;
            sync::publish(&alpha.site, &alpha.make_both(&lease, 5)).await.expect("published");
            let changed = [file(10_000, "2")];
            campaign.registry.take_inventory(&changed, "a test", None).await.expect("queued");
        }
        let (earlier, tiles) = (alpha.store(), alpha.files());
        let lease = alpha.take(LONG_S).await;
        campaign.sql(DIE);
        sync::publish(&alpha.site, &alpha.make_both(&lease, 6)).await.expect_err("it dies");
        campaign.sql(LIVE);
        assert!(alpha.store().is_some() && alpha.store() != earlier, "it is in place");
        campaign.sql(LAPSE);
        // others take over: what was there before comes back, arrays and all
        let lease = beta.take(LONG_S).await;
        let settled = sync::settle(&alpha.site).await.expect("settled");
        assert_eq!(settled, Settled { withdrawn: 1, ..Settled::default() });
        assert_eq!((alpha.store(), alpha.files()), (earlier, tiles));
        alpha_sync(&campaign, &alpha).await;
        let live = if has_earlier { "spectra alpha,spectra-h5 alpha" } else { "" };
        assert_eq!(campaign.sql(STORES), format!("{live}|0|0"));
        // and goes, once they have made the tile
        sync::publish(&beta.site, &beta.make_both(&lease, 6)).await.expect("published");
        alpha_sync(&campaign, &alpha).await;
        assert_eq!(campaign.sql(STORES), "spectra beta,spectra-h5 beta|0|0");
        assert_eq!((alpha.store(), alpha.files().len()), (None, 0));
        assert!(beta.store().is_some() && beta.files().len() == 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_stands() {
    let campaign = Campaign::new(&[10_000]).await;
    let alpha = campaign.node("alpha");
    let lease = alpha.take(LONG_S).await;
    let bundle = alpha.make(&lease, 5);
    sync::publish(&alpha.site, &bundle).await.expect("published");
    // as it looks to a run that never heard of it
    assert_eq!(sync::publish(&alpha.site, &bundle).await.expect("asked"), Ended::Fenced);
    let id = lease.tiles[0].attempt_id;
    let again = format!(
        "INSERT INTO campaign_intents SELECT {id}, gen_random_uuid(), lake_id, {}, size_bytes, \
         mtime_ns, inode, path, 'converted' FROM file_registry",
        lease.token
    );
    campaign.sql(&again);
    sync::settle(&alpha.site).await.expect("settled");
    assert_eq!(campaign.state(), ("alpha".into(), "converted".into()));
    assert_eq!(alpha.files().len(), 1, "what is registered is not taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_leaves_a_publication_under_way_alone() {
    let campaign = Campaign::new(&[10_000]).await;
    let alpha = campaign.node("alpha");
    let lease = alpha.take(LONG_S).await;
    campaign.sql(DIE);
    sync::publish(&alpha.site, &alpha.make(&lease, 5)).await.expect_err("it dies");
    campaign.sql(LIVE);
    // a run is at work: it settles by itself
    let running = Running::begin(&alpha.site.lake, RUN).expect("asked").expect("alone");
    alpha_sync(&campaign, &alpha).await;
    assert_eq!(campaign.sql("SELECT count(*) FROM file_registry"), "0");
    assert_eq!(
        (alpha.files().len(), campaign.sql("SELECT count(*) FROM campaign_intents")),
        (1, "1".into())
    );
    drop(running);
    alpha_sync(&campaign, &alpha).await;
    assert_eq!(campaign.state(), ("alpha".into(), "converted".into()));
}

async fn alpha_sync(campaign: &Campaign, alpha: &Node) {
    let options = sync::Options {
        node: alpha.site.node.clone(),
        catalog: alpha.site.catalog.clone(),
        ..sync::Options::default()
    };
    let synced = sync::run(&campaign.registry, &alpha.site.lake, &options, Arc::new(|_| {})).await;
    synced.expect("synced");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_that_may_pass_are_tried_again_so_often_and_a_change_in_the_archive_begins_anew() {
    let campaign = Campaign::new(&[10_000]).await;
    let alpha = campaign.node("alpha");
    let fail = async |outcome| {
        let lease = alpha.take(LONG_S).await;
        let attempt_id = lease.tiles[0].attempt_id;
        let ends = [AttemptEnd { attempt_id, outcome, error: Some("why".into()) }];
        let retry = alpha.site.retry;
        assert!(campaign.registry.end_attempts_of(lease.token, &ends, retry).await.expect("ended"));
        campaign.sql("SELECT state, failures, outcome FROM archive_tiles")
    };
    assert_eq!(fail(Outcome::ArchiveError).await, "queued|1|archive_error");
    assert_eq!(fail(Outcome::Disk).await, "queued|2|disk");
    assert_eq!(fail(Outcome::Internal).await, "failed|3|internal");
    let ids = campaign.registry.failed_tiles(&name("iron")).await.expect("listed");
    assert_eq!(campaign.registry.requeue_tiles(&ids).await.expect("queued"), 1);
    assert_eq!(fail(Outcome::Corrupt).await, "failed|1|corrupt", "that does not pass");
    campaign.registry.take_inventory(&[file(10_000, "2")], "a test", None).await.expect("taken in");
    assert_eq!(campaign.sql("SELECT state, failures FROM archive_tiles"), "queued|0");
    // it changes again while it is made: what is made is published, and made again
    let lease = alpha.take(LONG_S).await;
    campaign.registry.take_inventory(&[file(10_000, "3")], "a test", None).await.expect("taken in");
    sync::publish(&alpha.site, &alpha.make(&lease, 5)).await.expect("published");
    assert_eq!(campaign.sql("SELECT state FROM archive_tiles"), "queued");
    assert_eq!(campaign.sql("SELECT tile, outcome FROM failures"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_renewed_and_given_back_and_the_lost_are_named() {
    let campaign = Campaign::new(&[1, 2]).await;
    let alpha = campaign.node("alpha");
    let pixels = [tile(1).pixel, tile(2).pixel];
    campaign.registry.make_leases(&pixels).await.expect("made");
    let leases = campaign.registry.take_leases(&alpha.taker, &pixels).await.expect("taken");
    let tokens: Vec<i64> = leases.iter().map(|lease| lease.token).collect();
    let still = campaign.registry.renew_leases(&tokens, LONG_S).await.expect("renewed");
    assert_eq!(still.len(), 2);
    let give = campaign.registry.give_leases_back(&tokens[..1], Ending::Released, "told to stop");
    give.await.expect("given back");
    let still = campaign.registry.renew_leases(&tokens, LONG_S).await.expect("renewed");
    assert_eq!(still, tokens[1..]);
    let ended = "SELECT string_agg(ended, ',' ORDER BY token) FROM attempts";
    assert_eq!(campaign.sql(ended), "released,under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_forgotten_loses_its_files_and_its_tiles_are_queued() {
    let campaign = Campaign::new(&[10_000]).await;
    let (alpha, beta) = (campaign.node("alpha"), campaign.node("beta"));
    let member = Member {
        node: "alpha".into(),
        lake_id: alpha.taker.lake_id,
        run_id: alpha.taker.run_id,
        release: name("iron"),
        weight: 1.0,
        takes_all: true,
        lease_s: LONG_S,
    };
    assert!(campaign.registry.join_campaign(&member, DISK).await.expect("asked"));
    let other = Member { lake_id: beta.taker.lake_id, run_id: Uuid::new_v4(), ..member.clone() };
    assert!(
        !campaign.registry.join_campaign(&other, DISK).await.expect("asked"),
        "the name is taken"
    );
    let lease = alpha.take(LONG_S).await;
    sync::publish(&alpha.site, &alpha.make(&lease, 5)).await.expect("published");
    campaign.place.bifrost(["nodes", "forget", "alpha"]).expect(2);
    campaign.registry.leave_campaign(member.run_id).await.expect("left");
    // a beat that was on its way
    campaign.registry.beat(member.run_id, DISK, LONG_S).await.expect("beaten");
    assert_eq!(campaign.sql("SELECT state FROM campaign_nodes"), "left");
    let told = campaign.place.json(["nodes", "forget", "alpha"]);
    assert_eq!((&told["files_missing"], &told["tiles_queued_again"]), (&1.into(), &1.into()));
    assert_eq!(campaign.sql("SELECT state FROM file_registry"), "missing");
    assert_eq!(campaign.sql("SELECT count(*) FROM catalog"), "0");
    // another makes the tile; the node comes back after all, and takes its file away
    let lease = beta.take(LONG_S).await;
    sync::publish(&beta.site, &beta.make(&lease, 5)).await.expect("published");
    assert_eq!(alpha.files().len(), 1);
    alpha_sync(&campaign, &alpha).await;
    assert_eq!(campaign.state(), ("beta".into(), "converted,converted".into()));
    assert!(alpha.files().is_empty());
}
