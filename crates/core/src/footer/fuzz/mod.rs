//! Footers that nobody wrote: real ones, changed in their structure and in their bytes, over and over.
//!
//! A change that leads to an answer not met before is kept and changed further. Each decoding must
//! end without a panic, hold no more memory than a multiple of the footer, and give bounds that
//! enclose those that the parquet crate finds, where that crate takes the footer.
//!
//! `BIFROST_SOAK=1` goes on for an hour, from a new beginning each time; `BIFROST_FUZZ_SECONDS` says how
//! long instead.

mod memory;
mod reference;
mod tree;

use super::tests::{batch, written};
use super::{Error, Footer, Schemas, decode};
use crate::guard::{guard, keep_quiet};
use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::Field;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Inputs of a short run.
const INPUTS: u64 = 3000;
/// Kept for further change, at most.
const KEPT_MAX: usize = 4000;
/// Longest input, in bytes.
const INPUT_BYTES: usize = 64 << 10;
/// The most that decoding may hold at once, in multiples of the footer, beside what it holds of the
/// smallest.
const MEMORY_FACTOR: usize = 256;
const MEMORY_BASE: usize = 1 << 20;
/// Time that decoding may take of the processor: a hundred times what it takes.
const CPU_TIME: Duration = Duration::from_secs(10);

fn seconds() -> Option<u64> {
    let stated = std::env::var("BIFROST_FUZZ_SECONDS").ok();
    let stated = stated.map(|text| text.parse().expect("a number of seconds"));
    stated.or_else(|| std::env::var_os("BIFROST_SOAK").map(|_| 3600))
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let first = text.split_whitespace().next().expect("a number");
    Duration::from_nanos(first.parse().expect("nanoseconds"))
}

/// The footer of a file's bytes, and how many stand before it.
fn footer_of(file: &tempfile::NamedTempFile) -> (Vec<u8>, u64) {
    let bytes = std::fs::read(file.path()).expect("bytes");
    let (body, trailer) = bytes.split_at(bytes.len() - 8);
    let length = u32::from_le_bytes(trailer[..4].try_into().expect("four bytes"));
    let start = body.len() - length as usize;
    (body[start..].to_vec(), start as u64)
}

/// Many columns, groups within groups, few statistics.
fn others() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(9)]));
    let mut inner: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    for _ in 0..6 {
        let field = Arc::new(Field::new("in", inner.data_type().clone(), false));
        inner = Arc::new(StructArray::from(vec![(field, inner)]));
    }
    let names: ArrayRef = Arc::new(StringArray::from(vec!["ü".repeat(90).as_str(), "", "z"]));
    let mut columns = vec![("deep".to_owned(), inner), ("name".to_owned(), names)];
    columns.extend((0..30).map(|n| (format!("column_{n}"), ids.clone())));
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn seeds() -> Vec<Vec<u8>> {
    let properties = || WriterProperties::builder().set_max_row_group_row_count(Some(2));
    let untold = || properties().set_statistics_enabled(EnabledStatistics::None).build();
    let pages = || properties().set_statistics_enabled(EnabledStatistics::Page).build();
    let mut seeds = Vec::new();
    for batch in [batch(), others(), batch().slice(0, 0)] {
        for properties in [WriterProperties::default(), pages(), untold()] {
            seeds.push(footer_of(&written(&batch, properties)).0);
        }
    }
    seeds
}

/// What is alike of two answers: the kind of refusal, or which bounds are known.
fn likeness(answer: &Result<Footer, Error>) -> String {
    let size = |n: usize| usize::BITS - n.leading_zeros();
    match answer {
        Err(error) => error.to_string(),
        Ok(footer) => {
            let bounds = &footer.bounds;
            let ints = bounds.ints.iter().filter(|e| e.min.is_some()).count();
            let floats = bounds.floats.iter().filter(|e| e.max.is_some()).count();
            let texts = bounds.texts.iter().filter(|e| e.is_exact).count();
            let nulls = bounds.null_count.iter().flatten().count();
            let columns = footer.schema.columns();
            let kinds: HashSet<_> = columns.iter().map(|c| c.data_type.as_str()).collect();
            format!(
                "{} {} {} {ints} {floats} {texts} {} {}",
                size(footer.num_row_groups),
                size(columns.len()),
                kinds.len(),
                size(nulls),
                footer.key_values.len()
            )
        }
    }
}

/// Decodes, and holds the answer against everything that is demanded of it.
fn check(bytes: &[u8], schemas: &Schemas) -> String {
    let started = cpu_time();
    // as of a file so long that every offset lies in it: offsets have tests of their own
    let decode = || guard(|| decode::footer(bytes, 1 << 40, schemas));
    let (answer, peak) = memory::peak_of(decode);
    let took = cpu_time().saturating_sub(started);
    let answer = answer.unwrap_or_else(|fault| panic!("{fault}: {bytes:?}"));
    let most = MEMORY_BASE + MEMORY_FACTOR * bytes.len();
    assert!(peak <= most, "{peak} bytes held for a footer of {}: {bytes:?}", bytes.len());
    assert!(took < CPU_TIME, "{took:?} for a footer of {}: {bytes:?}", bytes.len());
    let is_plain = || tree::parse(bytes).is_some_and(|tree| !tree.is_ambiguous());
    if let Ok(footer) = &answer
        && is_plain()
    {
        reference::compare(bytes, footer);
    }
    likeness(&answer)
}

#[test]
#[expect(clippy::print_stderr, reason = "whoever waited an hour wants to know for what")]
fn footers_that_nobody_wrote_do_no_harm() {
    keep_quiet();
    let limit = seconds();
    let seed = if limit.is_some() { rand::random() } else { 20 };
    let (started, mut rng) = (Instant::now(), ChaCha8Rng::seed_from_u64(seed));
    let mut schemas = Schemas::default();
    let mut met = HashSet::new();
    let mut kept = seeds();
    for bytes in &kept {
        assert!(tree::parse(bytes).is_some_and(|t| {
            let mut b = Vec::new();
            t.encode(&mut b);
            b == *bytes
        }));
        met.insert(check(bytes, &schemas));
    }
    let of_seeds = kept.len();
    let (mut inputs, mut read) = (0u64, 0u64);
    while limit.map_or(inputs < INPUTS, |limit| started.elapsed().as_secs() < limit) {
        let mut bytes = kept[rng.random_range(0..kept.len())].clone();
        if rng.random_bool(0.7)
            && let Some(mut tree) = tree::parse(&bytes)
        {
            (0..rng.random_range(1..4)).for_each(|_| tree.change(&mut rng));
            bytes.clear();
            tree.encode(&mut bytes);
        }
        if rng.random_bool(0.4) {
            (0..rng.random_range(1..4)).for_each(|_| tree::change_bytes(&mut bytes, &mut rng));
        }
        bytes.truncate(INPUT_BYTES);
        // schemas pile up: a run has few, a fuzzer has one of every input
        if inputs % 500 == 0 {
            schemas = Schemas::default();
        }
        let alike = check(&bytes, &schemas);
        inputs += 1;
        read += u64::from(alike.starts_with(|c: char| c.is_ascii_digit()));
        if met.insert(alike) {
            if kept.len() >= KEPT_MAX {
                kept.swap_remove(rng.random_range(of_seeds..KEPT_MAX));
            }
            kept.push(bytes);
        }
    }
    eprintln!("seed {seed}: {inputs} inputs, {read} taken, {} kinds of answers", met.len());
    assert!(read > inputs / 50 && met.len() > 30, "{inputs} inputs, {read} taken, {met:?}");
}
