"""The examples of the Python package run as they stand.

BIFROST_BIN names the program; the package `bifrost` is installed, or in PYTHONPATH. Those of Ray and torch run
in test_ray.py and test_torch.py.
"""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import new_place
from test_stage import mock

EXAMPLES = Path(__file__).parents[2] / "crates/python/examples"


@pytest.fixture(scope="module")
def place():
    with new_place() as place:
        mock(place, "--tiles", 3, objects=60)
        mock(place, "--tiles", 1, "--program", "bright")
        place.run("convert", place.folder / "archive")
        place.run("sync")
        yield place


def test_the_notebook_runs(place, monkeypatch):
    monkeypatch.setenv("BIFROST_LAKE", str(place.lake))
    monkeypatch.setenv("BIFROST_DATABASE_URL", place.database_url)
    temporary = place.folder / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(EXAMPLES / "quasars.ipynb", as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": place.folder}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("bifrost:sha256:" in output.get("text", "") for output in outputs)
    assert not list(temporary.rglob("quasars.json")), "what it saved is gone"


def test_queries_run(place):
    command = [sys.executable, EXAMPLES / "queries.py", place.lake, "--database-url", place.database_url]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "GALAXY" in ended.stdout and "shape: (" in ended.stdout


def test_a_session_of_psql_runs(place):
    ended = place.run("db", "psql", "-f", EXAMPLES / "session.sql")
    assert "GALAXY" in ended.stdout and ".parquet" in ended.stdout
