"""Parquet files put together byte by byte, for what no writer of today would write: old encodings of
lists, pages that lie, columns of types to come."""

import itertools
import struct as pack

import thrift
from thrift import i32, i64, several, struct, text

BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTE_ARRAY, FIXED = range(8)
REQUIRED, OPTIONAL, REPEATED = range(3)
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
PLAIN_DICTIONARY = 2


def element(name, physical=None, repetition=None, children=None, converted=None, logical=None, length=None, scale=None, precision=None):
    """A `SchemaElement`; `logical` is the field of the union `LogicalType`, or the union."""
    fields = {1: physical, 2: length, 3: repetition}
    fields = {number: i32(value) for number, value in fields.items() if value is not None}
    fields[4] = text(name)
    for number, value in {5: children, 6: converted, 7: scale, 8: precision}.items():
        if value is not None:
            fields[number] = i32(value)
    if logical is not None:
        fields[10] = struct(logical if isinstance(logical, dict) else {logical: struct()})
    return fields


def levels(values):
    """Levels of at most 255, as runs."""
    return b"".join(thrift.varint(len(list(run)) << 1) + bytes([level]) for level, run in itertools.groupby(values))


def plain(physical, values):
    """Values in the encoding PLAIN; those of fixed length are bytes."""
    if physical == BYTE_ARRAY:
        return b"".join(pack.pack("<I", len(v)) + v for v in values)
    form = {INT32: "<i", INT64: "<q", FLOAT: "<f", DOUBLE: "<d"}.get(physical)
    return b"".join(pack.pack(form, v) if form else v for v in values)


def page(body, count, packed=None, definition=None, repetition=None, encoding=PLAIN, crc=None, header=None):
    """A data page of the first version; `packed` is the body as compressed with its levels."""
    for given in (definition, repetition):
        if given is not None:
            body = pack.pack("<I", len(levels(given))) + levels(given) + body
    stored = packed(body) if packed else body
    fields = {1: i32(0), 2: i32(len(body)), 3: i32(len(stored))}
    if crc is not None:
        fields[4] = i32(crc)
    fields[5] = struct({1: i32(count), 2: i32(encoding), 3: i32(RLE), 4: i32(RLE)} | (header or {}))
    return thrift.encode(fields) + stored


def page_v2(body, count, definition=(), nulls=0, stored=None, encoding=PLAIN, is_compressed=True):
    """A data page of the second version; `stored` is the body as compressed."""
    marks = levels(definition)
    stored = body if stored is None else stored
    fields = {1: i32(3), 2: i32(len(marks) + len(body)), 3: i32(len(marks) + len(stored))}
    about = {1: i32(count), 2: i32(nulls), 3: i32(count), 4: i32(encoding), 5: i32(len(marks)), 6: i32(0)}
    fields[8] = struct(about | {7: thrift.flag(is_compressed)})
    return thrift.encode(fields) + marks + stored


def dictionary(body, count, encoding=PLAIN, header=None):
    """A dictionary page."""
    about = {1: i32(count), 2: i32(encoding)} | (header or {})
    return thrift.encode({1: i32(2), 2: i32(len(body)), 3: i32(len(body)), 7: struct(about)}) + body


def chunk(path, physical, pages, count, codec=0, words=None, statistics=None, **more):
    """A column chunk of a row group: bytes, and its metadata but for the offsets."""
    metadata = {
        1: i32(physical),
        2: several(thrift.I32, [PLAIN, RLE]),
        3: several(thrift.BINARY, [p.encode() for p in path]),
        4: i32(codec),
        5: i64(count),
        6: i64(len(pages)),
        7: i64(len(pages)),
        9: None,
        11: None,
    }
    if words is None:
        del metadata[11]
    if statistics:
        metadata[12] = struct(statistics)
    metadata.update({int(number[1:]): value for number, value in more.items()})
    return pages, words, dict(sorted(metadata.items()))


def document(schema, groups, orders=True, **more):
    """A file: `groups` are (rows, chunks); `more` are fields of the footer by number (f8=…)."""
    out, encoded_groups = bytearray(b"PAR1"), []
    for rows, chunks in groups:
        columns = []
        for pages, words, metadata in chunks:
            start = len(out)
            out += (words or b"") + pages
            offsets = {9: i64(start + len(words or b""))}
            if words is not None:
                offsets[11] = i64(start)
                for number in (6, 7):
                    offsets[number] = i64(len(words) + len(pages))
            columns.append({2: i64(start), 3: struct({n: offsets.get(n, v) for n, v in metadata.items()})})
        encoded_groups.append({1: several(thrift.STRUCT, columns), 2: i64(len(out)), 3: i64(rows)})
    footer = {
        1: i32(1),
        2: several(thrift.STRUCT, schema),
        3: i64(sum(rows for rows, _ in groups)),
        4: several(thrift.STRUCT, encoded_groups),
        6: text("crafted"),
    }
    if orders:
        leaves = sum(5 not in e for e in schema)
        footer[7] = several(thrift.STRUCT, [{1: struct()}] * leaves)
    footer.update({int(number[1:]): value for number, value in more.items()})
    return with_footer(bytes(out), footer)


def with_footer(body, footer):
    """The file with that footer; `footer` may be bytes."""
    encoded = footer if isinstance(footer, bytes) else thrift.encode(footer)
    return body + encoded + pack.pack("<I", len(encoded)) + b"PAR1"


def apart(file):
    """The body and the decoded footer of a file."""
    length = pack.unpack("<I", file[-8:-4])[0]
    footer, _ = thrift.decode(file[-8 - length : -8])
    return file[: -8 - length], footer


def put(fields, path, value):
    """Sets what lies at the end of a path of field numbers and places in lists; None removes it."""
    *way, last = path
    for step in way:
        fields = fields[step]
        if isinstance(fields, tuple):
            kind, fields = fields
            fields = fields[1] if kind == thrift.LIST else fields
    if value is None:
        del fields[last]
    else:
        fields[last] = value
    if isinstance(fields, dict):
        ordered = dict(sorted(fields.items()))
        fields.clear()
        fields.update(ordered)


def patched(file, *changes):
    """The file with changes of its footer, each (path, value)."""
    body, footer = apart(file)
    for path, value in changes:
        put(footer, path, value)
    return with_footer(body, footer)
