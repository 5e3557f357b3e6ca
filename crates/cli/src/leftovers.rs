//! Drafts that an interrupted command takes back, since their names were never theirs.

use crate::exit;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

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
    for path in drafts.iter() {
        // what cannot be removed does no harm
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
    }
    exit::by_signal(signalled.as_raw_value());
}
