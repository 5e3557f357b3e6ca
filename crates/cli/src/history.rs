//! Points in the registry's history, as options and arguments.

use crate::context::Context;
use crate::exit::usage;
use bifrost_core::history::{self, Point};
use bifrost_core::registry::Registry;
use bifrost_core::snapshot::Saved;
use std::path::Path;

/// As of when.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AsOf {
    /// Answer as of a commit, or of a time (2026-11-20, 2026-11-20T14:30:00Z)
    #[arg(long, value_name = "COMMIT|TIME")]
    pub as_of: Option<String>,
}

impl AsOf {
    /// The commit; none where now was meant.
    pub fn commit(&self, ctx: &Context) -> anyhow::Result<Option<i64>> {
        let Some(text) = &self.as_of else { return Ok(None) };
        commit_at(ctx, &ctx.registry_to_read()?, text).map(Some)
    }
}

/// The commit that a number, a time, `now` or the file of a snapshot stands for.
pub fn commit_at(ctx: &Context, registry: &Registry, text: &str) -> anyhow::Result<i64> {
    let point = match text.parse::<Point>() {
        Ok(point) => point,
        Err(error) if !Path::new(text).is_file() => return Err(usage(error).into()),
        Err(_) => {
            let saved = Saved::read(Path::new(text)).map_err(usage)?;
            if !saved.is_genuine() {
                return Err(usage(format!("{text} is not what was saved")).into());
            }
            if ctx.ask(|| registry.identity())? != saved.snapshot.registry {
                return Err(usage(format!("{text} is of another registry")).into());
            }
            Point::Commit(saved.snapshot.commit)
        }
    };
    ctx.ask(|| history::commit_at(registry, point)).map_err(|error| match error {
        history::Error::Registry(error) => error.into(),
        error => usage(error).into(),
    })
}
