"""Lakes as LSDB sees them, and what must be true of every HATS catalog."""

import logging
import re
import socket
from pathlib import Path

import lsdb
import pyarrow.parquet as pq
from hats.io.validation import is_valid_catalog

# tiles that are made in a moment
LIGHT = ("--no-resolution", "--rrdetails", "small")


def files_of(catalog):
    """Its Parquet files by (order, pixel)."""
    found = {}
    for path in sorted(Path(catalog).glob("dataset/Norder=*/Dir=*/Npix=*/*.parquet")):
        order, pixel = re.search(r"Norder=(\d+)/.*/Npix=(\d+)/", str(path)).groups()
        found.setdefault((int(order), int(pixel)), []).append(path)
    return found


def properties(catalog):
    lines = (Path(catalog) / "hats.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def check(catalog):
    """Strictly valid, and every number as the files say; gives the rows as LSDB reads them."""
    logging.getLogger().setLevel(logging.ERROR)
    assert is_valid_catalog(catalog, strict=True), catalog
    files = files_of(catalog)
    rows = {pixel: [pq.read_metadata(path).num_rows for path in paths] for pixel, paths in files.items()}
    told = properties(catalog)
    assert int(told["hats_nrows"]) == sum(map(sum, rows.values()))
    assert int(told["hats_max_rows"]) == max(map(sum, rows.values()), default=0)
    head, *lines = (Path(catalog) / "partition_info.csv").read_text().splitlines()
    assert head.startswith("Norder,Npix,")
    listed = [tuple(map(int, line.split(","))) for line in lines]
    assert listed == [
        (*pixel, sum(rows[pixel]), len(files[pixel]), sum(path.stat().st_size for path in files[pixel]))
        for pixel in sorted(files)
    ]
    assert (Path(catalog) / "properties").read_text() == (Path(catalog) / "hats.properties").read_text()
    opened = lsdb.open_catalog(catalog)
    assert len(opened) == int(told["hats_nrows"])
    cells = opened.hc_structure.moc.flatten() if sum(map(sum, rows.values())) else []
    assert list(cells) == [pixel for (_, pixel), counts in sorted(rows.items()) if sum(counts)]
    found = opened.compute()
    assert len(found) == len(opened)
    assert not any("list" in str(kind) for kind in found.dtypes), "arrays are read when asked for"
    return found


def ids(rows):
    return sorted(int(target_id) for target_id in rows["target_id"])


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
