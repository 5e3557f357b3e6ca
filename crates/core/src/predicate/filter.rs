//! Which rows of a batch match: SQL's three-valued logic over Arrow arrays.
//!
//! A predicate is bound to a schema once ([`Filter::bind`]), which chooses one test for each
//! column's type and finds type errors before a row is read; batches are then only evaluated.

use super::literal::List;
use super::{Error, Literal, Number, Op, Predicate, column};
use arrow::array::{
    Array, ArrayAccessor, ArrowPrimitiveType, AsArray, BooleanArray, RecordBatch, StringArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{and_kleene, cast, is_null, or_kleene, take};
use arrow::datatypes::{
    ArrowDictionaryKeyType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    i256,
};
use arrow::error::ArrowError;

/// Rows of `batch` that match; never NULL: unknown is no match.
///
/// # Errors
/// [`Error::UnknownColumn`] or [`Error::Type`].
pub fn matches(predicate: &Predicate, batch: &RecordBatch) -> Result<BooleanArray, Error> {
    let schema = batch.schema();
    predicate.check_columns(schema.fields().iter().map(|f| f.name().as_str()))?;
    Ok(Filter::bind(predicate, &schema)?.matches(batch))
}

/// A predicate bound to the types of a schema.
pub struct Filter {
    root: Node,
}

impl Filter {
    /// Chooses a test for every column. A column that the schema lacks is NULL in every row: files
    /// of an older schema answer so.
    ///
    /// # Errors
    /// [`Error::Type`] where a column cannot be compared with its literal.
    pub fn bind(predicate: &Predicate, schema: &Schema) -> Result<Self, Error> {
        Ok(Self { root: bind(predicate, schema)? })
    }

    /// Rows that match; never NULL. The batch must have the schema that was bound.
    #[must_use]
    pub fn matches(&self, batch: &RecordBatch) -> BooleanArray {
        let truth = self.truth(batch);
        match truth.nulls() {
            Some(nulls) => BooleanArray::new(truth.values() & nulls.inner(), None),
            None => truth,
        }
    }

    /// True, false or unknown (NULL) for each row.
    #[must_use]
    pub fn truth(&self, batch: &RecordBatch) -> BooleanArray {
        self.root.truth(batch)
    }
}

type Test = Box<dyn Fn(&dyn Array) -> BooleanArray + Send + Sync>;

enum Node {
    Constant(Option<bool>),
    Test { index: usize, test: Test },
    IsNull(usize),
    Is(Box<Node>, bool),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

impl Node {
    fn truth(&self, batch: &RecordBatch) -> BooleanArray {
        let rows = batch.num_rows();
        match self {
            Self::Constant(truth) => constant(*truth, rows),
            Self::Test { index, test } => test(batch.column(*index).as_ref()),
            Self::IsNull(index) => {
                is_null(batch.column(*index)).unwrap_or_else(|_| constant(Some(false), rows))
            }
            Self::Is(inner, wanted) => is(&inner.truth(batch), *wanted),
            Self::Not(inner) => {
                let truth = inner.truth(batch);
                BooleanArray::new(!truth.values(), truth.nulls().cloned())
            }
            Self::And(parts) => fold(parts, batch, true, and_kleene),
            Self::Or(parts) => fold(parts, batch, false, or_kleene),
        }
    }
}

fn fold(
    parts: &[Node],
    batch: &RecordBatch,
    neutral: bool,
    join: fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>,
) -> BooleanArray {
    let rows = batch.num_rows();
    parts.iter().map(|part| part.truth(batch)).fold(constant(Some(neutral), rows), |all, one| {
        // the lengths are equal, which is all that can be wrong
        join(&all, &one).unwrap_or_else(|_| constant(None, rows))
    })
}

fn constant(truth: Option<bool>, rows: usize) -> BooleanArray {
    BooleanArray::new(
        match truth {
            Some(true) => BooleanBuffer::new_set(rows),
            _ => BooleanBuffer::new_unset(rows),
        },
        truth.is_none().then(|| NullBuffer::new_null(rows)),
    )
}

fn is(truth: &BooleanArray, wanted: bool) -> BooleanArray {
    let values = if wanted { truth.values().clone() } else { !truth.values() };
    BooleanArray::new(truth.nulls().map_or(values.clone(), |nulls| &values & nulls.inner()), None)
}

fn bind(predicate: &Predicate, schema: &Schema) -> Result<Node, Error> {
    let each = |parts: &[Predicate]| {
        parts.iter().map(|part| bind(part, schema)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match predicate {
        Predicate::Constant(truth) => Node::Constant(*truth),
        Predicate::Compare { column, op, literal } => {
            leaf(schema, column, &Condition::Compare(*op, literal))?
        }
        Predicate::In { column, list, has_null } => {
            leaf(schema, column, &Condition::In { list, has_null: *has_null })?
        }
        Predicate::Column(column) => {
            leaf(schema, column, &Condition::Compare(Op::Eq, &Literal::Bool(true)))?
        }
        Predicate::IsNull(column) => match position(schema, column) {
            Some(index) => Node::IsNull(index),
            None => Node::Constant(Some(true)),
        },
        Predicate::Is(inner, truth) => Node::Is(Box::new(bind(inner, schema)?), *truth),
        Predicate::Not(inner) => Node::Not(Box::new(bind(inner, schema)?)),
        Predicate::And(parts) => Node::And(each(parts)?),
        Predicate::Or(parts) => Node::Or(each(parts)?),
    })
}

fn position(schema: &Schema, column: &str) -> Option<usize> {
    column::find_named(schema.fields().iter().map(|f| f.name().as_str()), column)
}

/// What one column is asked.
enum Condition<'a> {
    Compare(Op, &'a Literal),
    In { list: &'a List, has_null: bool },
}

impl Condition<'_> {
    /// Unknown whatever the row.
    fn is_unknown(&self) -> bool {
        match self {
            Self::Compare(_, literal) => **literal == Literal::Null,
            Self::In { list, has_null } => *has_null && list.is_empty(),
        }
    }

    /// Whether its numbers have 38 digits at most in units of 10^-`scale`.
    fn is_told_in_units(&self, scale: i8) -> bool {
        let is_told = |number: &Number| match number {
            Number::Exact(with) => with.in_units(scale).floor().unsigned_abs() < 10u128.pow(38),
            Number::Double(_) => true,
        };
        match self {
            Self::Compare(_, Literal::Number(with)) => is_told(with),
            Self::In { list: List::Numbers(list), .. } => list.iter().all(is_told),
            _ => false,
        }
    }

    fn example(&self) -> Literal {
        match self {
            Self::Compare(_, literal) => (*literal).clone(),
            Self::In { list, .. } => list.first(),
        }
    }
}

fn leaf(schema: &Schema, column: &str, condition: &Condition) -> Result<Node, Error> {
    let Some(index) = position(schema, column) else { return Ok(Node::Constant(None)) };
    if condition.is_unknown() {
        return Ok(Node::Constant(None));
    }
    let data_type = schema.field(index).data_type();
    let test = test(data_type, condition).ok_or_else(|| Error::Type {
        column: column.to_owned(),
        holds: words(data_type),
        with: condition.example().to_string(),
    })?;
    Ok(Node::Test { index, test })
}

fn test(data_type: &DataType, condition: &Condition) -> Option<Test> {
    match data_type {
        DataType::Null => Some(Box::new(|array| constant(None, array.len()))),
        DataType::Boolean => boolean(condition),
        DataType::Int8 => integer::<Int8Type>(condition),
        DataType::Int16 => integer::<Int16Type>(condition),
        DataType::Int32 => integer::<Int32Type>(condition),
        DataType::Int64 => integer::<Int64Type>(condition),
        DataType::UInt8 => integer::<UInt8Type>(condition),
        DataType::UInt16 => integer::<UInt16Type>(condition),
        DataType::UInt32 => integer::<UInt32Type>(condition),
        DataType::UInt64 => integer::<UInt64Type>(condition),
        DataType::Float16 => float::<Float16Type>(condition, single),
        DataType::Float32 => float::<Float32Type>(condition, single),
        DataType::Float64 => float::<Float64Type>(condition, Number::to_f64),
        DataType::Decimal32(_, scale) => decimal::<Decimal32Type>(*scale, condition, i128::from),
        DataType::Decimal64(_, scale) => decimal::<Decimal64Type>(*scale, condition, i128::from),
        DataType::Decimal128(_, scale) => decimal::<Decimal128Type>(*scale, condition, |v| v),
        // 256 bits hold what 128 do not: only what can be told apart is compared
        DataType::Decimal256(_, scale) if condition.is_told_in_units(*scale) => {
            let end = |v: i256| if v.is_negative() { i128::MIN } else { i128::MAX };
            decimal::<Decimal256Type>(*scale, condition, move |v| v.to_i128().unwrap_or(end(v)))
        }
        DataType::Utf8 => text(condition, |array, test| test.over(array.as_string::<i32>())),
        DataType::LargeUtf8 => text(condition, |array, test| test.over(array.as_string::<i64>())),
        DataType::Utf8View => text(condition, |array, test| test.over(array.as_string_view())),
        DataType::Dictionary(key, value) => dictionary(key, value, condition),
        DataType::Date32 => moment::<Date32Type>(data_type, condition),
        DataType::Date64 => moment::<Date64Type>(data_type, condition),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => moment::<TimestampSecondType>(data_type, condition),
            TimeUnit::Millisecond => moment::<TimestampMillisecondType>(data_type, condition),
            TimeUnit::Microsecond => moment::<TimestampMicrosecondType>(data_type, condition),
            TimeUnit::Nanosecond => moment::<TimestampNanosecondType>(data_type, condition),
        },
        _ => None,
    }
}

/// Rows outside of a list that holds NULL are unknown.
fn unknown_outside(found: BooleanArray, has_null: bool) -> BooleanArray {
    if !has_null {
        return found;
    }
    let known = NullBuffer::union(found.nulls(), Some(&NullBuffer::new(found.values().clone())));
    BooleanArray::new(found.values().clone(), known)
}

fn boolean(condition: &Condition) -> Option<Test> {
    let (accepted, has_null) = match condition {
        Condition::Compare(op, Literal::Bool(with)) => {
            ([false, true].map(|value| op.holds(value.cmp(with))), false)
        }
        Condition::In { list: List::Bools(list), has_null } => {
            ([false, true].map(|value| list.contains(&value)), *has_null)
        }
        _ => return None,
    };
    Some(Box::new(move |array| {
        let found = BooleanArray::from_unary(array.as_boolean(), |v| accepted[usize::from(v)]);
        unknown_outside(found, has_null)
    }))
}

/// A set of whole numbers.
enum Integers {
    Range { first: i128, last: i128, inside: bool },
    List(Vec<i128>),
    Double(Op, f64),
    Doubles(Vec<f64>),
}

impl Integers {
    fn contains(&self, value: i128) -> bool {
        match self {
            Self::Range { first, last, inside } => (*first <= value && value <= *last) == *inside,
            Self::List(list) => list.binary_search(&value).is_ok(),
            Self::Double(..) | Self::Doubles(_) => self.contains_double(value as f64),
        }
    }

    /// Whether a number that is seen as a double is in a set of doubles.
    fn contains_double(&self, value: f64) -> bool {
        match self {
            Self::Double(op, with) => op.holds((value + 0.0).total_cmp(with)),
            Self::Doubles(list) => list.binary_search_by(|l| l.total_cmp(&(value + 0.0))).is_ok(),
            Self::Range { .. } | Self::List(_) => false,
        }
    }

    fn compared(op: Op, with: Number) -> Self {
        let decimal = match with {
            Number::Double(with) => return Self::Double(op, with + 0.0),
            Number::Exact(decimal) => decimal,
        };
        let (floor, ceil) = (decimal.floor(), decimal.ceil());
        // with a fraction, floor < number < ceil: the range ceil..=floor is empty
        let (first, last) = match op {
            Op::Eq | Op::Ne => (ceil, floor),
            Op::Lt => (i128::MIN, ceil - 1),
            Op::Le => (i128::MIN, floor),
            Op::Gt => (floor + 1, i128::MAX),
            Op::Ge => (ceil, i128::MAX),
        };
        Self::Range { first, last, inside: op != Op::Ne }
    }

    fn listed(list: &[Number]) -> Self {
        if list.iter().any(|n| n.is_double()) {
            return Self::Doubles(list.iter().map(|n| n.to_f64() + 0.0).collect());
        }
        Self::List(
            list.iter()
                .filter_map(|number| match number {
                    Number::Exact(d) => d.is_integer().then(|| d.floor()),
                    Number::Double(_) => None,
                })
                .collect(),
        )
    }
}

fn integer<T: ArrowPrimitiveType>(condition: &Condition) -> Option<Test>
where
    T::Native: Into<i128>,
{
    let (wanted, has_null) = match condition {
        Condition::Compare(op, Literal::Number(with)) => (Integers::compared(*op, *with), false),
        Condition::In { list: List::Numbers(list), has_null } => {
            (Integers::listed(list), *has_null)
        }
        _ => return None,
    };
    Some(Box::new(move |array| {
        let found =
            BooleanArray::from_unary(array.as_primitive::<T>(), |v| wanted.contains(v.into()));
        unknown_outside(found, has_null)
    }))
}

/// Decimals are compared digit by digit, as whole numbers of their last place; with doubles as doubles.
fn decimal<T: ArrowPrimitiveType>(
    scale: i8,
    condition: &Condition,
    whole: impl Fn(T::Native) -> i128 + Send + Sync + 'static,
) -> Option<Test> {
    let unit = 10f64.powi(i32::from(scale));
    let (wanted, has_null, unit) = match condition {
        Condition::Compare(op, Literal::Number(with)) => match with {
            Number::Exact(with) => {
                (Integers::compared(*op, Number::Exact(with.in_units(scale))), false, None)
            }
            Number::Double(with) => (Integers::Double(*op, with + 0.0), false, Some(unit)),
        },
        Condition::In { list: List::Numbers(list), has_null } => {
            let exact = |number: &Number| match number {
                Number::Exact(with) => Some(Number::Exact(with.in_units(scale))),
                Number::Double(_) => None,
            };
            match list.iter().map(exact).collect::<Option<Vec<_>>>() {
                Some(list) => (Integers::listed(&list), *has_null, None),
                None => (Integers::listed(list), *has_null, Some(unit)),
            }
        }
        _ => return None,
    };
    Some(Box::new(move |array| {
        let holds = |value| match unit {
            None => wanted.contains(whole(value)),
            Some(unit) => wanted.contains_double(whole(value) as f64 / unit),
        };
        unknown_outside(BooleanArray::from_unary(array.as_primitive::<T>(), holds), has_null)
    }))
}

/// How a float column sees a number: decimals in its own precision, doubles as they are.
fn single(number: Number) -> f64 {
    if number.is_double() { number.to_f64() } else { f64::from(number.to_f32()) }
}

fn float<T: ArrowPrimitiveType>(condition: &Condition, see: fn(Number) -> f64) -> Option<Test>
where
    T::Native: Into<f64>,
{
    match condition {
        Condition::Compare(op, Literal::Number(with)) => {
            let (op, with) = (*op, see(*with));
            Some(Box::new(move |array| {
                nan_as_null::<T>(array, |v| v.partial_cmp(&with).is_some_and(|o| op.holds(o)))
            }))
        }
        Condition::In { list: List::Numbers(list), has_null } => {
            let list: Vec<f64> = list.iter().map(|n| see(*n) + 0.0).collect();
            let has_null = *has_null;
            Some(Box::new(move |array| {
                let within = |v: f64| list.binary_search_by(|l| l.total_cmp(&(v + 0.0))).is_ok();
                unknown_outside(nan_as_null::<T>(array, within), has_null)
            }))
        }
        _ => None,
    }
}

/// Tests every value; NaN is unknown as NULL is.
fn nan_as_null<T: ArrowPrimitiveType>(
    array: &dyn Array,
    accept: impl Fn(f64) -> bool,
) -> BooleanArray
where
    T::Native: Into<f64>,
{
    let array = array.as_primitive::<T>();
    let values = array.values();
    let found = BooleanBuffer::collect_bool(values.len(), |i| accept(values[i].into()));
    let numbers = BooleanBuffer::collect_bool(values.len(), |i| !values[i].into().is_nan());
    let nulls = if numbers.count_set_bits() == values.len() {
        array.nulls().cloned()
    } else {
        NullBuffer::union(array.nulls(), Some(&NullBuffer::new(numbers)))
    };
    BooleanArray::new(found, nulls)
}

/// A set of texts, compared by bytes.
enum Texts {
    Compared(Op, String),
    Listed(Vec<String>),
}

impl Texts {
    fn over<'a>(&self, array: impl ArrayAccessor<Item = &'a str>) -> BooleanArray {
        BooleanArray::from_unary(array, |value| match self {
            Self::Compared(op, with) => op.holds(value.cmp(with.as_str())),
            Self::Listed(list) => list.binary_search_by(|l| l.as_str().cmp(value)).is_ok(),
        })
    }
}

fn text(condition: &Condition, over: fn(&dyn Array, &Texts) -> BooleanArray) -> Option<Test> {
    let (wanted, has_null) = match condition {
        Condition::Compare(op, Literal::Text(with)) => (Texts::Compared(*op, with.clone()), false),
        Condition::In { list: List::Texts(list), has_null } => {
            (Texts::Listed(list.clone()), *has_null)
        }
        _ => return None,
    };
    Some(Box::new(move |array| unknown_outside(over(array, &wanted), has_null)))
}

/// Tests the values of a dictionary once and looks the rows up.
fn dictionary(key: &DataType, value: &DataType, condition: &Condition) -> Option<Test> {
    let values = test(value, condition)?;
    match key {
        DataType::Int8 => Some(lookup::<Int8Type>(values)),
        DataType::Int16 => Some(lookup::<Int16Type>(values)),
        DataType::Int32 => Some(lookup::<Int32Type>(values)),
        DataType::Int64 => Some(lookup::<Int64Type>(values)),
        DataType::UInt8 => Some(lookup::<UInt8Type>(values)),
        DataType::UInt16 => Some(lookup::<UInt16Type>(values)),
        DataType::UInt32 => Some(lookup::<UInt32Type>(values)),
        DataType::UInt64 => Some(lookup::<UInt64Type>(values)),
        _ => None,
    }
}

fn lookup<K: ArrowDictionaryKeyType>(values: Test) -> Test {
    Box::new(move |array| {
        let array = array.as_dictionary::<K>();
        let truth = values(array.values().as_ref());
        match take(&truth, array.keys(), None) {
            Ok(rows) => rows.as_boolean().clone(),
            Err(_) => constant(None, array.len()),
        }
    })
}

/// Dates and times compare with text such as '2021-05-14' or '2021-05-14T06:30:00Z'.
fn moment<T: ArrowPrimitiveType>(data_type: &DataType, condition: &Condition) -> Option<Test>
where
    T::Native: Into<i128>,
{
    let number = |text: &str| {
        let parsed = cast(&StringArray::from(vec![text]), data_type).ok()?;
        let parsed = parsed.as_primitive::<T>();
        parsed.is_valid(0).then(|| i64::try_from(parsed.value(0).into()).ok()).flatten()
    };
    match condition {
        Condition::Compare(op, Literal::Text(with)) => {
            let with = Literal::Number(number(with)?.into());
            integer::<T>(&Condition::Compare(*op, &with))
        }
        Condition::In { list: List::Texts(list), has_null } => {
            let numbers = list.iter().map(|t| number(t)).collect::<Option<Vec<_>>>()?;
            let list = List::integers(numbers);
            integer::<T>(&Condition::In { list: &list, has_null: *has_null })
        }
        _ => None,
    }
}

/// What a type holds, for people.
#[must_use]
pub fn words(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "booleans".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Dictionary(_, value) => words(value),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            "dates or times, written 'YYYY-MM-DD' or 'YYYY-MM-DDTHH:MM:SS',".into()
        }
        t if t.is_integer() => "integers".into(),
        t if t.is_floating() || t.is_decimal() => "numbers".into(),
        t if t.is_nested() => "arrays".into(),
        other => format!("values of type {other}"),
    }
}
