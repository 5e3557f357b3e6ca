//! Values that many rows of the catalog share: each combination is stored once and has a number.

use crate::registry::Label;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Combinations that a file remembers by itself; few files hold more.
const SLOTS: usize = 64;

/// The numbers of all labels: those that the registry has, and those that new rows bring.
#[derive(Debug, Default)]
pub(super) struct Labels {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<Label, i32>,
    last: i32,
    added: Vec<(i32, Label)>,
}

impl Labels {
    pub(super) fn new(registered: Vec<(i32, Label)>) -> Self {
        let last = registered.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let numbers = registered.into_iter().map(|(number, label)| (label, number)).collect();
        Self { known: Mutex::new(Known { numbers, last, added: Vec::new() }) }
    }

    fn number(&self, label: Label) -> i32 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = known.numbers.get(&label) {
            return number;
        }
        known.last = known.last.saturating_add(1);
        let number = known.last;
        known.added.push((number, label.clone()));
        known.numbers.insert(label, number);
        number
    }

    /// Labels that the registry lacks so far.
    pub(super) fn take_added(&self) -> Vec<(i32, Label)> {
        std::mem::take(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner).added)
    }

    /// For the rows of one file.
    pub(super) fn for_file(&self) -> FileLabels<'_> {
        FileLabels { labels: self, slots: std::iter::repeat_with(|| None).take(SLOTS).collect() }
    }
}

/// The labels of one file's rows, few of which differ.
pub(super) struct FileLabels<'a> {
    labels: &'a Labels,
    slots: Vec<Option<(Label, i32)>>,
}

impl FileLabels<'_> {
    /// The number of a label.
    pub(super) fn number(&mut self, label: &Label<&str>) -> i32 {
        let slot = &mut self.slots[slot(label)];
        match slot {
            Some((known, number)) if known.borrowed() == *label => *number,
            _ => {
                let label = label.owned();
                let number = self.labels.number(label.clone());
                *slot = Some((label, number));
                number
            }
        }
    }
}

/// Where a label is remembered: what tells labels of one file apart, stirred.
fn slot(label: &Label<&str>) -> usize {
    let stir = |bits: u32, byte| bits.wrapping_mul(31).wrapping_add(u32::from(byte));
    let text = |text: Option<&str>| text.map_or(0, |text| text.bytes().fold(1, stir));
    let bits = text(label.spectype)
        .wrapping_mul(31)
        .wrapping_add(text(label.subtype))
        .wrapping_add(label.zwarn.unwrap_or(-1) as u32)
        .wrapping_add((label.coadd_fiberstatus.unwrap_or(-1) as u32).rotate_left(16))
        .wrapping_add(label.healpix.unwrap_or(0) as u32);
    (bits.wrapping_mul(0x9e37_79b9) >> (32 - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_combination_has_one_number_however_many_there_are() {
        let label = |n: i32| Label { healpix: Some(n), spectype: Some("QSO"), ..Label::default() };
        let labels = Labels::new(vec![(7, label(0).owned())]);
        let mut of_file = labels.for_file();
        let numbers: Vec<i32> = (0..400).map(|n| of_file.number(&label(n))).collect();
        assert_eq!(numbers, (7..407).collect::<Vec<_>>());
        let mut of_another = labels.for_file();
        assert!((0..400).all(|n| of_another.number(&label(n)) == numbers[n as usize]));
        assert!((0..400).rev().all(|n| of_file.number(&label(n)) == numbers[n as usize]));
        let added = labels.take_added();
        assert_eq!(added.len(), 399);
        assert_eq!(added[0], (8, label(1).owned()));
        assert!(labels.take_added().is_empty());
    }
}
