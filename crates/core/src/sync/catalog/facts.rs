//! Counts over the rows of one file, taken while its catalog columns pass by.

use crate::redshift::{self, FIRST_BIN, LAST_BIN};
use crate::registry::{ClassRow, FactsRow};

/// Bits of `desi_target`: BGS, LRG, ELG, QSO, MWS, secondary.
const TARGET_BITS: [u32; 6] = [60, 0, 1, 2, 61, 62];

/// What the facts need to know of a row.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sync) struct Observed<'a> {
    pub(in crate::sync) target_id: Option<i64>,
    pub(in crate::sync) has_position: bool,
    pub(in crate::sync) z: Option<f64>,
    pub(in crate::sync) zwarn: Option<i64>,
    pub(in crate::sync) spectype: Option<&'a str>,
    pub(in crate::sync) coadd_fiberstatus: Option<i32>,
    pub(in crate::sync) desi_target: Option<i64>,
}

/// Counts under way.
#[derive(Debug, Default)]
pub(in crate::sync) struct Tally {
    facts: FactsRow,
    /// Few: three spectypes, each with good redshifts and without.
    classes: Vec<Class>,
}

#[derive(Debug)]
struct Class {
    row: ClassRow,
    /// By bin, from the first.
    bins: Vec<i32>,
}

impl Tally {
    /// Counts a row.
    pub(in crate::sync) fn add(&mut self, row: &Observed<'_>) {
        let good = row.zwarn == Some(0);
        let facts = &mut self.facts;
        facts.num_rows += 1;
        facts.zwarn_zero += i64::from(good);
        facts.negative_ids += i64::from(row.target_id.is_some_and(|id| id < 0));
        facts.without_position += i64::from(!row.has_position);
        facts.good_fibers += i64::from(matches!(row.coadd_fiberstatus, Some(0 | 8)));
        let bits = row.desi_target.unwrap_or(0);
        let mut is_other = true;
        let [known @ .., other] = &mut facts.targets;
        for (count, bit) in known.iter_mut().zip(TARGET_BITS) {
            let hit = bits >> bit & 1 == 1;
            is_other &= !hit;
            count[0] += i64::from(hit);
            count[1] += i64::from(hit && good);
        }
        other[0] += i64::from(is_other);
        other[1] += i64::from(is_other && good);
        self.class(row.spectype, good).add(row.z);
    }

    fn class(&mut self, spectype: Option<&str>, zwarn_zero: bool) -> &mut Class {
        let is_it =
            |c: &Class| c.row.zwarn_zero == zwarn_zero && c.row.spectype.as_deref() == spectype;
        let index = self.classes.iter().position(is_it).unwrap_or_else(|| {
            self.classes.push(Class::new(spectype, zwarn_zero));
            self.classes.len() - 1
        });
        &mut self.classes[index]
    }

    /// The counts.
    pub(in crate::sync) fn finish(self) -> (FactsRow, Vec<ClassRow>) {
        (self.facts, self.classes.into_iter().map(Class::finish).collect())
    }
}

impl Class {
    fn new(spectype: Option<&str>, zwarn_zero: bool) -> Self {
        let row =
            ClassRow { spectype: spectype.map(str::to_owned), zwarn_zero, ..ClassRow::default() };
        Self { row, bins: vec![0; (LAST_BIN - FIRST_BIN) as usize + 1] }
    }

    fn add(&mut self, z: Option<f64>) {
        self.row.num_rows += 1;
        let Some(z) = z else { return };
        self.row.z_min = Some(self.row.z_min.map_or(z, |min| min.min(z)));
        self.row.z_max = Some(self.row.z_max.map_or(z, |max| max.max(z)));
        let bin = redshift::bin(z).and_then(|bin| self.bins.get_mut((bin - FIRST_BIN) as usize));
        if let Some(count) = bin {
            *count = count.saturating_add(1);
        }
    }

    fn finish(mut self) -> ClassRow {
        for (bin, count) in (FIRST_BIN..).zip(self.bins).filter(|(_, count)| *count > 0) {
            self.row.z_bins.push(bin);
            self.row.z_counts.push(Some(count));
        }
        self.row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_once_a_class_and_once_a_target_bit() {
        let mut tally = Tally::default();
        let row = |spectype, zwarn, z, desi_target| Observed {
            target_id: Some(if z == Some(9.0) { -1 } else { 1 }),
            has_position: true,
            z,
            zwarn: Some(zwarn),
            spectype: Some(spectype),
            coadd_fiberstatus: Some(8),
            desi_target: Some(desi_target),
        };
        for row in [
            row("QSO", 0, Some(2.5), 0b100),
            row("QSO", 0, Some(2.51), 0b101),
            row("QSO", 4, None, 1 << 60),
            row("GALAXY", 0, Some(9.0), 0),
            Observed::default(),
        ] {
            tally.add(&row);
        }
        let (facts, classes) = tally.finish();
        assert_eq!((facts.num_rows, facts.zwarn_zero, facts.negative_ids), (5, 3, 1));
        assert_eq!((facts.without_position, facts.good_fibers), (1, 4));
        let [bgs, lrg, elg, qso, mws, scnd, other] = facts.targets;
        assert_eq!((bgs, lrg, elg, qso), ([1, 0], [1, 1], [0, 0], [2, 2]));
        assert_eq!((mws, scnd, other), ([0, 0], [0, 0], [2, 1]));
        assert_eq!(classes.iter().map(|c| c.num_rows).sum::<i64>(), 5);
        let good = classes.iter().find(|c| c.spectype.as_deref() == Some("QSO") && c.zwarn_zero);
        let good = good.expect("good quasars");
        assert_eq!((good.z_min, good.z_max), (Some(2.5), Some(2.51)));
        assert_eq!((&good.z_bins[..], &good.z_counts[..]), (&[50][..], &[Some(2)][..]));
    }
}
