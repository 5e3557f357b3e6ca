//! Asks a lake's registry which files answer a question, and reads the rows.

fn main() {}
