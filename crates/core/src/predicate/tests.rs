//! Filter against a row-by-row interpreter, bounds against the filter, on random tables.

use super::bounds::{Verdict, judge};
use super::filter::{Filter, matches};
use super::needs::{self, Interval};
use super::{Error, Literal, Op, Predicate, column};
use crate::bounds::{Bounds, Known, Value};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float16Array, Float32Array, Float64Array, Int8Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

const ID: i64 = 39_627_800_000_000_001;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .expect("columns of one length")
}

fn hits(text: &str, batch: &RecordBatch) -> Vec<usize> {
    let predicate = Predicate::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let found = matches(&predicate, batch).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(found.null_count(), 0);
    found.values().set_indices().collect()
}

#[test]
fn every_type_is_compared_as_duckdb_compares_it() {
    let f = |v: &[Option<f32>]| Arc::new(Float32Array::from(v.to_vec())) as ArrayRef;
    let batch = batch(vec![
        ("f", f(&[Some(0.1), Some(f32::NAN), Some(0.7), None])),
        ("d", Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN), Some(-0.0), None]))),
        ("i", Arc::new(Int64Array::from(vec![Some(ID), Some(ID - 1), Some(-3), None]))),
        ("u", Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(1), Some(0), None]))),
        ("t", Arc::new(Int8Array::from(vec![Some(127), Some(1), Some(-128), None]))),
        (
            "h",
            Arc::new(Float16Array::from_iter(
                [Some(0.5), Some(f32::NAN), Some(2.0), None].map(|v| v.map(half)),
            )),
        ),
        ("s", Arc::new(StringArray::from(vec![Some("QSO"), Some("qso"), Some(""), None]))),
        ("l", Arc::new(LargeStringArray::from(vec![Some("QSO"), Some("qso"), Some(""), None]))),
        ("v", Arc::new(StringViewArray::from(vec![Some("QSO"), Some("qso"), Some(""), None]))),
        (
            "c",
            Arc::new(DictionaryArray::<Int32Type>::from_iter([
                Some("QSO"),
                Some("qso"),
                Some(""),
                None,
            ])),
        ),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(false), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(18_761), Some(0), Some(-1), None]))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(1_000_000),
                Some(0),
                Some(-1),
                None,
            ])),
        ),
    ]);
    for (text, rows) in [
        ("f = 0.1", vec![0]),
        ("f = 1e-1", vec![]),
        ("f IN (0.7, 1)", vec![2]),
        ("f IN (0.7, 1e0)", vec![]),
        ("f NOT IN (0.7, 1e0)", vec![0, 2]),
        ("f BETWEEN 0.7 AND 1e0", vec![]),
        ("f BETWEEN 0.7 AND 1", vec![2]),
        ("NOT (f > 0.5)", vec![0]),
        ("f <> 5", vec![0, 2]),
        ("f IS NULL", vec![3]),
        ("NOT (f IS NULL)", vec![0, 1, 2]),
        ("(f > 0) IS NOT TRUE", vec![1, 3]),
        ("f > 1e39 OR d = 0", vec![2]),
        ("d = 1e-1", vec![0]),
        ("d IN (0, 0.1)", vec![0, 2]),
        ("d NOT IN (0.1, NULL)", vec![]),
        ("d IN (0.1, NULL)", vec![0]),
        ("i = 39627800000000001", vec![0]),
        ("i = 39627800000000001.0", vec![0]),
        ("i = 39627800000000001e0", vec![0, 1]),
        ("i IN (39627800000000001, 1.5)", vec![0]),
        ("i > -2.5", vec![0, 1]),
        ("i <= -2.5", vec![2]),
        ("i <> 2.5", vec![0, 1, 2]),
        ("i < 99999999999999999999", vec![0, 1, 2]),
        ("u = 18446744073709551615", vec![0]),
        ("u > -1", vec![0, 1, 2]),
        ("t < 300", vec![0, 1, 2]),
        ("t = -128", vec![2]),
        ("h >= 0.5", vec![0, 2]),
        ("s = 'QSO'", vec![0]),
        ("l > 'QSO'", vec![1]),
        ("v IN ('qso', '')", vec![1, 2]),
        ("c NOT IN ('qso', '')", vec![0]),
        ("c < 'a' AND NOT s = 'x'", vec![0, 2]),
        ("b", vec![0]),
        ("NOT b", vec![1, 2]),
        ("b IS NOT TRUE", vec![1, 2, 3]),
        ("b IN (FALSE) OR b < FALSE", vec![1, 2]),
        ("day = '2021-05-14'", vec![0]),
        ("day < '1970-01-01'", vec![2]),
        ("at >= '1970-01-01T00:00:01Z'", vec![0]),
        ("at IN ('1970-01-01', '1970-01-01 00:00:01')", vec![0, 1]),
        ("NULL OR b", vec![0]),
        ("b = NULL", vec![]),
        ("TRUE", vec![0, 1, 2, 3]),
    ] {
        assert_eq!(hits(text, &batch), rows, "{text}");
    }
}

fn half(v: f32) -> <arrow::datatypes::Float16Type as arrow::array::ArrowPrimitiveType>::Native {
    <arrow::datatypes::Float16Type as arrow::array::ArrowPrimitiveType>::Native::from_f32(v)
}

#[test]
fn decimals_are_compared_digit_by_digit() {
    let column = |array: &dyn Array, kind: DataType| cast(array, &kind).expect("decimals");
    let tenths = Float64Array::from(vec![Some(0.1), Some(-2.5), Some(17.0), None]);
    let huge = Decimal128Array::from(vec![10i128.pow(38) - 1, 1 - 10i128.pow(38), 0, 7]);
    let huge = huge.with_precision_and_scale(38, 0).expect("38 digits");
    let ids = Int64Array::from(vec![Some(ID), Some(ID - 1), Some(-3), None]);
    let batch = batch(vec![
        ("small", column(&tenths, DataType::Decimal32(9, 3))),
        ("middle", column(&tenths, DataType::Decimal64(18, 1))),
        ("large", column(&tenths, DataType::Decimal128(38, 10))),
        ("largest", column(&tenths, DataType::Decimal256(50, 10))),
        ("tens", column(&Int64Array::from(vec![10, 20, -30, 0]), DataType::Decimal128(9, -1))),
        ("target_id", column(&ids, DataType::Decimal128(20, 0))),
        ("huge", Arc::new(huge)),
    ]);
    for name in ["small", "middle", "large", "largest"] {
        for (text, rows) in [
            ("= 0.1", vec![0]),
            ("= 0.10000000000000000000001", vec![]),
            ("< 0.10000000000000000000001", vec![0, 1]),
            ("= 1e-1", vec![0]),
            ("> 1e-1", vec![2]),
            ("<> 17", vec![0, 1]),
            (">= -2.5", vec![0, 1, 2]),
            ("IN (-2.50, 17, 99)", vec![1, 2]),
            ("NOT IN (0.1, NULL)", vec![]),
            ("NOT IN (0.1, 17e0)", vec![1]),
            ("IS NULL", vec![3]),
        ] {
            assert_eq!(hits(&format!("{name} {text}"), &batch), rows, "{name} {text}");
        }
    }
    for name in ["small", "middle", "large"] {
        let text = format!("{name} < 99999999999999999999999999999999999999");
        assert_eq!(hits(&text, &batch), [0, 1, 2], "{text}");
    }
    let beyond = Predicate::parse("largest < 99999999999999999999999999999999999999");
    assert!(matches(&beyond.expect("a predicate"), &batch).is_err());
    for (text, rows) in [
        ("tens = 20", vec![1]),
        ("tens > 15.5", vec![1]),
        ("targetid = 39627800000000001", vec![0]),
        ("targetid IN (39627800000000000, -3)", vec![1, 2]),
        ("huge = 99999999999999999999999999999999999999", vec![0]),
        ("huge < -99999999999999999999999999999999999998", vec![1]),
        ("huge = 0", vec![2]),
    ] {
        assert_eq!(hits(text, &batch), rows, "{text}");
    }
}

#[test]
fn wrong_types_and_names_are_named() {
    let list =
        arrow::array::ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(1.0)])]);
    let batch = batch(vec![
        ("spectype", Arc::new(StringArray::from(vec!["QSO"]))),
        ("z", Arc::new(Float64Array::from(vec![1.0]))),
        ("flux", Arc::new(list)),
        ("day", Arc::new(Date32Array::from(vec![1]))),
    ]);
    let fails = |text: &str| {
        let predicate = Predicate::parse(text).expect("a predicate");
        matches(&predicate, &batch).expect_err(text)
    };
    for (text, says) in [
        ("spectype = 1", "column 'spectype' holds text and cannot be compared with 1"),
        ("z = '1'", "column 'z' holds numbers and cannot be compared with '1'"),
        ("z IN ('a')", "column 'z' holds numbers and cannot be compared with 'a'"),
        ("flux > 1", "column 'flux' holds arrays and cannot be compared with 1"),
        ("z", "column 'z' holds numbers and cannot be compared with TRUE"),
        ("day = 'today'", "cannot be compared with 'today'"),
    ] {
        assert!(fails(text).to_string().contains(says), "{}", fails(text));
    }
    assert_eq!(hits("flux IS NOT NULL", &batch), [0]);
    let error = fails("zz > 1 AND spectype = 'a'");
    assert!(matches!(&error, Error::UnknownColumn { nearest: Some(n), .. } if n == "z"), "{error}");
}

/// A cell as the interpreter sees it.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Nan,
    Value(Value),
}

/// The slow, obvious meaning of a predicate for one row.
fn truth(predicate: &Predicate, row: &BTreeMap<&str, Cell>) -> Option<bool> {
    let compare = |column: &str, op: Op, literal: &Literal| -> Option<bool> {
        let Some(Cell::Value(value)) = row.get(column) else { return None };
        let order = match (value, literal) {
            (_, Literal::Null) => return None,
            (Value::Float(v), Literal::Number(n)) => v.partial_cmp(&n.to_f64()),
            (Value::Int(v), Literal::Number(n)) if n.is_double() => {
                (*v as f64).partial_cmp(&n.to_f64())
            }
            (Value::Int(v), Literal::Number(n)) => {
                // tenths are exact enough for the literals made here
                Some((*v * 10).cmp(&((n.to_f64() * 10.0).round() as i128)))
            }
            (Value::Text(v), Literal::Text(t)) => Some(v.as_bytes().cmp(t.as_bytes())),
            (Value::Bool(v), Literal::Bool(b)) => Some(v.cmp(b)),
            other => panic!("mixed types: {other:?}"),
        };
        order.map(|o| op.holds(o))
    };
    match predicate {
        Predicate::Constant(truth) => *truth,
        Predicate::Compare { column, op, literal } => compare(column, *op, literal),
        Predicate::Column(column) => compare(column, Op::Eq, &Literal::Bool(true)),
        Predicate::In { column, list, has_null } => {
            use super::literal::List;
            let literals: Vec<Literal> = match list {
                List::Bools(l) => l.iter().map(|b| Literal::Bool(*b)).collect(),
                List::Numbers(l) => l.iter().map(|n| Literal::Number(*n)).collect(),
                List::Texts(l) => l.iter().map(|t| Literal::Text(t.clone())).collect(),
            };
            let mut all: Vec<Option<bool>> =
                literals.iter().map(|l| compare(column, Op::Eq, l)).collect();
            all.extend(has_null.then_some(None));
            or(all)
        }
        Predicate::IsNull(column) => {
            Some(row.get(column.as_str()).is_none_or(|c| *c == Cell::Null))
        }
        Predicate::Is(inner, wanted) => Some(truth(inner, row) == Some(*wanted)),
        Predicate::Not(inner) => truth(inner, row).map(|t| !t),
        Predicate::And(parts) => {
            or(parts.iter().map(|p| truth(p, row).map(|t| !t)).collect()).map(|t| !t)
        }
        Predicate::Or(parts) => or(parts.iter().map(|p| truth(p, row)).collect()),
    }
}

fn or(all: Vec<Option<bool>>) -> Option<bool> {
    if all.contains(&Some(true)) {
        Some(true)
    } else if all.contains(&None) {
        None
    } else {
        Some(false)
    }
}

const COLUMNS: [&str; 5] = ["x", "n", "s", "b", "gone"];

fn random_cell(column: &str, rng: &mut impl Rng, spread: i128) -> Cell {
    if rng.random_ratio(1, 8) {
        return Cell::Null;
    }
    Cell::Value(match column {
        "x" if rng.random_ratio(1, 10) => return Cell::Nan,
        "x" => Value::Float(rng.random_range(0..4 * spread) as f64 / 4.0),
        "n" => Value::Int(rng.random_range(-spread..spread)),
        "s" => Value::Text(
            ["", "a", "ab", "b", "bä"].choose(rng).map(|t| (*t).to_owned()).unwrap_or_default(),
        ),
        "b" => Value::Bool(rng.random()),
        _ => return Cell::Null,
    })
}

fn random_literal(column: &str, rng: &mut impl Rng) -> String {
    match column {
        _ if rng.random_ratio(1, 30) => "NULL".into(),
        "s" => format!("'{}'", ["", "a", "aa", "b", "c"].choose(rng).unwrap_or(&"")),
        "b" => rng.random::<bool>().to_string(),
        _ => {
            let tenths = rng.random_range(-40..120);
            [
                format!("{}", tenths / 10),
                format!("{}", f64::from(tenths) / 10.0),
                format!("{tenths}e-1"),
            ]
            .choose(rng)
            .cloned()
            .unwrap_or_default()
        }
    }
}

fn random_text(rng: &mut impl Rng, depth: u32) -> String {
    let column = *COLUMNS.choose(rng).expect("columns");
    let mut literal = || random_literal(column, rng);
    let (a, b, c) = (literal(), literal(), literal());
    if depth > 0 && rng.random_ratio(3, 5) {
        let (left, right) = (random_text(rng, depth - 1), random_text(rng, depth - 1));
        return match rng.random_range(0..5) {
            0 => format!("NOT ({left})"),
            1 => format!(
                "({left}) IS {}",
                ["TRUE", "NOT TRUE", "FALSE"].choose(rng).unwrap_or(&"TRUE")
            ),
            2 | 3 => format!("({left}) AND ({right})"),
            _ => format!("({left}) OR ({right})"),
        };
    }
    match rng.random_range(0..8) {
        0 => format!("{column} IS NULL"),
        1 => format!("{column} IN ({a}, {b}, {c})"),
        2 => format!("{column} NOT IN ({a}, {b})"),
        3 => format!("{column} BETWEEN {a} AND {b}"),
        4 if column == "b" => "b".into(),
        _ => format!(
            "{column} {} {a}",
            ["=", "<>", "<", "<=", ">", ">="].choose(rng).unwrap_or(&"=")
        ),
    }
}

type Table = Vec<BTreeMap<&'static str, Cell>>;

fn random_table(rng: &mut impl Rng) -> Table {
    let spread = *[1, 3, 12].choose(rng).unwrap_or(&3);
    let rows = rng.random_range(0..6);
    (0..rows).map(|_| COLUMNS.map(|c| (c, random_cell(c, rng, spread))).into()).collect()
}

fn as_type(array: ArrayRef, types: &[DataType], rng: &mut impl Rng) -> ArrayRef {
    cast(&array, types.choose(rng).expect("types")).expect("a lossless cast")
}

fn as_batch(table: &Table, rng: &mut impl Rng) -> RecordBatch {
    let cells = |name: &str| table.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    let floats = cells("x").into_iter().map(|c| match c {
        Cell::Nan => Some(f64::NAN),
        Cell::Value(Value::Float(v)) => Some(v),
        _ => None,
    });
    let integers = cells("n").into_iter().map(|c| match c {
        Cell::Value(Value::Int(v)) => i64::try_from(v).ok(),
        _ => None,
    });
    let texts = cells("s").into_iter().map(|c| match c {
        Cell::Value(Value::Text(v)) => Some(v),
        _ => None,
    });
    let truths = cells("b").into_iter().map(|c| match c {
        Cell::Value(Value::Bool(v)) => Some(v),
        _ => None,
    });
    let dictionary = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
    batch(vec![
        (
            "x",
            as_type(
                Arc::new(floats.collect::<Float64Array>()),
                &[DataType::Float64, DataType::Float16],
                rng,
            ),
        ),
        (
            "n",
            as_type(
                Arc::new(integers.collect::<Int64Array>()),
                &[DataType::Int64, DataType::Int8],
                rng,
            ),
        ),
        (
            "s",
            as_type(
                Arc::new(texts.collect::<StringArray>()),
                &[DataType::Utf8, DataType::Utf8View, dictionary],
                rng,
            ),
        ),
        ("b", Arc::new(truths.collect::<BooleanArray>())),
    ])
}

/// True bounds, then made worse in ways that keep them true.
fn random_bounds(table: &Table, column: &str, rng: &mut impl Rng) -> Bounds {
    let cells: Vec<&Cell> = table.iter().map(|row| &row[column]).collect();
    let mut values: Vec<Value> = cells
        .iter()
        .filter_map(|c| match c {
            Cell::Value(v) => Some(v.clone()),
            _ => None,
        })
        .collect();
    values.sort_by(|a, b| a.order(b).expect("one kind"));
    let mut bounds = Bounds {
        min: values.first().cloned(),
        max: values.last().cloned(),
        is_exact: true,
        null_count: Some(cells.iter().filter(|c| ***c == Cell::Null).count() as u64),
        has_nan: Some(cells.iter().any(|c| **c == Cell::Nan)),
    };
    if rng.random_ratio(1, 5) {
        bounds.null_count = None;
    }
    if rng.random_ratio(1, 5) {
        bounds.has_nan = None;
    }
    match rng.random_range(0..10) {
        0 => bounds.min = None,
        1 => bounds.max = None,
        2 => {
            bounds.is_exact = false;
            match (&mut bounds.min, &mut bounds.max) {
                (Some(Value::Int(a)), Some(Value::Int(b))) => (*a, *b) = (*a - 1, *b + 2),
                (Some(Value::Float(a)), Some(Value::Float(b))) => (*a, *b) = (*a - 0.3, *b + 0.3),
                (Some(Value::Text(a)), Some(Value::Text(b))) => {
                    (*a, *b) = (String::new(), format!("{b}x"))
                }
                _ => {}
            }
        }
        _ => {}
    }
    bounds
}

#[test]
fn the_filter_means_what_sql_means() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut matched = 0;
    for _ in 0..3000 {
        let table = random_table(&mut rng);
        let text = random_text(&mut rng, 3);
        let predicate = Predicate::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let batch = as_batch(&table, &mut rng);
        let filter = Filter::bind(&predicate, &batch.schema()).expect("bound");
        let found: Vec<Option<bool>> = filter.truth(&batch).iter().collect();
        let wanted: Vec<Option<bool>> = table.iter().map(|row| truth(&predicate, row)).collect();
        assert_eq!(found, wanted, "{text}\n{table:?}");
        let rows = filter.matches(&batch);
        assert_eq!(rows.null_count(), 0);
        assert_eq!(rows.true_count(), wanted.iter().filter(|t| **t == Some(true)).count());
        matched += rows.true_count();
    }
    assert!(matched > 1000, "only {matched} rows ever matched");
}

#[test]
fn bounds_never_lose_a_row() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut verdicts = [0; 3];
    for _ in 0..10_000 {
        let table = random_table(&mut rng);
        let text = random_text(&mut rng, 2);
        let predicate = Predicate::parse(&text).expect("a predicate");
        let all: BTreeMap<&str, Bounds> =
            COLUMNS.iter().map(|c| (*c, random_bounds(&table, c, &mut rng))).collect();
        let hidden = rng.random_ratio(1, 10).then(|| *COLUMNS.choose(&mut rng).expect("columns"));
        let known = |column: &str| match all.get(column) {
            _ if column == "gone" => Known::Absent,
            _ if Some(column) == hidden => Known::Unknown,
            Some(bounds) => Known::Bounds(bounds),
            None => Known::Absent,
        };
        let matching = table.iter().filter(|row| truth(&predicate, row) == Some(true)).count();
        let verdict = judge(&predicate, table.len() as u64, &known);
        let may = super::bounds::may(&predicate, table.len() as u64, &known);
        assert_eq!(may, verdict != Verdict::Never, "{text}\n{table:?}\n{all:?}");
        match verdict {
            Verdict::Never => assert_eq!(matching, 0, "{text}\n{table:?}\n{all:?}"),
            Verdict::Always => assert_eq!(matching, table.len(), "{text}\n{table:?}\n{all:?}"),
            Verdict::Maybe => {}
        }
        verdicts[verdict as usize] += 1;
        let (x, n) = (Interval::<f64>::of(&predicate, "x"), Interval::<i64>::of(&predicate, "n"));
        let (whole, s) = (needs::integers(&predicate, "n"), needs::texts(&predicate, "s"));
        for row in table.iter().filter(|row| truth(&predicate, row) == Some(true)) {
            let is_needed = row.values().all(|cell| match cell {
                Cell::Value(Value::Float(v)) => x.first <= *v && *v <= x.last,
                Cell::Value(Value::Int(v)) => {
                    let v = i64::try_from(*v).expect("small");
                    n.first <= v && v <= n.last && whole.as_ref().is_none_or(|l| l.contains(&v))
                }
                Cell::Value(Value::Text(v)) => s.as_ref().is_none_or(|l| l.contains(v)),
                _ => true,
            });
            assert!(is_needed, "{text}: {x:?} {n:?} {whole:?} {s:?} lose {row:?}");
        }
    }
    assert!(verdicts.iter().all(|n| *n > 500), "one-sided: {verdicts:?}");
}

#[test]
fn bounds_of_floats_know_both_widths() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut kept = 0;
    for _ in 0..10_000 {
        // values and literals that differ in the last bits of a float
        let base = rng.random_range(1..1000);
        let near = |rng: &mut ChaCha8Rng| {
            format!("{}.{:09}", base / 100, base % 100 * 10_000_000 + rng.random_range(0..40))
        };
        let value: f64 = near(&mut rng).parse().expect("a number");
        let column: ArrayRef = if rng.random() {
            Arc::new(Float32Array::from(vec![value as f32]))
        } else {
            Arc::new(Float64Array::from(vec![value]))
        };
        let (a, b, c) = (near(&mut rng), near(&mut rng), near(&mut rng));
        let text = match rng.random_range(0..4) {
            0 => format!("x IN ({a}, {b}, {c})"),
            1 => format!("x IN ({a}, {b}, {c}e0)"),
            2 => format!("x BETWEEN {a} AND {b}"),
            _ => format!(
                "x {} {a}",
                ["=", "<", "<=", ">", ">=", "<>"].choose(&mut rng).expect("ops")
            ),
        };
        let predicate = Predicate::parse(&text).expect("a predicate");
        let stored = cast(&column, &DataType::Float64).expect("a cast");
        let stored = Value::Float(stored.as_primitive::<Float64Type>().value(0));
        let bounds = Bounds {
            min: Some(stored.clone()),
            max: Some(stored),
            is_exact: true,
            null_count: Some(0),
            has_nan: Some(false),
        };
        let hit = matches(&predicate, &batch(vec![("x", column)])).expect("a filter").true_count();
        match judge(&predicate, 1, &|_| Known::Bounds(&bounds)) {
            Verdict::Never => assert_eq!(hit, 0, "{text} {bounds:?}"),
            Verdict::Always => assert_eq!(hit, 1, "{text} {bounds:?}"),
            Verdict::Maybe => kept += 1,
        }
    }
    assert!(kept < 7_000, "{kept} of 10000 undecided");
}

#[test]
fn long_lists_are_searched() {
    let ids: Vec<String> = (0..100_000).map(|i| (ID + i * 10).to_string()).collect();
    let predicate = Predicate::parse(&format!("target_id IN ({})", ids.join(","))).expect("a list");
    let judged = |min: i64, max: i64| {
        let bounds = Bounds {
            min: Some(Value::Int(min.into())),
            max: Some(Value::Int(max.into())),
            is_exact: true,
            null_count: Some(0),
            has_nan: Some(false),
        };
        judge(&predicate, 5, &|_| Known::Bounds(&bounds))
    };
    for i in (0..100_000).step_by(97) {
        let id = ID + i * 10;
        assert_eq!(judged(id - 9, id - 1), Verdict::Never);
        assert_eq!(judged(id - 9, id), Verdict::Maybe);
        assert_eq!(judged(id, id), Verdict::Always);
    }
}

#[test]
fn nonsense_in_footers_prunes_nothing() {
    let predicate = Predicate::parse("x > 5").expect("a predicate");
    let judged = |bounds: Bounds| judge(&predicate, 3, &|_| Known::Bounds(&bounds));
    let text = || Some(Value::Text("a".into()));
    assert_eq!(judged(Bounds { null_count: Some(4), ..Bounds::default() }), Verdict::Maybe);
    assert_eq!(judged(Bounds { min: text(), max: text(), ..Bounds::default() }), Verdict::Maybe);
    assert_eq!(judged(Bounds::default()), Verdict::Maybe);
    assert_eq!(judged(Bounds { null_count: Some(3), ..Bounds::default() }), Verdict::Never);
    assert_eq!(judge(&predicate, 0, &|_| Known::Unknown), Verdict::Never);
    assert_eq!(column::fold("TARGETID"), "target_id");
}
