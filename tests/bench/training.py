"""Spectra a second into a training loop: a dataset of Bifrost against a DataLoader over pyarrow, two workers each.

    python training.py FOLDER [--epochs 10] [--record]

FOLDER/lake is that of arrays.py, synced in BIFROST_DATABASE_URL; the Python is one with torch, the package `bifrost`
a release build. Both give batches of 64 spectra, flux and ivar as float32 tensors, of all rows with zwarn = 0; the
peer's workers share the files and read row group by row group with filters, as one writes it. The first pass warms
the page cache. Shuffled, both have the row groups in random order and mix the rows of four of them. Told is, too, the
memory of the largest process after the second and the last epoch, and, if the example `floor` is beside BIFROST_BIN,
how the CPU time of reading compares with that of decompression alone.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

import bifrost

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
COLUMNS = ["flux", "ivar"]
BATCH = 64


class Peer(IterableDataset):
    def __init__(self, files, shuffle=False):
        self.files, self.shuffle = files, shuffle

    def groups(self):
        """Tables of row groups; shuffled, of four at once, their rows mixed."""
        worker, dice = get_worker_info(), np.random.default_rng(1)
        files = self.files[worker.id :: worker.num_workers]
        groups = (group for path in files for part in ds.dataset(path).get_fragments() for group in part.split_by_row_group())
        read = lambda group: group.to_table(columns=COLUMNS, filter=pc.field("zwarn") == 0)
        if not self.shuffle:
            yield from map(read, groups)
            return
        groups = list(groups)
        dice.shuffle(groups)
        for start in range(0, len(groups), 4):
            table = pa.concat_tables(map(read, groups[start : start + 4]))
            yield table.take(dice.permutation(table.num_rows))

    def __iter__(self):
        held = {name: [] for name in COLUMNS}
        for table in self.groups():
            for name in COLUMNS:
                held[name].extend(table.column(name).to_numpy())
            while len(held["flux"]) >= BATCH:
                yield {name: torch.from_numpy(np.stack(values[:BATCH])) for name, values in held.items()}
                held = {name: values[BATCH:] for name, values in held.items()}
        if held["flux"]:
            yield {name: torch.from_numpy(np.stack(values)) for name, values in held.items()}


def passed(dataset):
    started, rows = time.perf_counter(), 0
    for batch in DataLoader(dataset, batch_size=None, num_workers=2):
        rows += len(batch["flux"])
    return rows, rows / (time.perf_counter() - started)


def memory():
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024


def cpu(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def floor(answer, files):
    """CPU seconds of reading all rows in one thread, of decompressing and joining the same pages, and of the former alone."""
    program = pathlib.Path(os.environ.get("BIFROST_BIN", "")).parent / "examples/floor"
    if not program.exists():
        return ""
    rounds = []
    for _ in range(3):
        before = cpu(resource.RUSAGE_SELF)
        values = sum(len(batch.column(name).values) for batch in answer.read(COLUMNS, threads=1) for name in COLUMNS)
        ours, before = cpu(resource.RUSAGE_SELF) - before, cpu(resource.RUSAGE_CHILDREN)
        said = json.loads(subprocess.run([program, ",".join(COLUMNS), *files], capture_output=True, check=True).stdout)
        assert said["values"] == values, (said, values)
        least = cpu(resource.RUSAGE_CHILDREN) - before
        rounds.append((ours, least, least * said["zstd_seconds"] / said["seconds"]))
    ours, least, zstd = (statistics.median(times) for times in zip(*rounds))
    return (
        f"\nReading all {values:,} values in one thread takes {ours:.2f} s of CPU; fetching, decompressing and joining the same"
        f"\npages with buffers that are used again {least:.2f} s ({least / ours:.0%}), zstd's part of it {zstd:.2f} s.\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lake = arguments.folder.resolve() / "lake"
    opened = bifrost.open(lake, os.environ["BIFROST_DATABASE_URL"])
    answer = opened.resolve("zwarn = 0")
    files = sorted(map(str, (lake / "spectra").rglob("*.parquet")))
    lines = []
    for shuffle in False, True:
        ours, peer = answer.torch_dataset(COLUMNS, batch_size=BATCH, shuffle=shuffle, seed=1), Peer(files, shuffle)
        speeds, first = {"Bifrost": [], "pyarrow": []}, None
        for epoch in range(arguments.epochs):
            ours.set_epoch(epoch)
            rows, speed = passed(ours)
            speeds["Bifrost"].append(speed)
            if epoch == 1:
                first = memory()
        last = memory()
        for _ in range(3):
            found, speed = passed(peer)
            assert found == rows
            speeds["pyarrow"].append(speed)
        one, other = (statistics.median(values[1:]) for values in speeds.values())
        kind = "shuffled" if shuffle else "in order"
        lines.append(f"| {kind} | {rows} | {one:,.0f} | {other:,.0f} | {one / other:.1f} | {first:,.0f} | {last:,.0f} |")
        print(lines[-1], flush=True)
    line = "\n".join(lines)
    least = floor(opened.resolve("zwarn >= 0"), files)
    print(least)
    if arguments.record:
        with RESULTS.open("a") as results:
            results.write(
                "\n## Spectra into a training loop: against a DataLoader over pyarrow\n\n"
                f"`… python tests/bench/training.py FOLDER --epochs {arguments.epochs} --record`\n\n"
                "Two workers, batches of 64, no cache; medians of passes. Demanded: 3 times as fast; memory that"
                " does not grow\n(MiB of the largest process after the second and the last epoch).\n\n"
                "| order | spectra | Bifrost, spectra/s | pyarrow, spectra/s | ratio | MiB then | MiB at the end |\n"
                "|---|--:|--:|--:|--:|--:|--:|\n" + line + "\n" + least)


if __name__ == "__main__":
    main()
