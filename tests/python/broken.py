"""Files that are damaged, or that lie, or that nobody may read."""

import base64
import struct as pack

import crafted
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import thrift
from corpus import CHUNK, REFUSED, ints, one, table, written
from crafted import BYTE_ARRAY, DOUBLE, FIXED, FLOAT, INT32, OPTIONAL, REQUIRED, RLE, RLE_DICTIONARY, chunk, document, element, page, patched, plain
from thrift import i16, i32, i64, several, struct


class Keys(pe.KmsClient):
    """Keeps keys by hiding nothing."""

    def wrap_key(self, key, _name):
        return base64.b64encode(key)

    def unwrap_key(self, key, _name):
        return base64.b64decode(key)


def encrypted(corpus):
    """Footers and columns that are encrypted."""
    factory = pe.CryptoFactory(lambda _: Keys())
    for name, plaintext, algorithm in [
        ("footer", False, "AES_GCM_V1"),
        ("footer_ctr", False, "AES_GCM_CTR_V1"),
        ("columns", True, "AES_GCM_V1"),
    ]:
        config = pe.EncryptionConfiguration(
            footer_key="f", column_keys={"c": ["x"]}, plaintext_footer=plaintext, encryption_algorithm=algorithm
        )
        properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), config)
        path = corpus.path(f"encrypted_{name}", REFUSED, "encrypted")
        with pq.ParquetWriter(path, table().schema, encryption_properties=properties) as writer:
            writer.write_table(table())


def ends(corpus):
    """Magic and length that lie; files that end anywhere."""
    file = written(compression="none")
    length = pack.unpack("<I", file[-8:-4])[0]
    again = "copy or write it again"
    corpus.refused("end_nothing", b"", "is empty")
    corpus.refused("end_one_byte", b"P", "is not Parquet")
    corpus.refused("end_magic_alone", b"PAR1", "again")
    corpus.refused("end_magic_twice", b"PAR1PAR1", "again")
    corpus.refused("end_twelve_bytes", b"PAR1\0\0\0\0PAR1", "again")
    corpus.refused("end_magic_wrong", file[:-4] + b"PAR2", again)
    corpus.refused("end_magics_wrong", b"PAR2" + file[4:-4] + b"PAR2", "is not Parquet")
    corpus.refused("end_of_another_kind", b"ARROW1\0\0" + file[8:-6] + b"ARROW1", "is not Parquet")
    corpus.put("start_magic_wrong", b"XXXX" + file[4:], judge="none")
    for name, stated in {"zero": 0, "one_less": length - 1, "one_more": length + 1, "whole_file": len(file), "huge": 2**32 - 1, "signed": 2**31}.items():
        corpus.refused(f"length_{name}", file[:-8] + pack.pack("<I", stated) + b"PAR1", again)
    for share in range(1, 16):
        corpus.refused(f"truncated_{share}", file[: len(file) * share // 16], again)
    for missing in (1, 4, 5, 8, 9, length // 2):
        corpus.refused(f"truncated_by_{missing}", file[:-missing], again)
    corpus.refused("tail_alone", file[-length - 8 :], again)
    corpus.refused("with_bytes_after", file + b"\n", again)
    corpus.refused("middle_missing", file[: len(file) // 4] + file[-length - 8 :], again)


def footers(corpus):
    """Thrift that is none, and numbers that cannot be."""
    file = written(compression="none", row_group_size=150)
    body, footer = crafted.apart(file)
    encoded = thrift.encode(footer)
    again = "again"

    def change(name, *changes):
        corpus.refused(f"footer_{name}", patched(file, *changes), again)

    for name, wrong in {
        "of_zeros": b"\0" * 300,
        "of_ones": b"\xff" * 300,
        "nested_deep": b"\x1c" * 60_000,
        "lists_in_lists": b"\x19" * 60_000,
        "list_of_too_many": b"\x15\2\x19\xfc\xff\xff\xff\xff\x07",
        "text_too_long": b"\x15\2\x68\xff\xff\xff\xff\x0f",
        "number_endless": b"\x15" + b"\xff" * 400,
        "ends_early": encoded[: len(encoded) // 2],
        "unknown_wire_type": b"\x1e" + encoded,
    }.items():
        corpus.refused(f"footer_{name}", crafted.with_footer(body, wrong), again)
    change("no_schema", ((2,), None))
    change("no_rows", ((3,), None))
    change("rows_negative", ((3,), i64(-1)))
    change("rows_too_many", ((3,), i64(2**62)))
    change("rows_not_those_of_groups", ((4, 0, 3), i64(151)))
    change("rows_of_a_group_negative", ((4, 0, 3), i64(-150)), ((3,), i64(0)))
    change("group_without_columns", ((4, 0, 1), None))
    change("group_of_fewer_columns", ((4, 0, 1), several(thrift.STRUCT, [])))
    change("groups_missing", ((4,), None))
    change("schema_empty", ((2,), several(thrift.STRUCT, [])))
    change("schema_of_more_children", ((2, 0, 5), i32(9)))
    change("schema_of_fewer_children", ((2, 0, 5), i32(1)))
    change("schema_of_children_without_end", ((2, 0, 5), i32(2**31 - 1)))
    change("schema_of_negative_children", ((2, 1, 5), i32(-3)))
    change("schema_group_of_itself", ((2, 1, 5), i32(2)))
    change("schema_without_name", ((2, 1, 4), None))
    change("size_negative", ((*CHUNK, 7), i64(-5)))
    change("decoded_size_negative", ((*CHUNK, 6), i64(-5)))
    change("values_negative", ((*CHUNK, 5), i64(-5)))
    change("offset_negative", ((*CHUNK, 9), i64(-4)))
    change("dictionary_offset_negative", ((*CHUNK, 11), i64(-4)))
    change("offset_beyond_the_file", ((*CHUNK, 9), i64(2**40)))
    change("size_beyond_the_file", ((*CHUNK, 7), i64(2**40)))
    change("offsets_that_overflow", ((*CHUNK, 9), i64(2**63 - 1)), ((*CHUNK, 7), i64(2**63 - 1)))
    change("offset_missing", ((*CHUNK, 9), None))
    change("size_missing", ((*CHUNK, 7), None))
    root = element("schema", children=1)
    chain = [element("g", repetition=REQUIRED, children=1) for _ in range(20_000)]
    deep = document([root, *chain, element("n", INT32, REQUIRED)], [])
    corpus.refused("footer_schema_20000_deep", deep, "nested too deep")
    few = b"\x19\xfc" + thrift.varint(30_000) + b"\x36\2\0" * 30_000
    wide = [element("schema", children=2000), *[element(f"c{i}", DOUBLE, REQUIRED) for i in range(2000)]]
    start = thrift.encode({1: i32(1), 2: several(thrift.STRUCT, wide), 3: i64(30_000)})[:-1]
    corpus.refused("footer_groups_of_three_bytes", crafted.with_footer(b"PAR1", start + few + b"\0"), "no columns")
    twice = thrift.encode(footer)[:-1] + b"\x09\4" + thrift.encoded(thrift.LIST, (thrift.STRUCT, wide)) + b"\0"
    corpus.refused("footer_two_schemas", crafted.with_footer(body, twice), "two schemas")


def pages(corpus):
    """Footers that are sound, before pages that are not."""
    file = written(compression="none", use_dictionary=False)
    size = len(crafted.apart(file)[0])
    corpus.listed("pages_of_zeros", b"PAR1" + b"\0" * (size - 4) + file[size:])
    corpus.listed("pages_of_ones", b"PAR1" + b"\xff" * (size - 4) + file[size:])
    corpus.listed("pages_of_others", patched(file, ((*CHUNK, 9), i64(4000)), ((*CHUNK, 7), i64(500))))
    corpus.listed("pages_cut_short", patched(file, ((*CHUNK, 7), i64(60))))
    corpus.listed("rows_too_many", one(INT32, ints([1, 2]), 2, rows=3))
    columns = [element("schema", children=2), element("n", INT32, REQUIRED), element("m", INT32, REQUIRED)]
    uneven = [chunk(["n"], INT32, ints([1, 2, 3]), 3), chunk(["m"], INT32, ints([1]), 1)]
    corpus.listed("columns_of_unlike_lengths", document(columns, [(3, uneven)]))
    corpus.listed("page_count_negative", one(INT32, page(plain(INT32, [1]), -3), 1))
    corpus.put("page_count_huge", one(INT32, page(plain(INT32, [1]), 2**31 - 1), 1), judge="none")
    corpus.listed("page_size_negative", one(INT32, thrift.encode({1: i32(0), 2: i32(-4), 3: i32(-4), 5: struct({1: i32(1), 2: i32(0), 3: i32(RLE), 4: i32(RLE)})}), 1))
    corpus.listed("page_size_beyond", one(INT32, thrift.encode({1: i32(0), 2: i32(2**30), 3: i32(2**30), 5: struct({1: i32(1), 2: i32(0), 3: i32(RLE), 4: i32(RLE)})}), 1))
    corpus.listed("page_without_header", one(INT32, thrift.encode({1: i32(0), 2: i32(4), 3: i32(4)}) + b"\0" * 4, 1))
    corpus.listed("page_of_unknown_kind", one(INT32, thrift.encode({1: i32(9), 2: i32(4), 3: i32(4)}) + b"\0" * 4, 1))
    corpus.listed("page_header_nested_deep", one(INT32, b"\x1c" * 60_000, 1))
    for name, count in {"negative": -2, "huge": 2**31 - 1}.items():
        words = crafted.dictionary(plain(INT32, [7]), count)
        corpus.listed(f"dictionary_count_{name}", one(INT32, page(b"\0\2", 1, encoding=RLE_DICTIONARY), 1, words=words))
    words = crafted.dictionary(plain(BYTE_ARRAY, [b"abc"]), 1)
    corpus.listed("dictionary_of_another_type", one(FIXED, page(b"\0\2", 1, encoding=RLE_DICTIONARY), 1, words=words, length=16))
    corpus.listed("text_longer_than_page", one(BYTE_ARRAY, page(b"\xff\xff\xff\x7fab", 1), 1, converted=0))
    corpus.listed("text_not_utf8", one(BYTE_ARRAY, page(plain(BYTE_ARRAY, [b"\xff\xfe"]), 1), 1, converted=0))
    for name, size in {"delta_width_beyond": b"\x80\1\4\1\0\0\xff\xff\xff\xff", "delta_of_no_blocks": b"\0\0\0\0", "delta_endless": b"\xff" * 30}.items():
        corpus.listed(f"page_{name}", one(INT32, page(size, 9, encoding=5), 9))
    for number, what in {6: "length_byte_array", 7: "byte_array"}.items():
        corpus.listed(f"page_delta_{what}_of_rubbish", one(BYTE_ARRAY, page(b"\x80\1\4\3\x80\x80\4\xff\xff", 3, encoding=number), 3))
    corpus.put("page_split_of_odd_length", one(FLOAT, page(b"\0" * 7, 2, encoding=9), 2), judge="none")
    corpus.listed("levels_longer_than_page", one(INT32, page(pack.pack("<I", 2**31) + b"\0" * 8, 2), 2, OPTIONAL))
    corpus.listed("levels_v2_longer_than_page", one(INT32, thrift.encode({1: i32(3), 2: i32(4), 3: i32(4), 8: struct({1: i32(1), 2: i32(0), 3: i32(1), 4: i32(0), 5: i32(-9), 6: i32(2**31 - 1)})}) + b"\0" * 4, 1))
    both = written(pa.table({"n": pa.array([1, 2]), "m": pa.array([3, 4])}), compression="none", use_dictionary=False)
    first = crafted.apart(both)[1][4][1][1][0][1][1][1][0][3][1]
    corpus.put("columns_that_overlap", patched(both, ((4, 0, 1, 1, 3, 9), first[9]), ((4, 0, 1, 1, 3, 7), first[7])))
    corpus.put("dictionary_offset_0", patched(both, ((*CHUNK, 11), i64(0))))
    corpus.put("ordinal_of_groups_overflows", patched(both, ((4, 0, 7), i16(-1))))
