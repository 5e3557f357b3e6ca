//! A footer taken apart into its values, changed somewhere, and put together again.

use rand::{Rng, RngExt as _};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Byte(u8),
    /// Code of its width, and the number.
    Int(u8, i64),
    Double([u8; 8]),
    Binary(Vec<u8>),
    /// Code of the elements' type, and the elements.
    List(u8, Vec<Value>),
    Struct(Vec<(i16, Value)>),
}

const STRUCT: u8 = 12;
const DEPTH_MAX: usize = 200;

/// The struct that the bytes begin with; none where they do not, or where it has what Parquet has
/// not.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    value(STRUCT, &mut rest, DEPTH_MAX)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (&byte, after) = rest.split_first()?;
    *rest = after;
    Some(byte)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn int(rest: &mut &[u8]) -> Option<i64> {
    let number = varint(rest)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

fn taken<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn value(code: u8, rest: &mut &[u8], depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match code {
        1 | 2 => Value::Bool(byte(rest)? == 1),
        3 => Value::Byte(byte(rest)?),
        4..=6 => Value::Int(code, int(rest)?),
        7 => Value::Double(taken(rest, 8)?.try_into().ok()?),
        8 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Value::Binary(taken(rest, length)?.to_vec())
        }
        9 => {
            let head = byte(rest)?;
            let count = match head >> 4 {
                15 => varint(rest)?,
                few => u64::from(few),
            };
            let values = (0..count).map(|_| value(head & 15, rest, depth));
            Value::List(head & 15, values.collect::<Option<_>>()?)
        }
        STRUCT => {
            let (mut fields, mut id) = (Vec::new(), 0i16);
            loop {
                let head = byte(rest)?;
                if head == 0 {
                    break Value::Struct(fields);
                }
                id = match head >> 4 {
                    0 => i16::try_from(int(rest)?).ok()?,
                    step => id.checked_add(i16::from(step))?,
                };
                let field = match head & 15 {
                    code @ 1..=2 => Value::Bool(code == 1),
                    code => value(code, rest, depth)?,
                };
                fields.push((id, field));
            }
        }
        _ => return None,
    })
}

impl Value {
    fn code(&self) -> u8 {
        match self {
            Self::Bool(is) => 2 - u8::from(*is),
            Self::Byte(_) => 3,
            Self::Int(code, _) => *code,
            Self::Double(_) => 7,
            Self::Binary(_) => 8,
            Self::List(..) => 9,
            Self::Struct(_) => STRUCT,
        }
    }

    /// Appends its bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(is) => out.push(2 - u8::from(*is)),
            Self::Byte(byte) => out.push(*byte),
            Self::Int(_, number) => put_int(*number, out),
            Self::Double(bytes) => out.extend(bytes),
            Self::Binary(bytes) => {
                put_varint(bytes.len() as u64, out);
                out.extend(bytes);
            }
            Self::List(code, values) => {
                if values.len() < 15 {
                    out.push((values.len() as u8) << 4 | code);
                } else {
                    out.push(0xf0 | code);
                    put_varint(values.len() as u64, out);
                }
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Struct(fields) => {
                let mut last = 0i16;
                for (id, value) in fields {
                    match id.checked_sub(last) {
                        Some(step @ 1..=15) => out.push((step as u8) << 4 | value.code()),
                        _ => {
                            out.push(value.code());
                            put_int(i64::from(*id), out);
                        }
                    }
                    last = *id;
                    if !matches!(value, Self::Bool(_)) {
                        value.encode(out);
                    }
                }
                out.push(0);
            }
        }
    }

    /// Whether a field stands there twice: which of them counts is a reader's choice.
    pub(super) fn is_ambiguous(&self) -> bool {
        match self {
            Self::List(_, values) => values.iter().any(Self::is_ambiguous),
            Self::Struct(fields) => {
                let mut ids: Vec<i16> = fields.iter().map(|(id, _)| *id).collect();
                ids.sort_unstable();
                ids.windows(2).any(|pair| pair[0] == pair[1])
                    || fields.iter().any(|(_, value)| value.is_ambiguous())
            }
            _ => false,
        }
    }

    fn below(&mut self) -> Vec<&mut Self> {
        match self {
            Self::List(_, values) => values.iter_mut().collect(),
            Self::Struct(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        }
    }

    /// Changes something, somewhere; what is near the root about as often as what is far.
    pub(super) fn change(&mut self, rng: &mut impl Rng) {
        if rng.random_bool(0.8) {
            let mut below = self.below();
            if !below.is_empty() {
                let at = rng.random_range(0..below.len());
                return below.swap_remove(at).change(rng);
            }
        }
        self.change_here(rng);
    }

    fn change_here(&mut self, rng: &mut impl Rng) {
        match self {
            Self::Bool(is) => *is = !*is,
            Self::Byte(byte) => *byte = rng.random(),
            Self::Int(_, number) => *number = changed(*number, rng),
            Self::Double(bytes) => *bytes = rng.random(),
            Self::Binary(bytes) => change_bytes(bytes, rng),
            Self::List(code, values) => {
                if rng.random_ratio(1, 12) {
                    *code = rng.random_range(0..16);
                }
                change_places(values, rng);
            }
            Self::Struct(fields) => match rng.random_range(0..6) {
                0 if !fields.is_empty() => {
                    let at = rng.random_range(0..fields.len());
                    fields[at].0 = rng.random_range(-2..20);
                }
                1 if !fields.is_empty() => {
                    let at = rng.random_range(0..fields.len());
                    let inner = std::mem::replace(&mut fields[at].1, Self::Bool(true));
                    fields[at].1 = wrapped(inner, rng);
                }
                2 => fields.sort_by_key(|(id, _)| *id),
                _ => change_places(fields, rng),
            },
        }
    }
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_int(number: i64, out: &mut Vec<u8>) {
    put_varint((number << 1 ^ number >> 63) as u64, out);
}

/// Numbers at which programs stumble.
fn changed(number: i64, rng: &mut impl Rng) -> i64 {
    const EDGES: [i64; 14] = [
        0,
        1,
        -1,
        2,
        15,
        127,
        -128,
        32_768,
        i32::MAX as i64,
        i32::MIN as i64,
        1 << 40,
        i64::MAX,
        i64::MIN,
        i64::MAX / 2,
    ];
    match rng.random_range(0..4) {
        0 => number.wrapping_add(rng.random_range(-3..4)),
        1 => number.wrapping_neg(),
        2 => rng.random_range(0..30),
        _ => EDGES[rng.random_range(0..EDGES.len())],
    }
}

/// Inside of many others.
fn wrapped(mut value: Value, rng: &mut impl Rng) -> Value {
    for _ in 0..rng.random_range(1..DEPTH_MAX) {
        value = match rng.random_bool(0.5) {
            true => Value::List(value.code(), vec![value]),
            false => Value::Struct(vec![(rng.random_range(1..5), value)]),
        };
    }
    value
}

/// Removes, repeats, swaps or multiplies what stands in a row.
fn change_places<T: Clone>(row: &mut Vec<T>, rng: &mut impl Rng) {
    if row.is_empty() {
        return;
    }
    let (one, other) = (rng.random_range(0..row.len()), rng.random_range(0..row.len()));
    match rng.random_range(0..5) {
        0 => drop(row.remove(one)),
        1 => row.insert(other, row[one].clone()),
        2 => row.swap(one, other),
        3 => row.truncate(one),
        _ => {
            let copies = 1 << rng.random_range(0..10);
            row.splice(one..one, vec![row[one].clone(); copies]);
        }
    }
}

/// Changes bytes without regard to what they mean.
pub(super) fn change_bytes(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    if bytes.is_empty() {
        return bytes.extend(rng.random::<[u8; 4]>());
    }
    let at = rng.random_range(0..bytes.len());
    let to = rng.random_range(at..bytes.len().min(at + 40)) + 1;
    match rng.random_range(0..6) {
        0 => bytes[at] = rng.random(),
        1 => bytes[at] ^= 1 << rng.random_range(0..8),
        2 => drop(bytes.drain(at..to)),
        3 => bytes.truncate(at),
        4 => drop(bytes.splice(at..at, bytes[at..to].to_vec())),
        _ => bytes[at..to].fill(if rng.random() { 0xff } else { 0 }),
    }
}
