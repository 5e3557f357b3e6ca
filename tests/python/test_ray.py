"""`Resolution.ray_dataset` on a real Ray: every row once, arrays as tensors, tasks on the node of their bytes.

BIFROST_BIN names the program; the package `bifrost` is installed, or in PYTHONPATH. Where torch is installed beside
Ray, batches are taken as its tensors, too.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

import bifrost
from conftest import new_place
from test_stage import mock

EXAMPLES = Path(__file__).parents[2] / "crates/python/examples"


@pytest.fixture(scope="module")
def place():
    with new_place() as place:
        mock(place, "--tiles", 3, objects=40)
        place.run("convert", place.folder / "archive", "--group-rows", 16)
        place.run("sync", "--node", "stone")
        yield place


@pytest.fixture(scope="module")
def cluster(place):
    # what Ray writes goes with the place
    os.environ["RAY_TMPDIR"] = str(place.folder)
    ray.init(num_cpus=2, labels={"bifrost-node": "stone"}, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    del os.environ["RAY_TMPDIR"]
    for _ in range(50):  # its processes end a little later
        shutil.rmtree(place.folder / "ray", ignore_errors=True)
        time.sleep(0.1)
        if not (place.folder / "ray").exists():
            break


pytestmark = pytest.mark.xdist_group("ray")


def test_a_dataset_has_the_rows(place, cluster):
    answer = bifrost.open(place.lake, place.database_url).resolve("zwarn >= 0")
    columns = ["target_id", "z", "flux"]
    expected = {row["target_id"]: row for row in answer.read(columns).to_arrow().to_pylist()}
    dataset = answer.ray_dataset(columns, rows_a_task=16)
    seen = []
    for batch in dataset.iter_batches(batch_size=20, prefetch_batches=2):
        assert batch["flux"].ndim == 2 and batch["flux"].dtype == np.float32
        for target, z, flux in zip(batch["target_id"], batch["z"], batch["flux"], strict=True):
            assert (z, flux.tolist()) == (expected[target]["z"], expected[target]["flux"])
            seen.append(target)
    assert sorted(seen) == sorted(expected)
    assert dataset.count() == len(expected)
    assert dataset.map_batches(lambda batch: {"mean": batch["flux"].mean(axis=1)}).count() == len(expected)
    assert answer.ray_dataset(["z"]).limit(5).count() == 5


def test_batches_are_tensors_of_torch(place, cluster):
    torch = pytest.importorskip("torch", reason="torch is not in Ray's environment")
    answer = bifrost.open(place.lake, place.database_url).resolve("zwarn >= 0")
    expected = {row["target_id"]: row["flux"] for row in answer.read(["target_id", "flux"]).to_arrow().to_pylist()}
    dataset = answer.ray_dataset(["target_id", "flux", "ivar"], rows_a_task=16)
    seen = []
    for batch in dataset.iter_torch_batches(batch_size=20, prefetch_batches=10):
        assert batch["flux"].dtype == torch.float32 and batch["flux"].shape == batch["ivar"].shape
        for target, flux in zip(batch["target_id"].tolist(), batch["flux"], strict=True):
            assert flux.tolist() == expected[target]
            seen.append(target)
    assert sorted(seen) == sorted(expected)
    tokens = dataset.map_batches(bifrost.science.tokenise, batch_size=20)
    for batch in tokens.iter_torch_batches(batch_size=20, prefetch_batches=10):
        assert batch["tokens"].dtype == torch.float32 and batch["tokens"].shape[2] == 64
        assert batch["tokens_masked"].dtype == torch.bool and torch.isfinite(batch["tokens"]).all()


def test_making_a_dataset_opens_no_file_but_one_of_each_schema(place, cluster):
    answer = bifrost.open(place.lake, place.database_url).resolve("zwarn >= 0")
    first, *others = answer.paths()
    moved = [(Path(path), Path(path).with_suffix(".away")) for path in others]
    for path, away in moved:
        path.rename(away)
    try:
        dataset = answer.ray_dataset(["z"])
    finally:
        for path, away in moved:
            away.rename(path)
    assert dataset.count() == answer.read(["z"]).count()


def test_tasks_run_where_the_bytes_lie(place, cluster):
    from bifrost import ray as ours

    answer = bifrost.open(place.lake, place.database_url).resolve("zwarn >= 0")
    assert ours._labelled() == {"stone"} and {file.node for file in answer.files} == {"stone"}
    asked = []
    kept = ray.data.read_datasource
    try:
        ray.data.read_datasource = lambda source, **options: asked.append(options) or kept(source, **options)
        assert answer.ray_dataset(["z"]).count() > 0
    finally:
        ray.data.read_datasource = kept
    assert asked == [{"ray_remote_args": {"label_selector": {"bifrost-node": "stone"}}}]


def test_arrays_of_other_lengths_are_tensors_too_but_no_array_is_none(place, cluster):
    """Rows of some blocks have arrays of one length, those of others have not."""
    lengths = [3, 3, 3, 3, 2, 1, 5, 5, 5, 5, 0, 4]
    arrays = [np.arange(length, dtype=np.float32) for length in lengths]
    (place.lake / "mine").mkdir()
    try:
        table = pa.table({"row": range(12), "array": arrays, "some": [*arrays[:11], None]})
        pq.write_table(table, place.lake / "mine/rows.parquet", row_group_size=2)
        place.run("sync", "--node", "stone")
        answer = bifrost.open(place.lake, place.database_url).resolve(product="mine")
        for size in (4, 12):
            dataset = answer.ray_dataset(["row", "array"], rows_a_task=2)
            found = [pair for batch in dataset.iter_batches(batch_size=size) for pair in zip(batch["row"], batch["array"])]
            assert [row.tolist() for _, row in sorted(found, key=lambda pair: pair[0])] == [row.tolist() for row in arrays]
        with pytest.raises(Exception, match="column 'some' has NULL.* ask for rows where some IS NOT NULL"):
            answer.ray_dataset(["some"], rows_a_task=2).materialize()
        rows = [row["some"] for row in answer.ray_dataset(["some"], rows_a_task=2, tensors=False).take_all()]
        assert sum(row is None for row in rows) == 1
        known = bifrost.open(place.lake, place.database_url).resolve("some IS NOT NULL", product="mine")
        assert known.ray_dataset(["some"], rows_a_task=2).count() == 11
    finally:
        shutil.rmtree(place.lake / "mine")
        place.run("sync", "--node", "stone")


def test_an_empty_answer_is_an_empty_dataset(place, cluster):
    answer = bifrost.open(place.lake, place.database_url).resolve("z > 100")
    assert answer.ray_dataset(["z"]).count() == 0


def test_the_example_measures_spectra(place, cluster):
    command = [sys.executable, EXAMPLES / "ray_median_flux.py", place.lake, "--database-url", place.database_url]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "spectra" in ended.stdout
