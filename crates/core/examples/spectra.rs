//! Many spectra in one process, timed one by one: for tests and benchmarks, and as an example of the
//! library.
//!
//! ```text
//! spectra DATABASE_URL [THREADS [own|shared [coadd]]]      TARGETIDs, one a line, on standard input
//! ```
//!
//! Threads take turns at the ids and share one handle. Each look-up goes to the registry, by a
//! runtime of each thread's own, or by one that they share as a Python process would. Printed is one
//! line of JSON: spectra a second, and what the ways of one take, in µs: look-up, reading, both.

use bifrost_core::registry::Registry;
use bifrost_core::spectrum::{Error, Observed, Spectra, Which};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};

/// What one spectrum took, µs.
struct Took {
    found: f64,
    read: f64,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: spectra DATABASE_URL [THREADS [own|shared [coadd]]]";
    let url = asked.first().ok_or(usage)?;
    let threads = asked.get(1).map_or(Ok(1), |n| n.parse::<usize>())?;
    let is_shared = asked.get(2).is_some_and(|word| word == "shared");
    let coadds = asked.get(3).is_some_and(|word| word == "coadd");
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let ids = text.split_whitespace().map(str::parse).collect::<Result<Vec<i64>, _>>()?;
    let shared = Runtime::new()?;
    let spectra = Spectra::new(shared.block_on(Registry::connect(url))?);
    let next = AtomicUsize::new(0);
    let threads = threads.max(1);
    let first = ids.first().copied().unwrap_or_default();
    let warm = |spectra: &Spectra, wait: &dyn Fn(Finding<'_>) -> Found| {
        let found = wait(Box::pin(spectra.find(&[first], &ANY)));
        found.map(drop)
    };
    // the clock runs from when all are connected
    let ready = Barrier::new(threads + 1);
    let work = || -> Result<Vec<Took>, Failure> {
        if is_shared {
            let wait = |work: Finding<'_>| shared.handle().block_on(work);
            let warmed = warm(&spectra, &wait);
            ready.wait();
            warmed?;
            return Ok(drain(&ids, &next, &spectra, coadds, wait)?);
        }
        // connections belong to the runtime that made them
        let own = (|| -> Result<_, Failure> {
            let own = Builder::new_current_thread().enable_all().build()?;
            let spectra = spectra.with_registry(own.block_on(Registry::connect(url))?);
            warm(&spectra, &|work| own.block_on(work))?;
            Ok((own, spectra))
        })();
        ready.wait();
        let (own, spectra) = own?;
        Ok(drain(&ids, &next, &spectra, coadds, |work| own.block_on(work))?)
    };
    let (took, began) = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        ready.wait();
        let began = Instant::now();
        let ended = all.into_iter().map(|one| one.join().map_err(|_| "a thread panicked")?);
        Ok::<_, Failure>((ended.collect::<Result<Vec<_>, Failure>>()?, began))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let took: Vec<Took> = took.into_iter().flatten().collect();
    let of = |time: fn(&Took) -> f64| percentiles(took.iter().map(time).collect());
    let told = json!({
        "spectra": took.len(),
        "per_second": took.len() as f64 / seconds,
        "look_up": of(|took| took.found),
        "reading": of(|took| took.read),
        "both": of(|took| took.found + took.read),
    });
    writeln!(io::stdout(), "{told}")?;
    Ok(())
}

/// Takes ids as long as there are some.
fn drain(
    ids: &[i64],
    next: &AtomicUsize,
    spectra: &Spectra,
    coadds: bool,
    wait: impl Fn(Finding<'_>) -> Found,
) -> Result<Vec<Took>, Error> {
    let mut took = Vec::new();
    while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        let found = wait(Box::pin(spectra.find(std::slice::from_ref(id), &ANY)))?;
        let found_at = began.elapsed();
        for about in found.into_iter().take(1) {
            let mut spectrum = spectra.read(about)?;
            if coadds {
                spectrum = spectrum.coadded()?;
            }
            std::hint::black_box(spectrum);
        }
        let micro = |time: std::time::Duration| time.as_secs_f64() * 1e6;
        took.push(Took { found: micro(found_at), read: micro(began.elapsed() - found_at) });
    }
    Ok(took)
}

const ANY: Which = Which { release: None, survey: None, program: None };
type Found = Result<Vec<Observed>, Error>;
type Finding<'a> = Pin<Box<dyn Future<Output = Found> + Send + 'a>>;

fn percentiles(mut times: Vec<f64>) -> Value {
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let last = times.len().saturating_sub(1);
        times.get((last as f64 * share).round() as usize).copied()
    };
    json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0) })
}
