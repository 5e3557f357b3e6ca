//! Rows for programs that wait for many things at once.

use super::{Error, Reading};
use crate::guard::guard;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use tokio::sync::mpsc::{Receiver, channel};

/// Batches that wait for whoever polls.
const BATCHES_AHEAD: usize = 1;

/// What [`Reading::stream`] gives: rows as an asynchronous stream, for any executor. One batch waits to
/// be taken, beside those that the readers of files have ready; where nobody polls, nobody reads on.
/// Whoever drops it ends the reading.
///
/// ```no_run
/// # use bifrost_core::{read::Options, resolution::{Detail, Query}, session::*};
/// # async fn example(lake: Session) -> Result<(), Box<dyn std::error::Error>> {
/// use futures::TryStreamExt;
///
/// let query = Query::default();
/// let answer = lake.resolve(&query, Detail::Files).await?;
/// let mut batches = lake.read(&answer, &query, &Options::default()).await?.stream();
/// while let Some(batch) = batches.try_next().await? {
///     println!("{} rows", batch.num_rows());
/// }
/// # Ok(()) }
/// ```
pub struct Batches {
    schema: SchemaRef,
    batches: Receiver<Option<Result<RecordBatch, Error>>>,
    has_ended: bool,
}

impl Reading {
    /// The same rows as an asynchronous stream; a thread of its own waits for the files' readers.
    #[must_use]
    pub fn stream(self) -> Batches {
        let (deliver, batches) = channel(BATCHES_AHEAD);
        let schema = self.schema();
        thread::spawn(move || {
            // whatever ends it otherwise is told by the channel, which then closes without an end
            let _ = guard(|| {
                for batch in self {
                    if deliver.blocking_send(Some(batch)).is_err() {
                        return;
                    }
                }
                let _ = deliver.blocking_send(None);
            });
        });
        Batches { schema, batches, has_ended: false }
    }
}

impl Batches {
    /// Columns of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let next = std::task::ready!(self.batches.poll_recv(context));
        let next = next.unwrap_or_else(|| Some(Err(Error::Ended("the files".into()))));
        self.has_ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}
