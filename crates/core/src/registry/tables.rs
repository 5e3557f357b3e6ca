//! Tables of people's own: their SQL runs where the catalog is, and what comes back is where to read.

use super::resolve::Resolver;
use super::{Error, Registry, doing};
use deadpool_postgres::{Client, ClientWrapper};
use std::collections::HashMap;
use std::ops::Deref;

const PURPOSE: &str = "find the objects of the SQL in the catalog";

/// Classes of SQLSTATE that are not the question's doing: connections, rollbacks, resources,
/// operators, the system, settings, faults of the server.
const NOT_THE_QUESTIONS: [&str; 7] = ["08", "40", "53", "57", "58", "F0", "XX"];

/// A connection that goes back to its pool, or one that is closed, when it is dropped.
pub(super) enum Connection {
    Pooled(Client),
    Own(ClientWrapper),
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        match self {
            Self::Pooled(client) => client,
            Self::Own(client) => client,
        }
    }
}

/// Where the objects of a question in SQL are.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// By file in which rows, from 0, ascending.
    pub(crate) rows: HashMap<i64, Vec<i32>>,
    /// The objects themselves, each once, where files may hold some that the catalog does not know.
    pub(crate) targets: Option<Vec<i64>>,
}

impl Registry {
    /// A connection for one resolution by people's tables: all that is asked of it sees one snapshot,
    /// and nothing can write. It is closed afterwards, since their SQL may have changed its settings.
    pub(crate) async fn resolver_of_tables(&self, as_of: Option<i64>) -> Result<Resolver, Error> {
        let client = Client::take(self.client().await?);
        let begin = include_str!("../../../../sql/tables_begin.sql");
        client.batch_execute(begin).await.map_err(doing(PURPOSE))?;
        let (client, memory) = (Connection::Own(client), self.memory.clone());
        Ok(Resolver { client, reader: None, more: None, memory, as_of })
    }
}

impl Resolver {
    /// Ends the snapshot of a question by people's tables. A connection that is dropped is closed when
    /// its runtime has a turn again, and until then would hold locks on them.
    pub(crate) async fn end(self) {
        if let Connection::Own(client) = &self.client {
            let end = include_str!("../../../../sql/tables_end.sql");
            // where this fails the server has ended it
            drop(client.batch_execute(end).await);
        }
    }

    /// Runs SQL of one column of TARGETIDs, and finds what it gives in files of a product.
    pub(crate) async fn wanted(&self, sql: &str, product: &str) -> Result<Wanted, Error> {
        let statement = include_str!("../../../../sql/tables_wanted.sql");
        // of versions that are live no longer the catalog knows nothing
        let may_be_unknown = self.as_of.is_some();
        let rows = self.client.query(statement, &[&sql, &product, &may_be_unknown]).await;
        let read = |rows: Vec<tokio_postgres::Row>| {
            let mut wanted = Wanted::default();
            for row in &rows {
                match row.try_get(0)? {
                    Some(file_id) => {
                        let mut found: Vec<i32> = row.try_get(1)?;
                        found.sort_unstable();
                        wanted.rows.insert(file_id, found);
                    }
                    None => {
                        wanted.targets =
                            row.try_get::<_, Option<Vec<Option<i64>>>>(2)?.map(distinct)
                    }
                }
            }
            Ok(wanted)
        };
        rows.and_then(read).map_err(fault)
    }
}

fn distinct(targets: Vec<Option<i64>>) -> Vec<i64> {
    let mut targets: Vec<i64> = targets.into_iter().flatten().collect();
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// Whose fault it is that the SQL did not run.
fn fault(error: tokio_postgres::Error) -> Error {
    let is_questions = |state: &tokio_postgres::error::SqlState| {
        !NOT_THE_QUESTIONS.iter().any(|class| state.code().starts_with(class))
    };
    match error.code() {
        Some(state) if is_questions(state) => Error::Question(error),
        _ => doing(PURPOSE)(error),
    }
}
