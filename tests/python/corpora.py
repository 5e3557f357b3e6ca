"""Equivalents of the files of the public Parquet test corpora (of Parquet itself, Arrow, DuckDB and
fastparquet), made here: by pyarrow, DuckDB, polars and fastparquet, or byte by byte. Those that are
damaged are in `broken`."""

import base64
import datetime
import decimal
import gzip
import struct as pack
import uuid
import zlib

import broken
import crafted
import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import thrift
from corpus import ROWS, STATISTICS, CHUNK, Corpus, ints, one, table, written
from crafted import (
    BOOLEAN, BYTE_ARRAY, DOUBLE, FIXED, FLOAT, INT32, INT64, INT96, OPTIONAL, PLAIN_DICTIONARY, REPEATED, REQUIRED, RLE, RLE_DICTIONARY,
    chunk, document, element, page, page_v2, patched, plain,
)  # fmt: skip
from thrift import i16, i32, i64, several, struct, text


DECIMAL = decimal.Decimal


def write(lake):
    """Writes the files; returns the cases."""
    corpus = Corpus(lake)
    for part in (encodings, compressions, pages, types, nested, statistics, metadata, counts, writers, broken.encrypted, broken.ends, broken.footers, broken.pages):  # fmt: skip
        part(corpus)
    return corpus.cases


def encodings(corpus):
    """delta_*, byte_stream_split*, rle_boolean_encoding, *dict* and the like."""
    rng = np.random.default_rng(1)
    ints = pa.table({"n": pa.array(range(ROWS), pa.int32()), "big": pa.array(rng.integers(-(2**62), 2**62, ROWS))})
    floats = pa.table({"n": pa.array(range(ROWS), pa.int32()), "f": rng.normal(size=ROWS).astype("f4"), "d": rng.normal(size=ROWS)})
    texts = pa.table({"t": [f"prefix {i // 7} {i}" for i in range(ROWS)], "o": [None, "short", "", "x" * 99] * (ROWS // 4)})
    fixed = pa.table({"f": pa.array([bytes([i % 250] * 5) for i in range(ROWS)], pa.binary(5)), "d": pa.array([DECIMAL(i) / 8 for i in range(ROWS)], pa.decimal128(7, 3))})
    flags = pa.table({"b": pa.array([None if i % 7 == 0 else i % 3 == 0 for i in range(ROWS)])})
    for name, data, encoding in [
        ("plain", table(), "PLAIN"),
        ("delta_binary_packed", ints, "DELTA_BINARY_PACKED"),
        ("delta_length_byte_array", texts, "DELTA_LENGTH_BYTE_ARRAY"),
        ("delta_byte_array", texts, "DELTA_BYTE_ARRAY"),
        ("delta_byte_array_fixed", fixed.select(["f"]), "DELTA_BYTE_ARRAY"),
        ("byte_stream_split", floats, "BYTE_STREAM_SPLIT"),
        ("byte_stream_split_fixed", fixed, "BYTE_STREAM_SPLIT"),
        ("rle_boolean", flags, "RLE"),
    ]:
        judge = "pyarrow" if name == "byte_stream_split_fixed" else "duckdb"
        corpus.put(f"encoding_{name}", judge=judge, data=written(data, use_dictionary=False, column_encoding=dict.fromkeys(data.column_names, encoding)))
    for version in ("1.0", "2.6"):
        for pages_ in ("1.0", "2.0"):
            corpus.put(f"dictionary_{version}_{pages_}".replace(".", ""), written(version=version, data_page_version=pages_))
    # the dictionary is given up half way
    many = pa.table({"t": [f"{i:09}" for i in range(5000)]})
    corpus.put("dictionary_overflows", written(many, dictionary_pagesize_limit=4096, data_page_size=2048, write_batch_size=64))
    # values of the dictionary with the name that its encoding had at first
    words = crafted.dictionary(plain(INT32, [7, 9]), 2, PLAIN_DICTIONARY)
    body = page(b"\1" + thrift.varint(2 << 1) + b"\1" + thrift.varint(1 << 1) + b"\0", 3, encoding=PLAIN_DICTIONARY)
    corpus.put("encoding_plain_dictionary", one(INT32, body, 3, words=words))
    # bits of no width: every index is the first (good), and RLE of indices that are beyond the words (bad)
    corpus.put("dictionary_width_0", one(INT32, page(b"\0" + thrift.varint(3 << 1), 3, encoding=RLE_DICTIONARY), 3, words=words))
    beyond = page(b"\x08" + thrift.varint(3 << 1) + b"\x63", 3, encoding=RLE_DICTIONARY)
    corpus.listed("dictionary_index_beyond", one(INT32, beyond, 3, words=words))
    corpus.listed("dictionary_is_missing", one(INT32, beyond, 3))
    corpus.listed("encoding_unknown", one(INT32, page(plain(INT32, [1, 2, 3]), 3, encoding=77), 3))
    corpus.listed("encoding_alp_to_come", one(DOUBLE, page(plain(DOUBLE, [1, 2, 3]), 3, encoding=10), 3))
    corpus.listed("encoding_bit_packed", one(INT32, page(plain(INT32, [1, 2, 3]), 3, encoding=4), 3))


def compressions(corpus):
    """Every codec, and their odd forms: concatenated_gzip_members, hadoop_lz4_compressed*."""
    for codec in ("none", "snappy", "gzip", "zstd", "lz4"):
        for version in ("1.0", "2.0"):
            corpus.put(f"codec_{codec}_pages_{version[0]}", written(compression=codec, data_page_version=version))
    values = list(range(500))
    halves = lambda body: gzip.compress(body[:700]) + gzip.compress(body[700:])  # noqa: E731
    corpus.put("codec_gzip_members", one(INT32, ints(values, packed=halves), 500, c4=i32(2)), judge="pyarrow")
    raw = lambda body: pa.Codec("lz4_raw").compress(body, asbytes=True)  # noqa: E731

    def hadoop(body):
        halves = [body[:900], body[900:]]
        return b"".join(pack.pack(">II", len(h), len(raw(h))) + raw(h) for h in halves)

    corpus.put("codec_lz4_hadoop", one(INT32, ints(values, packed=hadoop), 500, c4=i32(5)), judge="pyarrow")
    corpus.put("codec_lz4_without_frame", one(INT32, ints(values, packed=raw), 500, c4=i32(5)), judge="pyarrow")
    framed = lambda body: pa.Codec("lz4").compress(body, asbytes=True)  # noqa: E731
    corpus.put("codec_lz4_framed", one(INT32, ints(values, packed=framed), 500, c4=i32(5)), judge="none")
    corpus.listed("codec_brotli", written(compression="brotli"), "brotli")
    corpus.listed("codec_lzo", one(INT32, ints(values), 500, c4=i32(3)))
    corpus.listed("codec_unknown", one(INT32, ints(values), 500, c4=i32(99)))
    corpus.listed("codec_lies", one(INT32, ints(values), 500, c4=i32(6)))
    corpus.listed("codec_snappy_of_rubbish", one(INT32, ints(values, packed=lambda body: b"\xff" * 40), 500, c4=i32(1)))


def pages(corpus):
    """Pages of the second version, empty ones, many of them, page indexes, bloom filters, checksums."""
    nothing = pa.table({"n": pa.nulls(ROWS, pa.int32()), "m": range(ROWS)})
    for codec in ("zstd", "snappy", "none"):
        corpus.put(f"page_v2_of_nulls_{codec}", written(nothing, compression=codec, data_page_version="2.0"))
    empty = page_v2(b"", 2, definition=[0, 0], nulls=2, is_compressed=True)
    corpus.put("page_v2_snappy_of_nothing", one(FLOAT, empty, 2, OPTIONAL, c4=i32(1)))
    zstd = pa.Codec("zstd").compress(b"", asbytes=True)
    corpus.put("page_v2_zstd_of_nothing", one(INT32, page_v2(b"", 2, [0, 0], 2, stored=zstd), 2, OPTIONAL, c4=i32(6)), judge="pyarrow")
    corpus.put("page_v2_not_compressed", one(INT32, page_v2(plain(INT32, [4, 5]), 2, is_compressed=False), 2, c4=i32(1)))
    tiny = dict(data_page_size=64, write_batch_size=8, write_page_index=True)
    corpus.put("page_index", written(**tiny))
    corpus.put("page_index_plain", written(use_dictionary=False, **tiny))
    holes = pa.table({"n": pa.array([None if i // 20 % 2 else i for i in range(ROWS)], pa.int32())})
    corpus.put("page_index_null_pages", written(holes, use_dictionary=False, **tiny))
    many = [page(plain(INT32, [i]), 1) for i in range(40_000)]
    corpus.put("pages_more_than_an_i16_counts", one(INT32, b"".join(many), len(many)))
    corpus.put("page_empty_between", one(INT32, ints([1, 2]) + ints([]) + ints([3]), 3))
    corpus.put("checksum_good", written(write_page_checksum=True, compression="none"))
    body = plain(INT32, [1, 2, 3])
    good = zlib.crc32(body) - (1 << 32 if zlib.crc32(body) >= 1 << 31 else 0)
    corpus.put("checksum_crafted", one(INT32, page(body, 3, crc=good), 3))
    # as other readers, ours takes the page at its word unless told otherwise
    corpus.put("checksum_corrupt", one(INT32, page(body, 3, crc=good ^ 1), 3))
    # an index page, of which the format says nothing more, is passed over
    index = thrift.encode({1: i32(1), 2: i32(4), 3: i32(4), 6: struct()}) + b"\0" * 4
    corpus.put("page_of_an_index", one(INT32, index + ints([1, 2]), 2), judge="pyarrow")
    bloom = duckdb.connect().sql("SELECT range AS n, 'name ' || range % 10 AS name FROM range(3000)")
    bloom.write_parquet(str(corpus.path("bloom_filters")), row_group_size=2048)


def types(corpus):
    """Every logical type, decimals of every width, INT96, and types to come."""
    now = datetime.datetime(2021, 5, 14, 3, 2, 1, 123456)
    scalars = {
        "n": pa.array([1, None, -3], pa.int8()),
        "u": pa.array([1, None, 2**64 - 1], pa.uint64()),
        "i16": pa.array([-(2**15), 0, 2**15 - 1], pa.int16()),
        "u32": pa.array([0, None, 2**32 - 1], pa.uint32()),
        "day": pa.array([now.date(), None, datetime.date(1, 1, 1)], pa.date32()),
        "ms": pa.array([now, None, datetime.datetime(1900, 1, 1)], pa.timestamp("ms")),
        "us": pa.array([now, None, datetime.datetime(9999, 12, 31)], pa.timestamp("us", tz="UTC")),
        "ns": pa.array([0, None, 2**63 - 1], pa.timestamp("ns")),
        "time": pa.array([now.time(), None, datetime.time()], pa.time64("us")),
        "bytes": pa.array([b"\0\xff", None, b""], pa.binary()),
        "fixed": pa.array([b"abc", None, b"\xff\xff\xff"], pa.binary(3)),
        "large": pa.array(["ä", None, "\0"], pa.large_string()),
        "view": pa.array(["a view that is longer than twelve", None, ""], pa.string_view()),
        "code": pa.array(["a", None, "a"]).dictionary_encode(),
        "nothing": pa.nulls(3),
    }
    corpus.put("types", written(pa.table(scalars)), judge="pyarrow")
    corpus.put("types_first_version", written(pa.table(scalars).drop_columns(["ns"]), version="1.0"), judge="pyarrow")
    decimals = {f"d{width}": pa.array([DECIMAL(-1), None, DECIMAL(10 ** (width - 1))], pa.decimal128(width, 0)) for width in range(1, 39)}
    corpus.put("decimals", written(pa.table(decimals)))
    corpus.put("decimals_as_integers", written(pa.table(decimals), store_decimal_as_integer=True))
    corpus.put("decimals_of_256_bits", written(pa.table({"d": pa.array([DECIMAL(10) ** 60, None], pa.decimal256(76, 2))})), judge="pyarrow")
    schema = [element("schema", children=1), element("d", BYTE_ARRAY, REQUIRED, converted=5, scale=2, precision=4)]
    body = page(plain(BYTE_ARRAY, [b"\1\0", b"\xff"]), 2)
    corpus.put("decimals_as_bytes", document(schema, [(2, [chunk(["d"], BYTE_ARRAY, body, 2)])]))
    days = lambda ns, day: pack.pack("<qi", ns, day)  # noqa: E731
    corpus.put("int96", written(pa.table({"t": pa.array([now, None], pa.timestamp("ns"))}), use_deprecated_int96_timestamps=True))
    far = page(days(3, 2459349) + days(0, 5_373_484) + days(0, 0), 3)
    corpus.put("int96_beyond_nanoseconds", one(INT96, far, 3), judge="none")
    # ordered as the type to come says: field 3 of the order
    corpus.put("int96_ordered", one(INT96, page(days(5, 2459349), 1), 1, statistics={5: text(days(5, 2459349)), 6: text(days(5, 2459349))}), judge="pyarrow")
    halves = lambda *values: pa.table({"x": pa.array([None if v is None else np.float16(v) for v in values], pa.float16())})  # noqa: E731
    corpus.put("float16_zeros_and_nans", written(halves(None, 0, np.nan)), judge="pyarrow")
    corpus.put("float16_nonzeros_and_nans", written(halves(None, 1, -2, np.nan, 0, -1, -0.0, 2)), judge="pyarrow")
    texts = plain(BYTE_ARRAY, [b'{"a":1}', b"[1,null]"])
    corpus.put("json", one(BYTE_ARRAY, page(texts, 2), 2, logical=12, converted=19))
    corpus.listed("json_that_is_bson", one(BYTE_ARRAY, page(texts, 2), 2, logical=12, converted=20))
    corpus.put("bson", one(BYTE_ARRAY, page(texts, 2), 2, logical=13, converted=20), judge="none")
    corpus.put("enum", one(BYTE_ARRAY, page(texts, 2), 2, logical=4, converted=4), judge="none")
    corpus.put("uuid", written(pa.table({"u": pa.array([uuid.UUID(int=9).bytes] * 2, pa.uuid())})), judge="none")
    corpus.put("interval", one(FIXED, page(b"\1\0\0\0" * 6, 2), 2, converted=21, length=12), judge="none")
    corpus.put("unknown_logical_type", one(BYTE_ARRAY, page(texts, 2), 2, logical=2555), judge="none")
    corpus.listed("unknown_logical_type_of_numbers", one(INT32, ints([3, 4]), 2, logical=300))
    corpus.listed("unknown_converted_type", one(INT32, ints([3, 4]), 2, converted=99))
    wkb = pack.pack("<bidd", 1, 1, 12.5, -60)
    for name, logical in (("geometry", 17), ("geography", 18)):
        corpus.put(name, one(BYTE_ARRAY, page(plain(BYTE_ARRAY, [wkb]), 1), 1, logical=logical), judge="none")
    corpus.refused("unknown_physical_type", one(INT32, ints([3]), 1).replace(b"\x15\x02\x25\x00", b"\x15\x62\x25\x00"), "a type that Parquet does not have")


def variant(metadata_, value):
    """A VARIANT: what it says of itself is in its bytes, and a reader of tables passes them on."""
    schema = [
        element("schema", children=1),
        element("v", repetition=REQUIRED, children=2, logical={16: struct({1: thrift.byte(1)})}),
        element("metadata", BYTE_ARRAY, REQUIRED),
        element("value", BYTE_ARRAY, REQUIRED),
    ]
    columns = [chunk(["v", n], BYTE_ARRAY, page(plain(BYTE_ARRAY, [b]), 1), 1) for n, b in (("metadata", metadata_), ("value", value))]
    return document(schema, [(1, columns)])


def nested(corpus):
    """Lists, maps and structs as they are and as they were."""
    rows = [[1, None, 2], [], None] * 20
    data = {
        "n": range(60),
        "list": pa.array(rows, pa.list_(pa.int32())),
        "large": pa.array(rows, pa.large_list(pa.int32())),
        "fixed": pa.array([[1.0, 2.0]] * 60, pa.list_(pa.float32(), 2)),
        "lists": pa.array([[[1], None, []], None, [[2, 3]]] * 20, pa.list_(pa.list_(pa.int64()))),
        "map": pa.array([[("a", 1)], [], None] * 20, pa.map_(pa.string(), pa.int32())),
        "struct": pa.array([{"z": 1.0, "in": {"y": "a"}}, None, {"z": None, "in": None}] * 20),
        "structs": pa.array([[{"z": 1}, {"z": None}], None, []] * 20),
    }
    corpus.put("nested", written(pa.table(data), row_group_size=17, data_page_size=64, write_batch_size=4))
    corpus.put("nested_pages_2", written(pa.table(data), data_page_version="2.0", use_dictionary=False))
    corpus.put("nested_names", written(pa.table(data), use_compliant_nested_type=False))
    corpus.put("empty_list", written(pa.table({"emptylist": pa.array([[]], pa.list_(pa.null()))})), judge="none")
    complex_key = pa.map_(pa.struct([("a", pa.int32())]), pa.int32())
    corpus.put("map_with_key_of_structs", written(pa.table({"m": pa.array([[({"a": 1}, 2)]], complex_key)})), judge="none")
    deep = pa.array([1, 2])
    for _ in range(20):
        deep = pa.StructArray.from_arrays([deep], ["in"])
    corpus.put("structs_20_deep", written(pa.table({"deep": deep})))

    body = page(plain(INT32, [1, 2, 3]), 3, repetition=[0, 1, 0], definition=[1, 1, 1])
    group = lambda name, *below, **how: [element(name, children=len(below), **how), *below]  # noqa: E731
    leaf = element("array", INT32, REPEATED)
    two_level = [element("schema", children=1), *group("list", leaf, repetition=REQUIRED, converted=3)]
    corpus.put("list_of_two_levels", document(two_level, [(2, [chunk(["list", "array"], INT32, body, 3)])]))
    bare = [element("schema", children=1), element("bare", INT32, REPEATED)]
    corpus.put("repeated_without_list", document(bare, [(2, [chunk(["bare"], INT32, body, 3)])]))
    deeper = page(plain(INT32, [1, 2, 3]), 3, repetition=[0, 2, 1], definition=[2, 2, 2])
    old = [
        element("schema", children=1),
        element("a", repetition=REQUIRED, children=1, converted=3),
        element("array", repetition=REPEATED, children=1, converted=3),
        element("array", INT32, REPEATED),
    ]
    corpus.put("old_list_structure", document(old, [(1, [chunk(["a", "array", "array"], INT32, deeper, 3)])]), judge="pyarrow")
    key = element("key", INT32, REQUIRED)
    set_ = [element("schema", children=1), element("m", repetition=REQUIRED, children=1, converted=1), element("key_value", repetition=REPEATED, children=1), key]
    corpus.put("map_without_value", document(set_, [(2, [chunk(["m", "key_value", "key"], INT32, body, 3)])]), judge="none")
    optional = page(plain(INT32, [1, 2, 3]), 3, repetition=[0, 1, 0], definition=[2, 2, 2])
    wrong = [
        element("schema", children=1),
        element("m", repetition=REQUIRED, children=1, converted=1),
        element("key_value", repetition=REPEATED, children=2, converted=2),
        element("key", INT32, OPTIONAL),
        element("value", INT32, OPTIONAL),
    ]
    columns = [chunk(["m", "key_value", n], INT32, optional, 3) for n in ("key", "value")]
    corpus.put("map_with_optional_keys", document(wrong, [(2, columns)]), judge="none")
    # levels that are none
    corpus.listed("levels_begin_inside_a_row", document(bare, [(2, [chunk(["bare"], INT32, page(plain(INT32, [1, 2]), 2, repetition=[1, 0], definition=[1, 1]), 2)])]))
    corpus.listed("levels_too_few", document(bare, [(2, [chunk(["bare"], INT32, page(plain(INT32, [1, 2, 3]), 3, repetition=[0], definition=[1]), 3)])]))
    corpus.listed("levels_too_few_for_rows", one(INT32, page(plain(INT32, [1]), 3, definition=[1]), 3, OPTIONAL))
    corpus.put("variant", variant(b"\1\0\0", b"\x0c\x2a"), judge="none")
    for name, bytes_ in {
        "metadata_of_version_2": (b"\2\0\0", b"\x0c\x2a"),
        "dictionary_too_long": (b"\xc1\xff\xff\xff\x7f\0", b"\x0c\x2a"),
        "child_beyond": (b"\1\0\0", b"\x03\xff\0\xff"),
        "text_too_long": (b"\1\0\0", b"\xfdab"),
        "nested_deep": (b"\1\0\0", b"\x03\1\0\1" * 600),
        "unknown_type": (b"\1\0\0", b"\xfc"),
        "nothing": (b"", b""),
    }.items():
        corpus.put(f"variant_{name}", variant(*bytes_), judge="none")


def statistics(corpus):
    """Statistics as they were, cut short, wrong, and of NaN."""
    nan = [1.0, np.nan]
    corpus.put("nan_in_stats", patched(written(pa.table({"x": nan})), ((*STATISTICS, 5), text(pack.pack("<d", np.nan)))))
    for name, values in {"all": [np.nan] * 3, "negative_zero": [-0.0, 0.0], "zeros": [0.0, 0.0], "infinities": [np.inf, -np.inf, np.nan]}.items():
        corpus.put(f"floats_{name}", written(pa.table({"x": pa.array(values, pa.float64())})))
    # IEEE's total order, which is to come: NaN at both ends, counts of them, order 2 of the union
    both = {5: text(pack.pack("<d", np.nan)), 6: text(pack.pack("<d", -np.nan)), 9: i64(2)}
    total = one(DOUBLE, page(plain(DOUBLE, [np.nan, -1, -np.nan]), 3), 3, statistics=both)
    corpus.put("floats_in_total_order", patched(total, ((7, 0), {2: struct()})))
    unsigned = {1: text(b"\x01"), 2: text(b"\xff"), 3: i64(0)}
    schema = [element("schema", children=1), element("t", BYTE_ARRAY, REQUIRED, converted=0)]
    body = page(plain(BYTE_ARRAY, [b"\x01", "ÿ".encode()]), 2)
    corpus.put("statistics_of_old_sorted_as_signed", document(schema, [(2, [chunk(["t"], BYTE_ARRAY, body, 2, statistics=unsigned)])], orders=False))
    old = {1: text(pack.pack("<i", 9)), 2: text(pack.pack("<i", -4))}
    corpus.put("statistics_of_old", document([element("schema", children=1), element("n", INT32, REQUIRED)], [(2, [chunk(["n"], INT32, ints([9, -4]), 2, statistics=old)])], orders=False))
    file = written(pa.table({"n": pa.array([3, 1, 2], pa.int64()), "t": ["b", "a", "c"]}))
    corpus.put("statistics_of_wrong_width", patched(file, ((*STATISTICS, 5), text(b"\1\0\0")), ((*STATISTICS, 6), text(b""))), judge="none")
    corpus.put("statistics_the_wrong_way_round", patched(file, ((*STATISTICS, 5), text(pack.pack("<q", 1))), ((*STATISTICS, 6), text(pack.pack("<q", 3)))), judge="pyarrow")
    corpus.put("statistics_of_one_end", patched(file, ((*STATISTICS, 5), None), ((*STATISTICS, 1), None)))
    corpus.put("statistics_of_more_nulls_than_rows", patched(file, ((*STATISTICS, 3), i64(99))))
    corpus.put("statistics_of_negative_counts", patched(file, ((*STATISTICS, 3), i64(-1)), ((*STATISTICS, 4), i64(-7))))
    long = pa.table({"t": ["\U0001f680" * 60, "Blart Versenwald III" * 9, "\U0010ffff" * 80]})
    corpus.put("statistics_of_long_texts", written(long))
    cut = (4, 0, 1, 1, 3, 12)
    for number, value in ((5, b"\xff\xff"), (6, b"\xc3")):
        corpus.put(f"statistics_cut_inside_a_letter_{number}", patched(file, ((*cut, number), text(value))), judge="pyarrow")
    corpus.put("statistics_without_orders", patched(file, ((7,), None)))
    corpus.listed("statistics_with_orders_of_fewer_columns", patched(file, ((7,), several(thrift.STRUCT, [{1: struct()}]))))
    corpus.put("sorting_columns", written(table(), sorting_columns=[pq.SortingColumn(0, descending=True, nulls_first=True)], row_group_size=100))


def metadata(corpus):
    """Names and keys that are unusual."""
    huge = table().replace_schema_metadata({"huge": "x" * 3_000_000, "ä": "ü"})
    corpus.put("metadata_huge", written(huge))
    file = written()
    pair = {1: text(b"\xff\xfe"), 2: text(b"\0\xff")}
    corpus.listed("metadata_not_utf8", patched(file, ((5,), several(thrift.STRUCT, [pair]))))
    corpus.put("metadata_without_value", patched(file, ((5,), several(thrift.STRUCT, [{1: text("bifrost.product")}]))))
    corpus.put("metadata_of_columns", patched(file, ((*CHUNK, 8), several(thrift.STRUCT, [{1: text("foo"), 2: text("bar")}, {1: text("alone")}]))))
    corpus.put("arrow_schema_of_rubbish", patched(file, ((5,), several(thrift.STRUCT, [{1: text("ARROW:schema"), 2: text(base64.b64encode(b"\xff" * 99))}]))))
    other = apart_value(written(pa.table({"other": pa.array([[1]])})), "ARROW:schema")
    corpus.put("arrow_schema_of_another", patched(file, ((5,), several(thrift.STRUCT, [{1: text("ARROW:schema"), 2: text(other)}]))))
    ours = [{1: text(f"bifrost.{key}"), 2: text(value)} for key, value in {"product": "spectra", "tile": "{", "order": "x", "parents": "[1]"}.items()]
    corpus.put("metadata_that_claims_to_be_ours", patched(file, ((5,), several(thrift.STRUCT, ours)), ((6,), text("parquet-rs version 1"))))
    corpus.listed("writer_of_rubbish", patched(file, ((6,), text(b"\xff\0version"))))
    corpus.refused("name_not_utf8", patched(file, ((2, 1, 4), text(b"\xff\xfe"))), "UTF-8")
    corpus.put("name_with_nul", patched(file, ((2, 1, 4), text(b"n\0m")), ((*CHUNK, 3), several(thrift.BINARY, [b"n\0m"]))), judge="none")
    corpus.put("name_empty", patched(file, ((2, 1, 4), text("")), ((*CHUNK, 3), several(thrift.BINARY, [b""]))), judge="none")
    twins = [pa.array([1, 2]), pa.array([3, 4])]
    corpus.listed("names_twice", written(pa.table(twins, names=["n", "n"])), "two columns named 'n'")
    corpus.put("names_in_other_case", written(pa.table(twins, names=["n", "N"])), judge="pyarrow")
    corpus.put("name_long", written(pa.table({"n" * 20_000: [1]})))
    corpus.put("field_ids", written(pa.table([[1]], schema=pa.schema([pa.field("n", pa.int64(), metadata={"PARQUET:field_id": "-7"})]))))
    corpus.put("fields_to_come", patched(file, ((30,), struct({1: text("new"), 2: several(thrift.I64, [1, 2])})), ((*CHUNK, 40), text("new"))))
    corpus.put("version_to_come", patched(file, ((1,), i32(99))))


def apart_value(file, key):
    """A value of the footer's metadata."""
    pairs = crafted.apart(file)[1][5][1][1]
    return next(pair[2][1] for pair in pairs if pair[1][1].decode() == key)


def counts(corpus):
    """None, and very many."""
    corpus.put("rows_none", written(table(0)))
    corpus.put("rows_none_in_a_group", one(INT32, b"", 0))
    corpus.put("columns_none", written(pa.table({})), judge="none")
    corpus.put("columns_none_but_rows", document([element("schema")], [(5, [])], orders=False), judge="none")
    corpus.put("groups_none_but_schema", document([element("schema", children=1), element("n", INT32, REQUIRED)], []))
    wide = pa.table([pa.array([i]) for i in range(3000)], names=[f"c{i}" for i in range(3000)])
    corpus.put("columns_3000", written(wide, compression="none"))
    corpus.put("groups_2000", written(pa.table({"n": range(2000)}), row_group_size=1, compression="none", use_dictionary=False))
    long = pa.table({"t": ["y" * 1_000_000, "z"]})
    corpus.put("value_of_a_megabyte", written(long, compression="none"))


def writers(corpus):
    """The same table by other programs."""
    source = table()
    duckdb.connect().sql("SELECT * FROM source").write_parquet(str(corpus.path("by_duckdb")))
    path = corpus.path("by_duckdb_version_2")
    duckdb.connect().execute(f"COPY (SELECT * FROM source) TO '{path}' (PARQUET_VERSION v2, COMPRESSION zstd)")
    frame = pl.from_arrow(source)
    frame.write_parquet(corpus.path("by_polars"), row_group_size=77)
    frame.write_parquet(corpus.path("by_polars_without_statistics"), statistics=False)
    frame = pd.DataFrame({"n": np.arange(ROWS), "x": np.linspace(0, 1, ROWS), "name": [f"o{i % 9}" for i in range(ROWS)]})
    for form, how in {"plain": {}, "nullable": dict(has_nulls=True), "groups": dict(row_group_offsets=50), "gzip": dict(compression="GZIP"), "int96": dict(times="int96")}.items():
        fastparquet.write(str(corpus.path(f"by_fastparquet_{form}")), frame, **how)
