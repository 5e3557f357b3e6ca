//! The parquet crate's word on a footer.

use crate::footer::{Column, Ends, Footer, Kind, Packed};
use crate::guard::guard;
use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, RowGroupMetaData};

/// A bound as the parquet crate gives it.
#[derive(Debug, PartialEq, PartialOrd)]
enum Bound {
    Int(i128),
    Float(f64),
    Text(Vec<u8>),
}

/// Compares where the crate takes the footer: what it knows, our bounds enclose.
pub(super) fn compare(bytes: &[u8], ours: &Footer) {
    let Ok(Ok(theirs)) = guard(|| ParquetMetaDataReader::decode_metadata(bytes)) else { return };
    let groups = theirs.row_groups();
    assert_eq!(theirs.file_metadata().num_rows(), ours.bounds.num_rows);
    assert_eq!(groups.len(), ours.num_row_groups);
    let mut packed = ours.groups.iter().collect::<Vec<_>>();
    if packed.is_empty() && groups.len() == 1 {
        packed.push(&ours.bounds);
    }
    assert_eq!(packed.len(), groups.len());
    for (group, bounds) in groups.iter().zip(packed) {
        assert_eq!(group.num_rows(), bounds.num_rows);
        for column in ours.schema.columns() {
            compare_column(group, bounds, &ours.bounds, column);
        }
    }
}

fn compare_column(group: &RowGroupMetaData, bounds: &Packed, whole: &Packed, column: &Column) {
    let (Some(slot), Some(position)) = (column.slot, column.position) else { return };
    // columns of one name are told apart by their places: those of damaged footers are many
    let named = |chunk: &&ColumnChunkMetaData| {
        let parts = chunk.column_descr().path().parts();
        parts.len() == 1 && parts[0].replace('\0', "\u{fffd}") == column.name
    };
    let mut chunks = group.columns().iter().filter(named);
    let (Some(chunk), None) = (chunks.next(), chunks.next()) else { return };
    let Some(statistics) = chunk.statistics() else { return };
    let nulls = bounds.null_count[position - 1];
    if let (Some(ours), Some(theirs)) = (nulls, statistics.null_count_opt()) {
        assert_eq!(u64::try_from(ours), Ok(theirs), "NULLs of {column:?}");
    }
    let ends = [statistics.min_bytes_opt(), statistics.max_bytes_opt()];
    let [Some(min), Some(max)] = ends.map(|bytes| bytes.and_then(|b| bound(chunk, b))) else {
        return;
    };
    // NaN, and ends the wrong way round, are nothing to enclose
    if min.partial_cmp(&max).is_none_or(std::cmp::Ordering::is_gt) {
        return;
    }
    for (bounds, is_void) in [(bounds, false), (whole, bounds.is_void(position - 1))] {
        if is_void {
            continue;
        }
        let (low, high) = match column.kind {
            Kind::Float => both(&bounds.floats[slot - 1], |n| Bound::Float(*n)),
            Kind::Text => both(&bounds.texts[slot - 1], |t| Bound::Text(t.clone().into_bytes())),
            _ => both(&bounds.ints[slot - 1], |n| Bound::Int(i128::from(*n))),
        };
        assert!(low.is_none_or(|low| low <= min), "{column:?} begins above {min:?}: {bounds:?}");
        assert!(high.is_none_or(|high| high >= max), "{column:?} ends below {max:?}: {bounds:?}");
    }
}

fn both<T>(ends: &Ends<T>, bound: impl Fn(&T) -> Bound) -> (Option<Bound>, Option<Bound>) {
    (ends.min.as_ref().map(&bound), ends.max.as_ref().map(&bound))
}

fn bound(chunk: &ColumnChunkMetaData, bytes: &[u8]) -> Option<Bound> {
    let column = chunk.column_descr();
    let is_unsigned = match column.logical_type_ref() {
        Some(LogicalType::Integer(whole)) => !whole.is_signed,
        Some(_) => false,
        None => matches!(
            column.converted_type(),
            ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64
        ),
    };
    Some(match (column.physical_type(), is_unsigned) {
        (Type::BOOLEAN, _) => Bound::Int(i128::from(*bytes.first()? != 0)),
        (Type::INT32, false) => Bound::Int(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        (Type::INT32, true) => Bound::Int(u32::from_le_bytes(bytes.try_into().ok()?).into()),
        (Type::INT64, false) => Bound::Int(i64::from_le_bytes(bytes.try_into().ok()?).into()),
        (Type::INT64, true) => Bound::Int(u64::from_le_bytes(bytes.try_into().ok()?).into()),
        (Type::FLOAT, _) => Bound::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        (Type::DOUBLE, _) => Bound::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
        (Type::BYTE_ARRAY, _) => Bound::Text(bytes.to_vec()),
        (Type::FIXED_LEN_BYTE_ARRAY, _) => {
            let bits = u16::from_le_bytes(bytes.try_into().ok()?);
            Bound::Float(<Float16Type as ArrowPrimitiveType>::Native::from_bits(bits).into())
        }
        (Type::INT96, _) => return None,
    })
}
