//! The lake's datasheet, brought up to date after a sync.

use crate::context::Context;
use bifrost_core::layout::Lake;
use bifrost_core::registry::{Registry, psql_variables};
use bifrost_stages::datasheet::{self, Access, Regenerated, SHEET};

/// Makes the datasheet anew, unless it is there and as of the lake's latest commit.
pub fn refresh(ctx: &Context, registry: &Registry, lake: &Lake) -> anyhow::Result<()> {
    let latest = ctx.ask(|| registry.last_commit(lake))?;
    if latest.is_none() || datasheet::as_of(lake) >= latest {
        return Ok(());
    }
    let facts = ctx.ask(|| registry.facts(lake))?;
    let variables = psql_variables(&ctx.database_url()?)?;
    let access = Access::new(&variables, ctx.settings.database_url.is_none());
    if let Regenerated::WrittenKeeping { kept, damage } =
        datasheet::regenerate(lake, &facts, &access)?
    {
        ctx.printer.note(&format!(
            "{SHEET}: markers of curated sections are damaged ({}); the old text is in {}",
            damage.join("; "),
            kept.display()
        ));
    }
    Ok(())
}
