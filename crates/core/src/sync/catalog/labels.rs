//! Texts that many rows of the catalog share: each combination is stored once and has a number.

use crate::registry::Label;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Combinations that a file remembers by itself; few files hold more.
const RECENT: usize = 16;

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
        FileLabels { labels: self, recent: Vec::with_capacity(RECENT), last: 0 }
    }
}

/// The labels of one file's rows, few of which differ.
pub(super) struct FileLabels<'a> {
    labels: &'a Labels,
    recent: Vec<(Label, i32)>,
    last: usize,
}

impl FileLabels<'_> {
    /// The number of a label.
    pub(super) fn number(&mut self, label: &Label<&str>) -> i32 {
        if let Some((_, number)) = self.recent.iter().find(|(known, _)| known.borrowed() == *label)
        {
            return *number;
        }
        let label = label.owned();
        let number = self.labels.number(label.clone());
        self.last =
            if self.recent.len() < RECENT { self.recent.len() } else { (self.last + 1) % RECENT };
        match self.recent.get_mut(self.last) {
            Some(place) => *place = (label, number),
            None => self.recent.push((label, number)),
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_combination_has_one_number_however_many_there_are() {
        let label = |n: i32| Label { healpix: Some(n), spectype: Some("QSO"), ..Label::default() };
        let labels = Labels::new(vec![(7, label(0).owned())]);
        let mut of_file = labels.for_file();
        let numbers: Vec<i32> = (0..40).map(|n| of_file.number(&label(n))).collect();
        assert_eq!(numbers, (7..47).collect::<Vec<_>>());
        let mut of_another = labels.for_file();
        assert!((0..40).all(|n| of_another.number(&label(n)) == numbers[n as usize]));
        assert!((0..40).rev().all(|n| of_file.number(&label(n)) == numbers[n as usize]));
        let added = labels.take_added();
        assert_eq!(added.len(), 39);
        assert_eq!(added[0], (8, label(1).owned()));
        assert!(labels.take_added().is_empty());
    }
}
