use super::*;
use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type};
use half_of::half;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use std::io::Write;

mod half_of {
    use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
    pub(super) type Half = <Float16Type as ArrowPrimitiveType>::Native;
    pub(super) fn half(value: f32) -> Half {
        Half::from_f32(value)
    }
}

/// One column of every kind that has bounds, and some that have none.
pub(super) fn batch() -> RecordBatch {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>((0..6).map(|i| Some([Some(i)])));
    let pair = StructArray::from(vec![(
        std::sync::Arc::new(Field::new("inside", DataType::Int32, false)),
        std::sync::Arc::new(Int32Array::from_iter_values(0..6)) as ArrayRef,
    )]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("flag", Arc::new(BooleanArray::from(vec![false, false, false, true, false, true]))),
        ("flux", Arc::new(list)),
        ("small", Arc::new(Int8Array::from(vec![-3, 5, 4, 0, 1, -128]))),
        ("target_id", Arc::new(Int64Array::from(vec![39_627_000_000_000_001, 2, 3, 4, -5, 6]))),
        ("count", Arc::new(UInt32Array::from(vec![u32::MAX, 0, 1, 2, 3, 4]))),
        ("huge", Arc::new(UInt64Array::from(vec![u64::MAX, 7, 8, 9, 10, 11]))),
        ("half", Arc::new(Float16Array::from_iter_values([1.5f32, -2., 0., 1., 2., 3.].map(half)))),
        (
            "z",
            Arc::new(Float64Array::from(vec![Some(0.5), None, Some(f64::NAN), None, None, None])),
        ),
        ("pair", Arc::new(pair)),
        ("snr", Arc::new(Float32Array::from(vec![0.1, -0.0, 3.5, f32::INFINITY, 2.0, 1.0]))),
        ("Spectype", Arc::new(StringArray::from(vec!["STAR", "GALAXY", "QSO", "é", "", "a"]))),
        ("night", Arc::new(Date32Array::from(vec![1, 2, 3, 4, 5, 6]))),
        ("program", Arc::new(vec!["dark"; 6].into_iter().collect::<DictionaryArray<Int32Type>>())),
    ];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

pub(super) fn written(
    batch: &RecordBatch,
    properties: WriterProperties,
) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let handle = file.reopen().expect("a handle");
    let mut writer =
        ArrowWriter::try_new(handle, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
    file
}

fn read(file: &tempfile::NamedTempFile) -> Result<Footer, Error> {
    let handle = file.reopen()?;
    let size_bytes = handle.metadata()?.len();
    Footer::read(&handle, size_bytes, &Schemas::default())
}

fn of_bytes(bytes: &[u8]) -> Result<Footer, Error> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    read(&file)
}

#[test]
fn bounds_of_every_kind_are_found() {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(3)).build();
    let footer = read(&written(&batch(), properties)).expect("a footer");
    assert_eq!((footer.bounds.num_rows, footer.groups.len(), footer.num_row_groups), (6, 2, 2));
    let whole = &footer.bounds;
    let slot = |name: &str| footer.schema.column(name).and_then(|c| c.slot).expect("a slot") - 1;
    let ints = |name: &str| (whole.ints[slot(name)].min, whole.ints[slot(name)].max);
    let floats = |name: &str| (whole.floats[slot(name)].min, whole.floats[slot(name)].max);
    assert_eq!(ints("flag"), (Some(0), Some(1)));
    assert_eq!(footer.groups[0].ints[slot("flag")].max, Some(0));
    assert_eq!(ints("small"), (Some(-128), Some(5)));
    assert_eq!(ints("target_id"), (Some(-5), Some(39_627_000_000_000_001)));
    assert_eq!(ints("count"), (Some(0), Some(i64::from(u32::MAX))));
    assert_eq!(ints("huge"), (Some(7), None), "what is beyond an i64 is unknown");
    assert_eq!(floats("half"), (Some(-2.0), Some(3.0)));
    assert_eq!(floats("snr"), (Some(0.0), Some(f64::INFINITY)));
    assert_eq!(floats("z"), (Some(0.5), Some(0.5)), "a group of NULLs alone adds nothing");
    let spectype = &whole.texts[slot("spectype")];
    assert_eq!((spectype.min.as_deref(), spectype.max.as_deref()), (Some(""), Some("é")));
    assert!(spectype.is_exact);
    let position = footer.schema.column("z").and_then(|c| c.position).expect("a position") - 1;
    assert_eq!(whole.null_count[position], Some(4));
    assert!(footer.groups[1].is_void(position) && !whole.is_void(position));
    for name in ["flux", "pair", "night"] {
        let column = footer.schema.column(name).expect("a column");
        assert_eq!((column.kind, column.slot), (Kind::Other, None));
    }
    assert_eq!(footer.schema.column("snr").map(|c| c.data_type.as_str()), Some("Float32"));
    assert_eq!(footer.schema.column("SPECTYPE").map(|c| c.name.as_str()), Some("Spectype"));
    assert!(!footer.is_ours());
}

/// The parquet crate decodes the same file; where it has a bound, we have the same.
#[test]
fn it_agrees_with_the_parquet_crate() {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let file = written(&batch(), properties);
    let footer = read(&file).expect("a footer");
    let reader = SerializedFileReader::new(file.reopen().expect("a handle")).expect("a reader");
    let mut compared = 0;
    for (group, ours) in reader.metadata().row_groups().iter().zip(&footer.groups) {
        assert_eq!(group.num_rows(), ours.num_rows);
        for chunk in group.columns() {
            let [name] = chunk.column_path().parts() else { continue };
            let column = footer.schema.column(name).expect("a column");
            let (Some(slot), Some(theirs)) = (column.slot, chunk.statistics()) else { continue };
            let nulls = theirs.null_count_opt().map(|n| n as i32);
            assert_eq!(ours.null_count[column.position.expect("a position") - 1], nulls);
            compared += 1;
            match theirs {
                Statistics::Int64(s) if name == "target_id" => {
                    assert_eq!(ours.ints[slot - 1].min.as_ref(), s.min_opt());
                    assert_eq!(ours.ints[slot - 1].max.as_ref(), s.max_opt());
                }
                Statistics::Double(s) => {
                    assert_eq!(ours.floats[slot - 1].min.as_ref(), s.min_opt());
                    assert_eq!(ours.floats[slot - 1].max.as_ref(), s.max_opt());
                }
                Statistics::ByteArray(s) => {
                    let text =
                        |b: &parquet::data_type::ByteArray| b.as_utf8().ok().map(str::to_owned);
                    assert_eq!(ours.texts[slot - 1].min, s.min_opt().and_then(text));
                    assert_eq!(ours.texts[slot - 1].max, s.max_opt().and_then(text));
                }
                _ => {}
            }
        }
    }
    assert_eq!(compared, 3 * 10);
}

#[test]
fn without_statistics_everything_is_unknown() {
    let properties =
        WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
    let whole = read(&written(&batch(), properties)).expect("a footer").bounds;
    assert_eq!(whole.num_rows, 6);
    assert!(whole.ints.iter().all(|e| e.min.is_none() && e.max.is_none()));
    assert!(whole.floats.iter().all(|e| e.min.is_none() && e.max.is_none()));
    assert!(whole.texts.iter().all(|e| e.min.is_none() && e.max.is_none()));
}

#[test]
fn a_file_without_rows_has_a_footer() {
    let footer = read(&written(&batch().slice(0, 0), WriterProperties::default())).expect("one");
    assert_eq!((footer.num_row_groups, footer.groups.len(), footer.bounds.num_rows), (0, 0, 0));
    assert!(footer.bounds.is_void(0));
}

#[test]
fn footers_of_any_length_are_read_one_after_the_other() {
    let file = |kib: usize| {
        let note = KeyValue::new("bifrost.notes".to_owned(), "n".repeat(kib << 10));
        let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![note]));
        written(&batch(), properties.build())
    };
    let (mut tail, schemas) = (Tail::default(), Schemas::default());
    for kib in [0, 0, 1, 40, 0, 15, 16, 300, 0, 127, 128, 129, 0, 0, 17] {
        let file = file(kib).into_file();
        let size_bytes = file.metadata().expect("metadata").len();
        let footer = tail.footer(&file, size_bytes, &schemas).expect("a footer");
        let alone = Footer::read(&file, size_bytes, &schemas).expect("a footer");
        assert_eq!((footer.hash, &footer.bounds), (alone.hash, &alone.bounds), "{kib}");
        assert_eq!(footer.value("bifrost.notes").map(str::len), Some(kib << 10));
        // what came with it is what lies there
        let end = size_bytes - 8..size_bytes;
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, end.start).expect("bytes");
        assert_eq!(tail.part(&end), Some(&bytes[..]), "{kib}");
    }
}

#[test]
fn texts_are_cut_so_that_they_still_bound() {
    let long = "ü".repeat(100);
    let texts = StringArray::from(vec![long.as_str(), "zu\0zz"]);
    let batch = RecordBatch::try_from_iter([("t", Arc::new(texts) as ArrayRef)]).expect("a batch");
    let properties = WriterProperties::builder().set_statistics_truncate_length(None).build();
    let whole = read(&written(&batch, properties)).expect("a footer").bounds;
    assert_eq!(whole.texts[0].min.as_deref(), Some("zu"));
    let max = whole.texts[0].max.as_deref().expect("a bound");
    assert!(max.len() <= 64 && max > long.as_str());
    assert!(!whole.texts[0].is_exact);
}

#[test]
fn files_that_agree_share_one_schema() {
    let schemas = Schemas::default();
    let footers = [6, 3].map(|rows| {
        let file = written(&batch().slice(0, rows), WriterProperties::default());
        let handle = file.reopen().expect("a handle");
        let size = handle.metadata().expect("metadata").len();
        Footer::read(&handle, size, &schemas).expect("a footer")
    });
    assert!(Arc::ptr_eq(&footers[0].schema, &footers[1].schema));
    assert_ne!(footers[0].hash, footers[1].hash);
}

#[test]
fn what_is_wrong_is_named() {
    let file = written(&batch(), WriterProperties::default());
    let bytes = std::fs::read(file.path()).expect("bytes");
    assert!(matches!(of_bytes(&[]), Err(Error::Empty)));
    assert!(matches!(of_bytes(b"PA"), Err(Error::NotParquet)));
    assert!(matches!(of_bytes(b"SIMPLE  =                    T"), Err(Error::NotParquet)));
    assert!(matches!(of_bytes(&bytes[..bytes.len() - 1]), Err(Error::CutShort)));
    assert!(matches!(of_bytes(&bytes[bytes.len() - 40..]), Err(Error::FooterBeyondFile { .. })));
    let mut encrypted = bytes.clone();
    encrypted.truncate(bytes.len() - 4);
    encrypted.extend(b"PARE");
    assert!(matches!(of_bytes(&encrypted), Err(Error::Encrypted)));
}

/// The parquet crate descends into a schema as deep as it goes, and with it the program went down.
#[test]
fn a_deep_schema_is_refused_before_anyone_descends() {
    let depth = 100_000;
    // a list of as many groups, each named "g" and holding the next
    let mut footer = vec![0x29, 0xfc, 0xa0, 0x8d, 0x06];
    (0..depth).for_each(|_| footer.extend([0x48, 1, b'g', 0x15, 2, 0]));
    // no rows in no row groups
    footer.extend([0x16, 0, 0x19, 0x0c, 0]);
    let refused = decode::footer(&footer, 4, &Schemas::default()).expect_err("too deep");
    assert!(refused.to_string().contains("nested too deep"), "{refused}");
}

#[test]
fn damage_never_panics() {
    crate::guard::keep_quiet();
    let file = written(&batch(), WriterProperties::default());
    let bytes = std::fs::read(file.path()).expect("bytes");
    let (body, _) = bytes.split_at(bytes.len() - 8);
    let length = u32::from_le_bytes(bytes[body.len()..][..4].try_into().expect("four bytes"));
    let footer = &body[body.len() - length as usize..];
    let schemas = Schemas::default();
    let mut seed = 3u64;
    let mut random = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize
    };
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut damaged = footer.to_vec();
        for _ in 0..=random() % 3 {
            let at = random() % damaged.len();
            damaged[at] = random() as u8;
        }
        damaged.truncate(damaged.len() - random() % 2 * (random() % damaged.len()));
        refused += usize::from(decode::footer(&damaged, body.len() as u64, &schemas).is_err());
    }
    assert!(refused > 1_000, "only {refused} were refused");
}
