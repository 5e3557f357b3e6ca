"""The example of filaments recovers what it planted, and finds nothing where nothing is.

The package `bifrost` is installed, or in PYTHONPATH.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "crates/python/examples/filaments.py"


def run(*options):
    return subprocess.run([sys.executable, EXAMPLE, *options], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    return tmp_path_factory.mktemp("filaments") / "web.png"


@pytest.fixture(scope="module")
def answer(drawing):
    return json.loads(run("--json", "--plot", drawing))


def test_what_was_planted_is_recovered(answer):
    measured = answer["mocks"]["filaments suppress"]
    assert measured["fixed"] < -10 * measured["fixed_error"]
    assert measured["fixed"] == pytest.approx(answer["planted_as_found"], abs=2 * measured["fixed_error"])
    # filaments that are not there, or are missed, dilute little of it
    assert measured["fixed"] == pytest.approx(answer["planted"], abs=3 * measured["fixed_error"])
    assert answer["planted_as_found"] == pytest.approx(answer["planted"], rel=0.15)


def test_nothing_is_found_where_nothing_was_planted(answer):
    control = answer["mocks"]["filaments do nothing"]
    assert control["fixed"] == pytest.approx(0, abs=2 * control["fixed_error"])
    assert control["fixed_error"] < 0.01


def test_density_alone_makes_near_and_far_differ(answer):
    for row in answer["mocks"].values():
        assert row["naive"] < -0.3 and row["naive"] < -10 * row["naive_error"]


def test_the_error_of_density_passes_for_an_effect_of_filaments(answer):
    row = answer["mocks"]["nothing, density drawn"]
    assert row["naive"] < row["fixed"] < -5 * row["fixed_error"]


def test_a_table_says_the_same_and_a_drawing_is_made(answer, drawing):
    table = run()
    for name, row in answer["mocks"].items():
        line = next(line for line in table.splitlines() if line.startswith(name))
        assert f"{row['fixed']:+.3f} ± {row['fixed_error']:.3f}" in line
    assert drawing.read_bytes().startswith(b"\x89PNG")
