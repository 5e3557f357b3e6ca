"""What other writers leave in a lake: `bifrost sync` knows of it what DuckDB and pyarrow know."""

import base64

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

ROWS = 500


def table():
    """Columns of every kind, with NULL, NaN, infinities, text of every length."""
    rng = np.random.default_rng(11)
    z = rng.normal(1, 1, ROWS)
    z[::50], z[7] = np.nan, np.inf
    return pa.table({
        "TARGETID": np.arange(ROWS) + 39_627_000_000_000_000,
        "z": z,
        "flux": pa.array(rng.normal(0, 9, ROWS).astype(np.float32), mask=rng.random(ROWS) < 0.3),
        "flag": rng.random(ROWS) < 0.5,
        "unsigned": rng.integers(0, 2**32, ROWS, dtype=np.uint32),
        "spectype": pa.array(rng.choice(["GALAXY", "QSO", "ÄTHER" * 40], ROWS)),
        "empty": pa.nulls(ROWS, pa.float64()),
        "list": pa.array([[1, 2]] * ROWS),
    })


@pytest.fixture
def lake(place):
    """A lake with a folder for foreign files."""
    (place.lake / "foreign").mkdir(parents=True)
    return place


def encrypt(path):
    """Writes a file whose footer is encrypted."""
    class Client(pe.KmsClient):
        def wrap_key(self, key, _name):
            return base64.b64encode(key)

        def unwrap_key(self, key, _name):
            return base64.b64decode(key)

    factory = pe.CryptoFactory(lambda _: Client())
    config = pe.EncryptionConfiguration(footer_key="f", column_keys={"c": ["z"]})
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), config)
    with pq.ParquetWriter(path, table().schema, encryption_properties=properties) as writer:
        writer.write_table(table())


def test_bounds_enclose_what_duckdb_finds(lake):
    files = {
        "pyarrow.parquet": dict(row_group_size=120),
        "version1.parquet": dict(version="1.0", data_page_version="1.0"),
        "partly.parquet": dict(write_statistics=["TARGETID", "z"]),
    }
    for name, how in files.items():
        pq.write_table(table(), lake.lake / "foreign" / name, **how)
    duck = duckdb.connect()
    duck.register("source", table())
    duck.execute(f"COPY source TO '{lake.lake}/foreign/duckdb.parquet' (ROW_GROUP_SIZE 2048)")
    assert lake.json("sync", "--no-datasheet")["files_added"] == 4
    columns = lake.sql("""
        SELECT f.path, c->>'name', c->>'kind', b.int_min[(c->>'slot')::int], b.int_max[(c->>'slot')::int],
               b.float_min[(c->>'slot')::int], b.float_max[(c->>'slot')::int],
               b.text_min[(c->>'slot')::int], b.text_max[(c->>'slot')::int],
               b.null_count[(c->>'position')::int], b.float_nan
        FROM file_registry f JOIN file_bounds b USING (file_id) JOIN file_schemas s USING (schema_id),
             jsonb_array_elements(s.columns) c
        WHERE c ? 'slot'""")
    known = 0
    for path, name, kind, *ends, nulls, nan in columns:
        low, high = ends[dict(int=0, bool=0, float=2, text=4)[kind] :][:2]
        finite = f'AND NOT isnan("{name}")' if kind == "float" else ""
        cast = f'"{name}"::int' if kind == "bool" else f'"{name}"'
        query = f"""SELECT min({cast}), max({cast}) FROM '{lake.lake}/{path}' WHERE "{name}" IS NOT NULL {finite}"""
        least, greatest = duck.execute(query).fetchone()
        missing = duck.execute(f"""SELECT count(*) FROM '{lake.lake}/{path}' WHERE "{name}" IS NULL""").fetchone()
        assert nulls is None or (nulls,) == missing, (path, name)
        assert nan is None, "a footer does not tell"
        if low is not None and least is not None:
            known += 1
            assert low.encode() <= least.encode() if kind == "text" else low <= least, (path, name)
        if high is not None and greatest is not None:
            assert high.encode() >= greatest.encode() if kind == "text" else high >= greatest, (path, name)
    assert known > 15, f"bounds of only {known} columns are known"


def test_an_encrypted_file_is_set_aside_by_name(lake):
    encrypt(lake.lake / "foreign" / "secret.parquet")
    pq.write_table(table(), lake.lake / "foreign" / "plain.parquet")
    report = lake.json("sync", "--no-datasheet", code=3)
    assert [q["path"] for q in report["quarantined"]] == ["foreign/secret.parquet"]
    assert "encrypted" in report["quarantined"][0]["reason"]
    assert lake.sql("SELECT path FROM file_registry WHERE state = 'live'") == [("foreign/plain.parquet",)]
    assert lake.json("sync", "--no-datasheet")["files_opened"] == 0
