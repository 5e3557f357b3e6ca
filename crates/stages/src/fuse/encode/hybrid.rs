//! Parquet's hybrid of runs and packed bits, and the level runs of a list column without gaps.
//!
//! Every row of an array column has the same number of values and none is missing, so its levels
//! are known without looking: a row begins (0), and goes on (1) to its end; every value is there.

/// Appends a number in 7-bit groups, the least significant first.
fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Bits that hold numbers up to `max`.
pub(super) fn bits_for(max: usize) -> u8 {
    (usize::BITS - max.leading_zeros()) as u8
}

/// Appends `count` times one value of `bits` bits.
pub(super) fn run(value: u32, count: usize, bits: u8, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(bits.div_ceil(8))]);
}

/// Appends values of `bits` bits (at most 32) as one packed stretch, filled up to a multiple of 8.
pub(super) fn packed(values: impl ExactSizeIterator<Item = u32>, bits: u8, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * usize::from(bits);
    let mut held = 0u64;
    let mut held_bits = 0;
    for value in values {
        held |= u64::from(value) << held_bits;
        held_bits += bits;
        while held_bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            held_bits -= 8;
        }
    }
    if held_bits > 0 {
        out.push(held as u8);
    }
    out.resize(end, 0);
}

/// Appends the levels of `rows` rows of `width` values: repetition, then definition, each after its
/// length in bytes.
pub(super) fn levels(rows: usize, width: usize, out: &mut Vec<u8>) {
    let repetition = |out: &mut Vec<u8>| {
        for _ in 0..rows {
            run(0, 1, 1, out);
            if width > 1 {
                run(1, width - 1, 1, out);
            }
        }
    };
    with_length(out, repetition);
    with_length(out, |out| run(1, rows * width, 1, out));
}

fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_suffice() {
        assert_eq!([0, 1, 2, 255, 256, 7927].map(bits_for), [0, 1, 2, 8, 9, 13]);
    }

    #[test]
    fn packing_follows_the_specification() {
        // the example of the Parquet format: 0 to 7 in 3 bits
        let mut out = Vec::new();
        packed(0..8, 3, &mut out);
        assert_eq!(out, [3, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        out.clear();
        packed(0..3, 3, &mut out);
        assert_eq!(out, [3, 0b1000_1000, 0, 0]);
    }

    #[test]
    fn levels_are_runs() {
        let mut out = Vec::new();
        levels(2, 300, &mut out);
        let row = [2, 0, 0xd6, 0x04, 1];
        let expected = [&[10, 0, 0, 0][..], &row, &row, &[3, 0, 0, 0, 0xb0, 0x09, 1]].concat();
        assert_eq!(out, expected);
    }
}
