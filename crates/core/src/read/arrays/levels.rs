//! Where the rows of a page lie among its values.
//!
//! Levels come in runs, and rows of hundreds of values have long ones: what is gone through are runs
//! and the beginnings of rows, not levels.

use super::Fault;
use super::hybrid::{Run, Runs, places, unpacked};
use std::ops::Range;

/// What the levels of a column mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// Whether a row may be NULL.
    pub(super) has_null: bool,
    /// Whether a value may be NULL: it has the level below that of one that is there, and nothing
    /// among the values.
    pub(super) has_null_value: bool,
}

impl Depth {
    /// Level of a value that is there.
    pub(super) fn full(self) -> u32 {
        1 + u32::from(self.has_null) + u32::from(self.has_null_value)
    }

    fn bits(self) -> u32 {
        u32::BITS - self.full().leading_zeros()
    }
}

/// Rows of a page.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Where the values of each row begin, and at last where all of them end.
    starts: Vec<u32>,
    /// Rows that are NULL, ascending.
    nulls: Vec<u32>,
    /// Values that are NULL, ascending, as they are numbered in `starts`.
    gone: Vec<u32>,
}

impl Rows {
    /// Finds the rows by `count` levels; there must be `rows` of them.
    pub(super) fn find(
        &mut self,
        (repetition, definition): (&[u8], &[u8]),
        count: usize,
        rows: usize,
        depth: Depth,
    ) -> Result<(), Fault> {
        self.begin(repetition, count, rows)?;
        self.take_out(definition, count, depth)
    }

    /// NULLs among some of the values.
    pub(super) fn gone(&self, values: Range<usize>) -> &[u32] {
        &self.gone[self.gone_before(values.start)..self.gone_before(values.end)]
    }

    /// NULLs before a value.
    pub(super) fn gone_before(&self, value: usize) -> usize {
        self.gone.partition_point(|gone| (*gone as usize) < value)
    }

    /// Values in the page, NULLs among them.
    pub(super) fn values(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    /// Where the values of a row begin; that of the row after the last is the end.
    pub(super) fn start(&self, row: usize) -> usize {
        self.starts.get(row).map_or(self.values(), |start| *start as usize)
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        !self.nulls.is_empty() && self.nulls.binary_search(&(row as u32)).is_ok()
    }

    /// Rows begin where nothing is repeated.
    fn begin(&mut self, repetition: &[u8], count: usize, rows: usize) -> Result<(), Fault> {
        self.starts.clear();
        let starts = &mut self.starts;
        let mut start = |at: usize| {
            if starts.len() == rows {
                return Err(Fault::Rows);
            }
            starts.push(u32::try_from(at).map_err(|_| Fault::Header)?);
            Ok(())
        };
        let mut runs = Runs::new(repetition, 1, count);
        let mut at = 0;
        while let Some(run) = runs.next()? {
            match run {
                Run::Same(0, many) => {
                    (at..at + many).try_for_each(&mut start)?;
                    at += many;
                }
                Run::Same(_, many) => at += many,
                Run::Packed(bytes, many) => {
                    places(bytes, many, false, |place| start(at + place))?;
                    at += many;
                }
            }
        }
        if self.starts.len() != rows || self.starts.first().is_some_and(|first| *first != 0) {
            return Err(Fault::Rows);
        }
        self.starts.push(u32::try_from(count).map_err(|_| Fault::Header)?);
        Ok(())
    }

    /// Rows without a value have a level all the same: it is taken out of the count.
    fn take_out(&mut self, definition: &[u8], count: usize, depth: Depth) -> Result<(), Fault> {
        self.nulls.clear();
        self.gone.clear();
        let full = depth.full();
        let mut gaps = Gaps {
            starts: &mut self.starts,
            nulls: &mut self.nulls,
            values: &mut self.gone,
            row: 0,
            gone: 0,
        };
        let mut runs = Runs::new(definition, depth.bits(), count);
        let mut at = 0;
        while let Some(run) = runs.next()? {
            let many = match run {
                Run::Same(level, many) if level == full => many,
                Run::Same(level, many) => {
                    (at..at + many).try_for_each(|place| gaps.take(place, level, depth))?;
                    many
                }
                Run::Packed(bytes, many) if depth.bits() == 1 => {
                    places(bytes, many, false, |place| gaps.take(at + place, 0, depth))?;
                    many
                }
                Run::Packed(bytes, many) => {
                    let levels = unpacked(bytes, depth.bits(), 0..many).enumerate();
                    for (place, level) in levels.filter(|(_, level)| *level != full) {
                        gaps.take(at + place, level, depth)?;
                    }
                    many
                }
            };
            at += many;
        }
        gaps.end();
        Ok(())
    }
}

/// Rows without a value, as they are met.
struct Gaps<'a> {
    starts: &'a mut [u32],
    nulls: &'a mut Vec<u32>,
    values: &'a mut Vec<u32>,
    row: usize,
    gone: u32,
}

impl Gaps<'_> {
    /// The level at a place is that of a NULL among the values, or of a row without a value.
    fn take(&mut self, place: usize, level: u32, depth: Depth) -> Result<(), Fault> {
        if level > depth.full() {
            return Err(Fault::Levels);
        }
        if depth.has_null_value && level + 1 == depth.full() {
            self.values.push(place as u32 - self.gone);
            return Ok(());
        }
        while self.starts.get(self.row).is_some_and(|start| (*start as usize) < place) {
            self.pass();
        }
        let own = self.starts.get(self.row).is_some_and(|start| *start as usize == place);
        let next = self.starts.get(self.row + 1).is_some_and(|start| *start as usize == place + 1);
        if !(own && next) {
            return Err(Fault::Levels);
        }
        if depth.has_null && level == 0 {
            self.nulls.push(self.row as u32);
        }
        self.pass();
        self.gone += 1;
        Ok(())
    }

    fn pass(&mut self) {
        if let Some(start) = self.starts.get_mut(self.row) {
            *start -= self.gone;
        }
        self.row += 1;
    }

    fn end(&mut self) {
        while self.row < self.starts.len() {
            self.pass();
        }
    }
}
