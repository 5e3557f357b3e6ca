//! Work that must not hold up the runtime.

use crate::process::on_all_cores;

/// Runs work that keeps a core busy or waits for disks, from now on; a panic in it goes on where
/// it is awaited.
pub(crate) fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    let running = tokio::task::spawn_blocking(|| on_all_cores(work));
    async {
        match running.await {
            Ok(done) => done,
            Err(e) => match e.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // blocking tasks are not cancelled once they run, and this one is waited for
                Err(_) => std::future::pending().await,
            },
        }
    }
}
