//! Asks a registry which files can answer a question, and reads the rows that do.
//!
//! ```sh
//! cargo run --release -p bifrost-core --example read_lake -- DATABASE "z > 2 AND zwarn = 0"
//! ```

use arrow::array::cast::AsArray;
use arrow::datatypes::{Float32Type, Float64Type, Int64Type};
use bifrost_core::predicate::Predicate;
use bifrost_core::read::{Options, read};
use bifrost_core::registry::Registry;
use bifrost_core::resolution::{Detail, Query, resolve};
use std::error::Error;
use std::io::Write;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, question] = &arguments[..] else {
        return Err("usage: read_lake DATABASE PREDICATE".into());
    };
    let registry = Registry::connect(database).await?;
    let query = Query { predicate: Some(Predicate::parse(question)?), ..Query::default() };
    let resolution = resolve(&registry, &query, Detail::Files).await?;

    let columns = ["target_id", "z", "flux"].map(str::to_owned).to_vec();
    let options = Options { columns: Some(columns), ..Options::default() };
    let mut out = std::io::stdout().lock();
    let mut rows = 0;
    for batch in read(&resolution, &query, &options)? {
        let batch = batch?;
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let redshifts = batch.column(1).as_primitive::<Float64Type>();
        let fluxes = batch.column(2).as_list::<i32>();
        for row in 0..batch.num_rows() {
            let flux = fluxes.value(row);
            let flux = flux.as_primitive::<Float32Type>();
            let mean = flux.iter().flatten().sum::<f32>() / flux.len() as f32;
            let (id, z) = (ids.value(row), redshifts.value(row));
            writeln!(out, "{id}  z = {z:.4}  mean flux {mean:.3} in {} pixels", flux.len())?;
        }
        rows += batch.num_rows();
    }
    writeln!(out, "{rows} rows from {} files", resolution.files.len())?;
    Ok(())
}
