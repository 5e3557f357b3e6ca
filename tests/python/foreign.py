"""Parquet files as other people write them, for a product of their own: every type that a question
can be about, several writers, statistics present, cut short, absent, or of no use.

Every row has a `row_id` that no other row of the product has."""

import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLASSES = ["GALAXY", "QSO", "STAR", "", "qso", "Ä" * 40, "Z" * 90]
FIRST_ID = 39_627_800_000_000_000


def some(rng, values, share=0.15):
    """The values as a list in which about that share is missing."""
    gone = rng.random(len(values)) < share
    return [None if g else v for v, g in zip(values, gone)]


def table(rng, rows, first_id, **types):
    """Columns of many types; `types` replaces a column's type, or leaves it out with None."""
    z = rng.choice(np.round(rng.uniform(-0.1, 6, rows), 2), rows)
    nan = rng.random(rows) < 0.1
    columns = {
        "row_id": (range(first_id, first_id + rows), pa.int64()),
        "target_id": (some(rng, [int(FIRST_ID + i) for i in rng.integers(0, 400, rows)]), pa.int64()),
        "ra": (some(rng, rng.uniform(0, 360, rows).tolist(), 0.05), pa.float64()),
        "dec": (some(rng, np.degrees(np.arcsin(rng.uniform(-1, 1, rows))).tolist(), 0.05), pa.float64()),
        "z": (some(rng, np.where(nan, np.nan, z).tolist()), pa.float64()),
        "deltachi2": (some(rng, rng.integers(0, 40, rows).astype(float).tolist()), pa.float32()),
        "zwarn": (some(rng, [int(v) for v in rng.choice([0, 0, 4, 5, 1 << 40], rows)]), pa.int64()),
        "spectype": (some(rng, rng.choice(CLASSES, rows).tolist()), pa.string()),
        "good": (some(rng, [bool(v) for v in rng.integers(0, 2, rows)]), pa.bool_()),
        "fiber": ([int(v) for v in rng.integers(0, 250, rows)], pa.uint8()),
        "night": (some(rng, [datetime.date(2021, 5, 1) + datetime.timedelta(int(d)) for d in rng.integers(0, 60, rows)]), pa.date32()),
    }
    arrays = {}
    for name, (values, kind) in columns.items():
        kind = types.get(name, kind)
        if kind is None:
            continue
        values = list(values)
        if pa.types.is_integer(kind) and name == "z":
            values = [None if v is None or np.isnan(v) else int(v) for v in values]
        if pa.types.is_dictionary(kind):
            arrays[name] = pa.array(values, kind.value_type).dictionary_encode()
        else:
            arrays[name] = pa.array(values, pa.float64() if name == "z" and pa.types.is_floating(kind) else None if name == "z" else kind)
            arrays[name] = arrays[name].cast(kind)
    return pa.table(arrays)


def write(folder, seed):
    """Writes the files; returns their paths."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    paths = []

    def put(name, data, **options):
        path = folder / f"{name}.parquet"
        pq.write_table(data, path, **{"row_group_size": 7, **options})
        paths.append(path)

    def make(rows=60, **types):
        return table(rng, rows, 1000 * len(paths), **types)

    def renamed(data, **names):
        return data.rename_columns([names.get(n, n) for n in data.column_names])

    put("plain", make())
    put("one_group", make(), row_group_size=1000)
    put("no_statistics", make(), write_statistics=False)
    put("some_statistics", make(), write_statistics=["row_id", "zwarn"])
    put("first_version", make(), version="1.0", use_dictionary=False)
    put("upper_case", renamed(make(), z="Z", target_id="TARGETID", spectype="SpecType"))
    put("narrow", make(z=pa.float32(), ra=pa.float32()))
    put("whole_z", make(z=pa.int64()))
    put("dictionary", make(spectype=pa.dictionary(pa.int32(), pa.string())))
    put("large_text", make(spectype=pa.large_string(), fiber=pa.uint32()))
    put("text_view", make(spectype=pa.string_view()))
    put("older", make(deltachi2=None, good=None, night=None))
    put("no_position", make(ra=None))
    put("no_rows", make(rows=0))
    sorted_z = make(120).sort_by("z")
    put("sorted", sorted_z, row_group_size=10)
    nothing = make()
    for name in ("z", "spectype", "good"):
        kind = nothing[name].type
        nothing = nothing.set_column(nothing.schema.get_field_index(name), name, pa.nulls(60, kind))
    put("all_null", nothing)
    nan = make()
    put("all_nan", nan.set_column(nan.schema.get_field_index("z"), "z", pa.array([np.nan] * 60)))
    nested = make()
    nested = nested.append_column("flux", pa.array([[float(i), None] for i in range(60)]))
    nested = nested.append_column("fit", pa.array([{"chi2": float(i), "z": -1.0} for i in range(60)]))
    put("nested", nested)
    wide = make().append_column("serial", pa.array([2**63 + i for i in range(60)], pa.uint64()))
    put("unsigned", wide)

    others = make(200).sort_by("target_id")
    path = folder / "other_writer.parquet"
    duckdb.connect().sql("SELECT * FROM others").write_parquet(str(path), row_group_size=2048)
    paths.append(path)
    return paths
