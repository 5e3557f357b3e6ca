"""How the arrays of a spectra store are best laid out: shape of chunks and compression, on mock spectra.

    python store.py [--objects 300] [--reads 300] [--precision decimals] [--record]

BIFROST_BIN makes a tile of mock spectra. h5py writes each candidate and reads single rows of it: bytes a
spectrum (flux, ivar, mask), MB/s of arrays written by one thread, µs to read a random spectrum of an open file
(the file in the page cache). Shuffled and deflated rows are also decoded without HDF5, as the library does: by
zlib at the chunk's place in the file. What needs a plugin (zstd) is told for comparison: whoever has no plugin
cannot read it.
"""

import argparse
import os
import pathlib
import random
import struct
import subprocess
import tempfile
import time
import zlib

import h5py
import numpy as np
import pyarrow.parquet as pq

BIFROST = os.environ["BIFROST_BIN"]
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
ARRAYS = {"flux": "flux", "ivar": "ivar", "mask": "mask_array"}


def candidates():
    yield "contiguous", {}
    for rows in 1, 8, 64:
        row = f"chunks of {rows} row{'s' if rows > 1 else ''}"
        yield f"{row}, unfiltered", {"rows": rows}
        for level in (1, 4, 9) if rows == 1 else (1,):
            yield f"{row}, shuffle + gzip {level}", {"rows": rows, "shuffle": True, "compression": "gzip", "compression_opts": level}
    gzip = {"rows": 1, "shuffle": True, "compression": "gzip", "compression_opts": 1}
    for level, share, words in [(1, 0.33, ""), (4, 0.75, ""), (4, 0.33, " (Bifrost's)"), (9, 0.33, "")]:
        name = f"chunks of 1 row, shuffle + gzip {level}, as it is what keeps {100 * share:.0f} %{words}"
        yield name, {**gzip, "as_it_is": (level, share)}
    yield "chunks of 1 row, gzip 1", {"rows": 1, "compression": "gzip", "compression_opts": 1}
    yield "chunks of 1 row, shuffle + lzf (h5py alone)", {"rows": 1, "shuffle": True, "compression": "lzf"}
    try:
        import hdf5plugin
    except ImportError:
        print("hdf5plugin is not installed: zstd is left out")
        return
    yield "chunks of 1 row, shuffle + zstd 3 (plugin)", {"rows": 1, "shuffle": True, **hdf5plugin.Zstd(clevel=3)}


def arrays(folder, objects, precision):
    run = lambda *arguments: subprocess.run([BIFROST, *map(str, arguments)], check=True, capture_output=True)
    run("mock", "--out", folder / "archive", "--tiles", 1, "--objects", objects)
    run("--lake", folder / "lake", "convert", folder / "archive", "--precision", precision)
    (path,) = (folder / "lake").rglob("*.parquet")
    table = pq.read_table(path, columns=list(ARRAYS.values()))
    return {name: np.stack(table[column].to_numpy()) for name, column in ARRAYS.items()}, path.stat().st_size


def deflated(plane, level):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(plane) + packer.flush(zlib.Z_SYNC_FLUSH)


def chunk(row, level, share):
    """A shuffled row as a zlib stream in which planes that do not shrink to a share are not compressed, and planes
    of nearly nothing share a block."""
    planes = row.view("u1").reshape(-1, 4).T.tobytes()
    starts = range(0, len(planes), len(row))
    blocks = [(plane, deflated(plane, level)) for plane in (planes[start : start + len(row)] for start in starts)]
    if all(len(block) * 16 < len(plane) for plane, block in blocks):
        stream = deflated(planes, level)
    else:
        plain = lambda plane: b"\0" + struct.pack("<HH", len(plane), len(plane) ^ 0xFFFF) + plane
        stream = b"".join(block if len(block) < share * len(plane) else plain(plane) for plane, block in blocks)
    return b"\x78\x01" + stream + b"\x01\0\0\xff\xff" + struct.pack(">I", zlib.adler32(planes))


def write(path, held, rows=None, as_it_is=None, **options):
    began = time.perf_counter()
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        for name, values in held.items():
            chunks = rows and (min(rows, len(values)), values.shape[1])
            if as_it_is:
                made = file.create_dataset(name, values.shape, values.dtype, chunks=chunks, **options)
                for at, row in enumerate(values):
                    made.id.write_direct_chunk((at, 0), chunk(row, *as_it_is))
            else:
                file.create_dataset(name, data=values, chunks=chunks, **options)
    return time.perf_counter() - began


def read(path, reads, held):
    """µs a spectrum."""
    dice = random.Random(4)
    # without a cache of chunks: every read is of another spectrum
    with h5py.File(path, rdcc_nbytes=0) as file:
        sets = {name: file[name] for name in held}
        took = []
        for row in (dice.randrange(len(held["flux"])) for _ in range(reads)):
            began = time.perf_counter()
            found = {name: values[row] for name, values in sets.items()}
            took.append(time.perf_counter() - began)
            assert all(np.array_equal(found[name], held[name][row]) for name in held)
    return 1e6 * sorted(took)[len(took) // 2]


def read_directly(path, reads, held):
    """µs a spectrum, of shuffled and deflated rows, past HDF5."""
    dice = random.Random(4)
    with h5py.File(path) as file:
        places = {name: [file[name].id.get_chunk_info(row) for row in range(len(held[name]))] for name in held}
    descriptor = os.open(path, os.O_RDONLY)
    took = []
    for row in (dice.randrange(len(held["flux"])) for _ in range(reads)):
        began = time.perf_counter()
        found = {}
        for name, chunks in places.items():
            raw = zlib.decompress(os.pread(descriptor, chunks[row].size, chunks[row].byte_offset))
            planes = np.frombuffer(raw, "u1").reshape(4, -1)
            found[name] = np.ascontiguousarray(planes.T).view(held[name].dtype)[:, 0]
        took.append(time.perf_counter() - began)
        assert all(np.array_equal(found[name], held[name][row]) for name in held)
    os.close(descriptor)
    return 1e6 * sorted(took)[len(took) // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--reads", type=int, default=300)
    parser.add_argument("--precision", default="decimals")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    table = "| layout | bytes a spectrum | of Parquet | write MB/s | read µs | past HDF5 µs |\n|---|--:|--:|--:|--:|--:|\n"
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as folder:
        folder = pathlib.Path(folder)
        held, parquet_bytes = arrays(folder, arguments.objects, arguments.precision)
        count, size = len(held["flux"]), sum(values.nbytes for values in held.values())
        for name, options in candidates():
            path = folder / "store.h5"
            seconds = write(path, held, **options)
            with h5py.File(path) as file:
                stored = sum(file[array].id.get_storage_size() for array in held)
            is_ours = options.get("rows") == 1 and options.get("shuffle") and options.get("compression") == "gzip"
            direct = f"{read_directly(path, arguments.reads, held):,.0f}" if is_ours else ""
            table += (
                f"| {name} | {stored / count:,.0f} | {stored / parquet_bytes:.2f} | {size / 1e6 / seconds:,.0f} |"
                f" {read(path, arguments.reads, held):,.0f} | {direct} |\n"
            )
            print(table.splitlines()[-1], flush=True)
    if arguments.record:
        with RESULTS.open("a") as out:
            out.write(
                f"\n## Layouts of a spectra store\n\n{count} mock spectra, precision {arguments.precision}, {parquet_bytes / count:,.0f}"
                f" bytes each in Parquet with all columns; {os.cpu_count()} cores, load {load:.1f} before;"
                f" `python tests/bench/store.py --record`; medians of {arguments.reads} reads.\n\n{table}"
            )


if __name__ == "__main__":
    main()
