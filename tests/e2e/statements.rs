//! Every statement under /sql is prepared against a migrated database, and its parameters and
//! columns are compared with what `statements.txt` says: a column that changed its type shows up
//! here, not in front of a user. `BIFROST_BLESS=1` writes the file anew.

use crate::support::{Place, repository};
use bifrost_core::registry::template::Template;
use std::fmt::Write;
use std::path::PathBuf;
use tokio_postgres::{Client, NoTls};

#[tokio::test]
async fn statements_take_and_give_what_is_written_down() {
    let place = Place::new();
    place.bifrost(["db", "up"]).expect(0);
    place.bifrost(["db", "migrate"]).expect(0);
    let (client, connection) =
        tokio_postgres::connect(&place.database_url(), NoTls).await.expect("a connection");
    let connection = tokio::spawn(connection);
    let mut found = String::new();
    for path in statements() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let sql = std::fs::read_to_string(&path).expect("a file");
        let ways: &[&str] = match name.as_ref() {
            "resolve_files" => &WAYS[..8],
            "resolve_aligned" => &WAYS[8..],
            "time_files" => &[""],
            _ => &[],
        };
        for way in ways {
            let name = format!("{name}, {way}");
            let name = name.trim_end_matches(", ");
            found += &signature(&client, name, &whole(&sql, way)).await;
        }
        if ways.is_empty() {
            found += &signature(&client, &name, &sql).await;
        }
    }
    drop(client);
    connection.await.expect("it ends").expect("well");
    let written = repository().join("tests/e2e/statements.txt");
    if std::env::var_os("BIFROST_BLESS").is_some() {
        std::fs::write(&written, &found).expect("written");
    }
    let expected = std::fs::read_to_string(&written).expect("statements.txt");
    assert_eq!(found, expected, "if that is meant so: BIFROST_BLESS=1");
}

fn statements() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join("sql")).expect("a folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// The ways of a question, by one of which its statement is put together.
const WAYS: [&str; 10] =
    ["product", "sky", "area", "tile", "cells", "objects", "cataloged", "files", "now", "then"];

/// The statement for a question that goes this way and demands all that it can.
fn whole(template: &str, way: &str) -> String {
    let is_near = ["sky", "area"].contains(&way);
    let words = template.lines().filter_map(|line| line.split_once("--?"));
    let demanded: Vec<&str> = words
        .flat_map(|(_, words)| words.split_whitespace())
        .filter(|word| *word == way || !WAYS.contains(word) && word.starts_with("near_") == is_near)
        .filter(|word| *word == way || way != "cataloged")
        .filter(|word| *word != "cells_of_releases" || way == "cells")
        .collect();
    let template = Template::of(template.to_owned().leak());
    template.assemble(&demanded, |_| Some(&0)).sql
}

/// `name(type, …) -> column type, …`
async fn signature(client: &Client, name: &str, sql: &str) -> String {
    let statement =
        client.prepare(sql).await.unwrap_or_else(|e| panic!("{name}: {:?}", e.as_db_error()));
    let parameters: Vec<_> = statement.params().iter().map(ToString::to_string).collect();
    let mut line = format!("{name}({})", parameters.join(", "));
    for (index, column) in statement.columns().iter().enumerate() {
        let before = if index == 0 { " -> " } else { ", " };
        // writing to a string cannot fail
        let _ = write!(line, "{before}{} {}", column.name(), column.type_());
    }
    line + "\n"
}
