//! The checksum of the FITS standard, appendix J: a 32-bit ones' complement sum of an HDU's bytes,
//! and its spelling as sixteen characters that bring the sum of the whole HDU to minus zero.

/// A ones' complement sum over big-endian 32-bit words, fed piece by piece.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    total: u64,
    phase: usize,
}

impl Sum {
    /// Adds bytes; a piece may end inside a word.
    pub fn add(&mut self, mut bytes: &[u8]) {
        while self.phase != 0
            && let Some((first, rest)) = bytes.split_first()
        {
            self.add_byte(*first);
            bytes = rest;
        }
        // a piece below 16 GiB cannot overflow 64 bits; folding after each keeps it so
        let (words, rest) = bytes.as_chunks::<4>();
        self.total += words.iter().map(|w| u64::from(u32::from_be_bytes(*w))).sum::<u64>();
        self.total = u64::from(fold(self.total));
        for byte in rest {
            self.add_byte(*byte);
        }
    }

    /// Adds another sum that began on a word boundary.
    pub fn add_sum(&mut self, other: Self) {
        self.total = u64::from(fold(self.total + other.total));
    }

    /// The sum.
    #[must_use]
    pub fn value(self) -> u32 {
        fold(self.total)
    }

    fn add_byte(&mut self, byte: u8) {
        self.total += u64::from(byte) << (24 - 8 * self.phase);
        self.phase = (self.phase + 1) % 4;
    }
}

/// Folds carries back in until 32 bits are left.
fn fold(mut total: u64) -> u32 {
    while total > u64::from(u32::MAX) {
        total = (total & u64::from(u32::MAX)) + (total >> 32);
    }
    total as u32
}

/// The value of a `CHECKSUM` card for an HDU that sums to `sum` while that card reads sixteen zeros.
#[must_use]
pub fn encode(sum: u32) -> String {
    let mut text = [0u8; 16];
    for (i, byte) in (!sum).to_be_bytes().into_iter().enumerate() {
        for (j, letter) in spread(byte).into_iter().enumerate() {
            text[4 * j + i] = letter;
        }
    }
    text.rotate_right(1);
    text.iter().map(|b| char::from(*b)).collect()
}

/// Four letters or digits whose codes, less `'0'`, add up to the byte.
fn spread(byte: u8) -> [u8; 4] {
    let quarter = byte / 4 + b'0';
    let mut letters = [quarter + byte % 4, quarter, quarter, quarter];
    while let Some(bad) = letters.iter().position(|l| !l.is_ascii_alphanumeric()) {
        let pair = bad / 2 * 2;
        letters[pair] += 1;
        letters[pair + 1] -= 1;
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_sum_like_the_whole() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * 7919 % 251) as u8).collect();
        let mut whole = Sum::default();
        whole.add(&bytes);
        for cut in [1, 2, 3, 4, 5, 501, 999] {
            let mut pieces = Sum::default();
            pieces.add(&bytes[..cut]);
            pieces.add(&bytes[cut..]);
            assert_eq!(pieces.value(), whole.value(), "cut at {cut}");
        }
    }

    #[test]
    fn an_encoded_sum_decodes_to_its_complement() {
        for sum in [0, 1, 0xFFFF_FFFF, 0x8040_2010, 868_229_149] {
            let mut text = encode(sum).into_bytes();
            assert!(text.iter().all(u8::is_ascii_alphanumeric), "{sum}: {text:?}");
            text.rotate_left(1);
            text.iter_mut().for_each(|b| *b -= b'0');
            let mut decoded = Sum::default();
            decoded.add(&text);
            assert_eq!(decoded.value(), !sum);
        }
    }

    #[test]
    fn the_standards_example_holds() {
        assert_eq!(encode(868_229_149), "hcHjjc9ghcEghc9g");
    }
}
