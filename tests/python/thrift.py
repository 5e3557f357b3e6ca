"""Thrift's compact protocol, as far as Parquet uses it: to take a footer apart, change a field, and put
it together again.

A struct is a dict of field number to (type, value). The value of a list is (type, values), that of a
struct a dict, that of a boolean the boolean; texts are bytes."""

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)


def byte(n):
    return BYTE, n


def i16(n):
    return I16, n


def i32(n):
    return I32, n


def i64(n):
    return I64, n


def text(value):
    return BINARY, value.encode() if isinstance(value, str) else value


def flag(value):
    return TRUE, value


def struct(fields=None):
    return STRUCT, fields or {}


def several(kind, values):
    return LIST, (kind, list(values))


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def encode(fields):
    """Bytes of a struct."""
    out, previous = bytearray(), 0
    for number, (kind, value) in fields.items():
        if kind == TRUE:
            kind = TRUE if value else FALSE
        step = number - previous
        out += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + zigzag(number)
        previous = number
        if kind > FALSE:
            out += encoded(kind, value)
    return bytes(out) + b"\0"


def encoded(kind, value):
    """Bytes of a value that is no boolean of a struct."""
    if kind in (I16, I32, I64):
        return zigzag(value)
    if kind == BINARY:
        return varint(len(value)) + value
    if kind == STRUCT:
        return encode(value)
    if kind == LIST:
        of, values = value
        head = bytes([len(values) << 4 | of]) if len(values) < 15 else bytes([0xF0 | of]) + varint(len(values))
        return head + b"".join(encoded(of, v) for v in values)
    if kind == DOUBLE:
        return value
    return bytes([value & 0xFF])


def decode(bytes_, start=0):
    """The struct that starts there, and where it ends."""
    at, fields, number = start, {}, 0

    def number_at(at):
        shift = value = 0
        while True:
            value |= (bytes_[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not bytes_[at - 1] & 0x80:
                return value, at

    def signed_at(at):
        value, at = number_at(at)
        return value >> 1 ^ -(value & 1), at

    def value_at(kind, at):
        if kind in (I16, I32, I64):
            return signed_at(at)
        if kind == BINARY:
            length, at = number_at(at)
            return bytes_[at : at + length], at + length
        if kind == STRUCT:
            return decode(bytes_, at)
        if kind == LIST:
            head, at = bytes_[at], at + 1
            count = head >> 4
            if count == 15:
                count, at = number_at(at)
            values = []
            for _ in range(count):
                value, at = value_at(head & 15, at)
                values.append(value)
            return (head & 15, values), at
        if kind == DOUBLE:
            return bytes_[at : at + 8], at + 8
        assert kind in (TRUE, FALSE, BYTE), kind
        return bytes_[at], at + 1

    while bytes_[at]:
        head, at = bytes_[at], at + 1
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = signed_at(at)
        if kind in (TRUE, FALSE):
            fields[number] = flag(kind == TRUE)
        else:
            value, at = value_at(kind, at)
            fields[number] = (kind, value)
    return fields, at + 1
