//! Drafts that an interrupted command takes back, since their names were never theirs.

use crate::exit;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// How often a draft is removed that is written again at that moment.
const TRIES: usize = 10;

static DRAFTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file or folder that goes if Ctrl-C or SIGTERM ends the program while this is held.
pub struct Leftover(PathBuf);

impl Leftover {
    /// Notes it, before it is made.
    pub fn new(path: &Path) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let (listening, is_listening) = sync_channel(1);
            thread::spawn(move || wait(&listening));
            // a thread that cannot listen lets go of its end
            let _ = is_listening.recv();
        });
        DRAFTS.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        DRAFTS.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

/// Waits for a signal and ends the program as it would have ended.
fn wait(listening: &SyncSender<()>) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
    let signalled = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).ok()?;
        let mut terminate = signal(SignalKind::terminate()).ok()?;
        listening.send(()).ok()?;
        Some(tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
        })
    });
    let Some(signalled) = signalled else { return };
    // held until the end: nobody begins another
    let drafts = DRAFTS.lock().unwrap_or_else(PoisonError::into_inner);
    drafts.iter().for_each(|path| take_back(path));
    exit::by_signal(signalled.as_raw_value());
}

/// Removes a draft. Its name goes first: threads that are still at work find no place for another file.
fn take_back(draft: &Path) {
    let gone = draft.with_extension("gone");
    for _ in 0..TRIES {
        if fs::rename(draft, &gone).is_err() {
            return;
        }
        // what cannot be removed does no harm
        let remove = || fs::remove_file(&gone).or_else(|_| fs::remove_dir_all(&gone));
        let _ = (0..TRIES).find(|_| remove().is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_back_while_it_is_written() -> std::io::Result<()> {
        let place = tempfile::tempdir()?;
        for round in 0..20 {
            let draft = place.path().join(round.to_string());
            let files = draft.join("files");
            fs::create_dir_all(&files)?;
            fs::write(files.join("first"), "")?;
            let writer = thread::spawn({
                let files = files.clone();
                move || {
                    (0..20_000)
                        .take_while(|n| fs::write(files.join(n.to_string()), "x").is_ok())
                        .count()
                }
            });
            while fs::read_dir(&files)?.count() < 20 {}
            take_back(&draft);
            assert!(writer.join().is_ok_and(|written| written > 0));
            assert_eq!(fs::read_dir(&place)?.count(), 0, "round {round}");
        }
        Ok(())
    }
}
