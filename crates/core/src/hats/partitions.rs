//! The partitions of a catalog: which pixels hold files, and how much is in each.
//!
//! `partition_info.csv` is their list. HATS asks for its first two columns; with the others the file
//! is all that must be known to bring the catalog up to date pixel by pixel.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::AddAssign;

const HEAD: &str = "Norder,Npix,num_rows,num_files,size_bytes";

/// A HEALPix pixel (NESTED) that holds files: order, then number.
pub type Partition = (u8, u64);

/// What is in a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Content {
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Their sizes, bytes.
    pub size_bytes: u64,
}

impl AddAssign for Content {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.files += other.files;
        self.size_bytes += other.size_bytes;
    }
}

/// The partitions of a catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partitions(pub BTreeMap<Partition, Content>);

impl Partitions {
    /// What is in all of them.
    #[must_use]
    pub fn total(&self) -> Content {
        let mut total = Content::default();
        self.0.values().for_each(|content| total += *content);
        total
    }

    /// Reads `partition_info.csv` as it is written here; nothing where it is another program's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let mut partitions = BTreeMap::new();
        for line in lines {
            let mut numbers = line.split(',').map(str::parse::<u64>);
            let mut next = || numbers.next()?.ok();
            let partition = (u8::try_from(next()?).ok()?, next()?);
            let content = Content { rows: next()?, files: next()?, size_bytes: next()? };
            partitions.insert(partition, content);
        }
        Some(Self(partitions))
    }

    /// `partition_info.csv`.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for ((order, pixel), Content { rows, files, size_bytes }) in &self.0 {
            // writing to a string cannot fail
            let _ = writeln!(text, "{order},{pixel},{rows},{files},{size_bytes}");
        }
        text
    }

    /// Rows by pixel at the coarsest order there is: coverage that is exact, or more than exact.
    #[must_use]
    pub fn coverage(&self) -> (u8, BTreeMap<u64, u64>) {
        let order = self.0.keys().map(|(order, _)| *order).min().unwrap_or(0);
        let mut rows = BTreeMap::new();
        for ((deeper, pixel), content) in &self.0 {
            if content.rows > 0 {
                *rows.entry(pixel >> (2 * (deeper - order))).or_default() += content.rows;
            }
        }
        (order, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_as_it_was_written() {
        let content = |rows| Content { rows, files: 1, size_bytes: 9 };
        let partitions = [((6, 9), content(0)), ((6, 8), content(5)), ((7, 32), content(2))];
        let partitions = Partitions(partitions.into());
        assert_eq!(Partitions::parse(&partitions.csv()).as_ref(), Some(&partitions));
        assert_eq!(Partitions::parse("Norder,Npix\n6,8\n"), None);
        assert_eq!(Partitions::parse(&format!("{HEAD}\n6,8,1\n")), None);
        assert_eq!(partitions.coverage(), (6, [(8, 7)].into()));
        assert_eq!(partitions.total(), Content { rows: 7, files: 3, size_bytes: 27 });
    }
}
