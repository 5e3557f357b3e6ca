//! Rows by pixel as a FITS table (`skymap.fits`, `point_map.fits`): from it LSDB makes the coverage.

use std::collections::BTreeMap;

const BLOCK_BYTES: usize = 2880;
const CARD_BYTES: usize = 80;

/// An explicit HEALPix map (NESTED, ICRS): the pixels that hold rows, and how many.
#[must_use]
pub fn fits(order: u8, rows: &BTreeMap<u64, u64>) -> Vec<u8> {
    let pixels = rows.len();
    let mut bytes = header(&[
        ("SIMPLE", "T".into()),
        ("BITPIX", "8".into()),
        ("NAXIS", "0".into()),
        ("EXTEND", "T".into()),
    ]);
    bytes.extend(header(&[
        ("XTENSION", "'BINTABLE'".into()),
        ("BITPIX", "8".into()),
        ("NAXIS", "2".into()),
        ("NAXIS1", "16".into()),
        ("NAXIS2", pixels.to_string()),
        ("PCOUNT", "0".into()),
        ("GCOUNT", "1".into()),
        ("TFIELDS", "2".into()),
        ("TTYPE1", "'PIXEL   '".into()),
        ("TTYPE2", "'VALUE   '".into()),
        ("TFORM1", "'K       '".into()),
        ("TFORM2", "'K       '".into()),
        ("PIXTYPE", "'HEALPIX '".into()),
        ("INDXSCHM", "'EXPLICIT'".into()),
        ("ORDERING", "'NESTED  '".into()),
        ("COORDSYS", "'C       '".into()),
        ("EXTNAME", "'xtension'".into()),
        ("NSIDE", (1u64 << order).to_string()),
        ("OBS_NPIX", pixels.to_string()),
    ]));
    for (pixel, rows) in rows {
        bytes.extend(pixel.to_be_bytes());
        bytes.extend(rows.to_be_bytes());
    }
    fill(&mut bytes, 0);
    bytes
}

fn header(cards: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BLOCK_BYTES);
    for (name, value) in cards {
        // texts begin at once, everything else ends in column 30
        let card = match value.starts_with('\'') {
            true => format!("{name:8}= {value}"),
            false => format!("{name:8}= {value:>20}"),
        };
        bytes.extend(format!("{card:CARD_BYTES$}").into_bytes());
    }
    bytes.extend(format!("{:CARD_BYTES$}", "END").into_bytes());
    fill(&mut bytes, b' ');
    bytes
}

fn fill(bytes: &mut Vec<u8>, with: u8) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), with);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_whole_blocks_of_whole_cards() {
        let map = fits(6, &[(5, 7), (49151, 1)].into());
        assert_eq!(map.len(), 3 * BLOCK_BYTES);
        assert_eq!(&map[BLOCK_BYTES..][..20], b"XTENSION= 'BINTABLE'");
        let data = &map[2 * BLOCK_BYTES..];
        assert_eq!(data[..16], [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(fits(0, &BTreeMap::new()).len(), 2 * BLOCK_BYTES);
    }
}
