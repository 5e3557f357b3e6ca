//! The program as its users meet it: the built binary, a lake in a temporary folder, a real
//! Postgres.

mod campaign;
mod convert;
mod db;
mod resolve;
mod statements;
mod support;
mod sync;
mod tidy;
mod time;
