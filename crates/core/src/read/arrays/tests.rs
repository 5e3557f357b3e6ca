//! Held against the parquet crate's own reader, on files of many kinds; and on bytes that are none.

use super::super::Source;
use super::super::file::open;
use super::header::Encoding as Written;
use super::hybrid::{Run, Runs, unpacked};
use super::levels::{Depth, Rows};
use super::values::{Values, Word};
use super::*;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, Float64Array, Int64Array, ListArray, OffsetSizeTrait,
    PrimitiveArray, RecordBatch,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Float32Type, Float64Type, Int32Type, Int64Type, UInt8Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::basic::ZstdLevel;
use parquet::file::properties::{WriterProperties, WriterVersion};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

type Dice = ChaCha8Rng;

/// How long rows are.
#[derive(Debug, Clone, Copy)]
enum Lengths {
    Same(usize),
    Ragged(usize),
}

fn lists<T: ArrowPrimitiveType, O: OffsetSizeTrait>(
    dice: &mut Dice,
    rows: usize,
    lengths: Lengths,
    has_null: bool,
    item_nullable: bool,
    mut value: impl FnMut(&mut Dice) -> T::Native,
) -> ArrayRef {
    let mut values = Vec::new();
    let (mut sizes, mut valid) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let is_valid = !has_null || dice.random_bool(0.8);
        let length = match lengths {
            Lengths::Same(length) => length,
            Lengths::Ragged(most) if dice.random_bool(0.7) => dice.random_range(0..=most),
            Lengths::Ragged(_) => 0,
        };
        sizes.push(if is_valid { length } else { 0 });
        valid.push(is_valid);
        values.extend((0..sizes[sizes.len() - 1]).map(|_| value(dice)));
    }
    let item = Arc::new(Field::new("element", T::DATA_TYPE, item_nullable));
    let share = [0.0, 0.02, 0.5, 1.0][dice.random_range(0..4)];
    let is_there = |_: &T::Native| !item_nullable || !dice.random_bool(share);
    let there: Vec<bool> = values.iter().map(is_there).collect();
    let there = item_nullable.then(|| NullBuffer::from(there));
    let values = Arc::new(PrimitiveArray::<T>::new(values.into(), there));
    let nulls = has_null.then(|| NullBuffer::from(valid));
    Arc::new(GenericListArray::<O>::new(item, OffsetBuffer::from_lengths(sizes), values, nulls))
}

/// A table of arrays of all sorts, beside scalars.
fn table(dice: &mut Dice, rows: usize) -> RecordBatch {
    let lengths = match dice.random_range(0..4) {
        0 => Lengths::Same(1),
        1 => Lengths::Same(dice.random_range(2..40)),
        2 => Lengths::Same(dice.random_range(200..400)),
        _ => Lengths::Ragged(dice.random_range(1..60)),
    };
    let few = |dice: &mut Dice| if dice.random_bool(0.95) { 0 } else { dice.random_range(0..5) };
    let singles = |dice: &mut Dice| dice.random::<f32>();
    let doubles = |dice: &mut Dice| dice.random::<f64>();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows as i64)), false),
        ("flux", lists::<Float32Type, i32>(dice, rows, lengths, false, false, singles), false),
        ("ivar", lists::<Float32Type, i32>(dice, rows, lengths, true, false, singles), true),
        ("mask", lists::<Int32Type, i32>(dice, rows, lengths, false, false, few), false),
        ("z", Arc::new(Float64Array::from_iter((0..rows).map(|_| Some(dice.random())))), true),
        ("wave", lists::<Float64Type, i32>(dice, rows, lengths, true, false, doubles), true),
        (
            "nights",
            lists::<Int64Type, i64>(dice, rows, lengths, false, false, |dice| dice.random()),
            true,
        ),
        (
            "bytes",
            lists::<UInt8Type, i32>(dice, rows, lengths, false, false, |dice| dice.random()),
            true,
        ),
        ("gaps", lists::<Float32Type, i32>(dice, rows, lengths, true, true, singles), true),
        ("holes", lists::<Float64Type, i64>(dice, rows, lengths, false, true, doubles), false),
        ("bits", lists::<Int32Type, i32>(dice, rows, lengths, true, true, few), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

fn properties(dice: &mut Dice) -> WriterProperties {
    let version = match dice.random_bool(0.5) {
        true => WriterVersion::PARQUET_1_0,
        false => WriterVersion::PARQUET_2_0,
    };
    let codecs = [
        Compression::ZSTD(ZstdLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::SNAPPY,
        Compression::UNCOMPRESSED,
        Compression::LZ4_RAW,
    ];
    let has_dictionary = dice.random_bool(0.5);
    let mut builder = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(codecs[dice.random_range(0..codecs.len())])
        .set_dictionary_enabled(has_dictionary)
        .set_dictionary_page_size_limit(dice.random_range(100..10_000))
        .set_max_row_group_row_count(Some(dice.random_range(20..120)))
        .set_data_page_row_count_limit(dice.random_range(1..20))
        .set_write_batch_size(dice.random_range(1..20));
    if !has_dictionary && dice.random_bool(0.6) {
        for column in ["flux", "ivar", "mask", "wave", "nights", "gaps", "holes"] {
            let path = [column, "list", "element"].map(str::to_owned).to_vec();
            builder = builder.set_column_encoding(path.into(), Encoding::BYTE_STREAM_SPLIT);
        }
    }
    builder.build()
}

fn write(path: &Path, batch: &RecordBatch, properties: WriterProperties) -> Source {
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("begun");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
    source(path)
}

fn source(path: &Path) -> Source {
    let about = fs::metadata(path).expect("the file");
    Source {
        path: path.to_owned(),
        size_bytes: about.size() as i64,
        mtime_ns: about.mtime() * 1_000_000_000 + about.mtime_nsec(),
        row_groups: Vec::new(),
        rows: None,
        schema_id: None,
        aligned: Vec::new(),
    }
}

fn selection(dice: &mut Dice, rows: usize) -> Option<RowSelection> {
    let longest = [3, 30][dice.random_range(0..2)];
    let mut selectors = Vec::new();
    let mut left = rows;
    while left > 0 {
        let count = dice.random_range(0..=longest).min(left);
        selectors.push(match dice.random_bool(0.5) {
            true => RowSelector::select(count),
            false => RowSelector::skip(count),
        });
        left -= count;
    }
    dice.random_bool(0.7).then(|| selectors.into())
}

#[test]
fn both_readers_give_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let mut own = 0;
    for seed in 0..120 {
        let dice = &mut Dice::seed_from_u64(seed);
        let rows = dice.random_range(1..300);
        let batch = table(dice, rows);
        let source = write(&path, &batch, properties(dice));
        let opened = open(&source, None).expect("opened");
        let footer = &opened.metadata;
        for _ in 0..4 {
            let groups = footer.metadata().num_row_groups();
            let first = dice.random_range(0..groups);
            let groups: Vec<usize> = (first..dice.random_range(first..groups) + 1).collect();
            let mut columns: Vec<usize> =
                (0..batch.num_columns()).filter(|_| dice.random_bool(0.5)).collect();
            if columns.is_empty() {
                columns.push(1);
            }
            own += columns.iter().filter(|at| Column::of(footer, **at, &groups).is_some()).count();
            let rows = groups.iter().map(|group| opened.span(*group).len()).sum();
            let selection = selection(dice, rows);
            let batch_rows = dice.random_range(1..100);

            let file = File::open(&path).expect("the file");
            let mask = parquet::arrow::ProjectionMask::roots(
                footer.metadata().file_metadata().schema_descr(),
                columns.clone(),
            );
            let mut theirs =
                ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.clone())
                    .with_row_groups(groups.clone())
                    .with_projection(mask)
                    .with_batch_size(batch_rows);
            if let Some(selection) = &selection {
                theirs = theirs.with_row_selection(selection.clone());
            }
            let theirs: Vec<_> = theirs.build().expect("built").map(|b| b.expect("read")).collect();
            let ours = opened.reader(groups, &columns, batch_rows, selection, &path);
            let ours: Vec<_> = ours.expect("built").map(|batch| batch.expect("read")).collect();
            let sizes = |batches: &[RecordBatch]| {
                batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>()
            };
            assert_eq!(sizes(&ours), sizes(&theirs), "seed {seed}");
            let Some(first) = ours.first() else { continue };
            let schema = first.schema();
            assert_eq!(schema.fields(), theirs[0].schema().fields(), "seed {seed}");
            let joined = |batches| concat_batches(&schema, batches).expect("one schema");
            assert_eq!(joined(&ours), joined(&theirs), "seed {seed}");
        }
    }
    assert!(own > 1000, "only {own} columns were decoded here");
}

#[test]
fn what_is_not_known_is_left_to_the_other_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let dice = &mut Dice::seed_from_u64(7);
    let batch = table(dice, 50);
    let own = |properties: WriterProperties| {
        let opened = open(&write(&path, &batch, properties), None).expect("opened");
        let fields = opened.metadata.schema().fields().iter().enumerate();
        let own = fields.filter(|(at, _)| Column::of(&opened.metadata, *at, &[0]).is_some());
        own.map(|(_, field)| field.name().clone()).collect::<Vec<_>>()
    };
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let all = ["flux", "ivar", "mask", "wave", "nights", "gaps", "holes", "bits"];
    assert_eq!(own(plain().build()), all);
    assert_eq!(own(plain().set_compression(Compression::LZ4_RAW).build()), [""; 0]);
    assert_eq!(own(plain().set_offset_index_disabled(true).build()), [""; 0]);
    let path = ["mask", "list", "element"].map(str::to_owned).to_vec();
    let delta = plain().set_column_encoding(path.into(), Encoding::DELTA_BINARY_PACKED).build();
    assert_eq!(own(delta), ["flux", "ivar", "wave", "nights", "gaps", "holes", "bits"]);
}

#[test]
fn damaged_pages_are_named_and_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let mut named = 0;
    for seed in 0..60 {
        let dice = &mut Dice::seed_from_u64(seed);
        let rows = dice.random_range(20..120);
        let batch = table(dice, rows);
        let good = write(&path, &batch, properties(dice));
        let footer = open(&good, None).expect("opened").metadata;
        let end = footer.metadata().row_groups().iter().flat_map(|group| group.columns());
        let end = end.map(|chunk| chunk.byte_range()).map(|(start, length)| start + length).max();
        let whole = fs::read(&path).expect("bytes");
        let columns: Vec<usize> = (0..batch.num_columns())
            .filter(|at| {
                (0..footer.metadata().num_row_groups())
                    .all(|g| Column::of(&footer, *at, &[g]).is_some())
            })
            .collect();
        for _ in 0..20 {
            if columns.is_empty() {
                break;
            }
            let mut bytes = whole.clone();
            for _ in 0..dice.random_range(1..30) {
                let at = dice.random_range(4..end.expect("columns") as usize);
                bytes[at] = dice.random();
            }
            fs::write(&path, &bytes).expect("damaged");
            let opened = open(&source(&path), None).expect("opened");
            let groups = (0..opened.metadata.metadata().num_row_groups()).collect();
            let mut reader = opened.reader(groups, &columns, 16, None, &path).expect("built");
            if let Some(error) = reader.find_map(Result::err) {
                let said = error.to_string();
                assert!(said.contains("a.parquet") && said.contains("of row group"), "{said}");
                named += 1;
            }
        }
    }
    assert!(named > 100, "only {named} were found");
}

#[test]
fn a_page_that_states_too_much_is_refused() {
    let mut scratch = Scratch::default();
    scratch.packed = vec![0; 100];
    for codec in [Compression::ZSTD(ZstdLevel::default()), Compression::SNAPPY] {
        let refused = scratch.unpack(0..100, 1 << 31, (codec, usize::MAX));
        assert!(matches!(refused, Err(Fault::Size)));
    }
    let refused = scratch.unpack(0..100, 5000, (Compression::SNAPPY, 4000));
    assert!(matches!(refused, Err(Fault::Size)));
    assert!(scratch.plain.is_empty());
}

#[test]
fn checksums_are_compared() {
    // a dictionary page of no value, of bytes with a checksum
    let body = [1u8, 2, 3];
    let crc = crc32fast::hash(&body) as i32;
    let mut bytes = vec![0x15, 4, 0x15, 6, 0x15, 6, 0x15];
    let mut number = ((crc as i64) << 1 ^ ((crc as i64) >> 63)) as u64;
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes.extend([0x3c, 0x15, 0, 0x15, 0, 0, 0]);
    let header = Header::read(&bytes).expect("a header");
    assert_eq!(
        (header.kind, header.length, header.packed_bytes),
        (Kind::Dictionary, bytes.len(), 3)
    );
    assert!(header.agrees(&body) && !header.agrees(&[1, 2, 4]));
}

#[test]
fn no_bytes_make_it_panic() {
    let dice = &mut Dice::seed_from_u64(1);
    let mut rows = Rows::default();
    for _ in 0..20_000 {
        let mut bytes = [0; 24];
        dice.fill_bytes(&mut bytes);
        let _ = Header::read(&bytes);
        let (repetition, definition) = bytes.split_at(dice.random_range(0..24));
        let (has_null, has_null_value) = (dice.random_bool(0.5), dice.random_bool(0.5));
        let depth = Depth { has_null, has_null_value };
        let count = dice.random_range(0..200);
        let _ = rows.find((repetition, definition), count, dice.random_range(0..50), depth);
        for encoding in [Written::Plain, Written::Split, Written::Dictionary] {
            let values = Values { bytes: &bytes, count, encoding };
            let end = dice.random_range(0..=count);
            let _ = values.append(0..end, &[1u32, 2, 3], &mut Vec::new());
            let _ = values.append(end..count, &[1u64, 2, 3], &mut Vec::new());
        }
    }
}

#[test]
fn rows_are_found_by_brute_force_too() {
    let dice = &mut Dice::seed_from_u64(2);
    for _ in 0..2000 {
        let (has_null, has_null_value) = (dice.random_bool(0.5), dice.random_bool(0.5));
        let depth = Depth { has_null, has_null_value };
        // NULL, empty or so many values
        let lengths: Vec<Option<usize>> = (0..dice.random_range(0..30))
            .map(|_| match dice.random_range(0..4) {
                0 if depth.has_null => None,
                1 => Some(0),
                _ => Some(dice.random_range(1..40)),
            })
            .collect();
        let (mut repetition, mut definition) = (Vec::new(), Vec::new());
        let (mut values, mut gone) = (0, Vec::new());
        for length in &lengths {
            for value in 0..length.unwrap_or(0).max(1) {
                repetition.push(u32::from(value > 0));
                definition.push(match length {
                    None => 0,
                    Some(0) => u32::from(has_null),
                    Some(_) => {
                        let is_gone = has_null_value && dice.random_bool(0.2);
                        gone.extend(is_gone.then_some(values));
                        values += 1;
                        depth.full() - u32::from(is_gone)
                    }
                });
            }
        }
        let bits = if depth.full() > 1 { 2 } else { 1 };
        let encoded = (hybrid_of(dice, &repetition, 1), hybrid_of(dice, &definition, bits));
        let mut rows = Rows::default();
        let levels = (encoded.0.as_slice(), encoded.1.as_slice());
        rows.find(levels, repetition.len(), lengths.len(), depth).expect("found");
        for (row, length) in lengths.iter().enumerate() {
            assert_eq!(rows.start(row + 1) - rows.start(row), length.unwrap_or(0));
            assert_eq!(rows.is_null(row), length.is_none());
        }
        assert_eq!((rows.values(), rows.gone(0..values as usize)), (values as usize, &gone[..]));
        assert!(rows.find(levels, repetition.len(), lengths.len() + 1, depth).is_err());
    }
}

/// Numbers in runs and packed stretches, as dice will have it.
fn hybrid_of(dice: &mut Dice, numbers: &[u32], bits: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|number| *number == first).count();
        let eights = rest.len().div_ceil(8).min(dice.random_range(1..4));
        let whole = (eights * 8).min(rest.len());
        if dice.random_bool(0.5) {
            out.push((same.min(60) << 1) as u8);
            out.push(*first as u8);
            rest = &rest[same.min(60)..];
        } else {
            out.push((eights << 1 | 1) as u8);
            let mut packed = vec![0u8; eights * bits];
            for (at, number) in rest[..whole].iter().enumerate() {
                for bit in (0..bits).filter(|bit| number >> bit & 1 == 1) {
                    packed[(at * bits + bit) / 8] |= 1 << ((at * bits + bit) % 8);
                }
            }
            out.extend(packed);
            rest = &rest[whole..];
        }
    }
    out
}

#[test]
fn runs_give_back_the_numbers() {
    let dice = &mut Dice::seed_from_u64(3);
    for _ in 0..2000 {
        let bits = dice.random_range(1..=8);
        let numbers: Vec<u32> = (0..dice.random_range(0..100))
            .map(|_| if dice.random_bool(0.5) { 0 } else { dice.random_range(0..1 << bits) })
            .collect();
        let bytes = hybrid_of(dice, &numbers, bits);
        let mut runs = Runs::new(&bytes, bits as u32, numbers.len());
        let mut found = Vec::new();
        while let Some(run) = runs.next().expect("whole") {
            match run {
                Run::Same(value, count) => found.extend(vec![value; count]),
                Run::Packed(bytes, count) => found.extend(unpacked(bytes, bits as u32, 0..count)),
            }
        }
        assert_eq!(found, numbers);
    }
}

#[test]
fn planes_are_joined() {
    let numbers: Vec<u64> = (0..1000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let planes = |bytes: usize| -> Vec<u8> {
        (0..bytes).flat_map(|plane| numbers.iter().map(move |n| (n >> (8 * plane)) as u8)).collect()
    };
    for range in [0..1000, 0..0, 17..18, 500..999] {
        let (eight, four) = (planes(8), planes(4));
        let values = |bytes| Values { bytes, count: 1000, encoding: Written::Split };
        let mut wide: Vec<u64> = Vec::new();
        values(&eight).append(range.clone(), &[], &mut wide).expect("joined");
        assert_eq!(wide, numbers[range.clone()]);
        let mut narrow: Vec<u32> = Vec::new();
        values(&four).append(range.clone(), &[], &mut narrow).expect("joined");
        assert_eq!(narrow, numbers[range].iter().map(|n| *n as u32).collect::<Vec<_>>());
    }
    assert_eq!((u32::BYTES, u64::BYTES), (4, 8));
}

#[test]
fn arrays_lie_in_one_piece() {
    let dice = &mut Dice::seed_from_u64(4);
    let array = lists::<Float32Type, i32>(dice, 10, Lengths::Same(5), false, false, |d| d.random());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.parquet");
    let batch =
        RecordBatch::try_from_iter_with_nullable([("flux", array, false)]).expect("a batch");
    let opened = open(&write(&path, &batch, WriterProperties::default()), None).expect("opened");
    let mut reader = opened.reader(vec![0], &[0], 4, None, &path).expect("built");
    let first = reader.next().expect("a batch").expect("read");
    let list = first.column(0).as_any().downcast_ref::<ListArray>().expect("a list");
    assert_eq!((list.offsets()[0], list.values().len(), list.null_count()), (0, 20, 0));
}
