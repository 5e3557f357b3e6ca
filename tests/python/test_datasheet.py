"""A lake's datasheet against the lake itself: what it counts, what it names, what it prints to run.

The lake has its own private Postgres, as a newcomer's would, and a second lake, on a node of
another name, shares that registry.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import mlcroissant
import pytest
import yaml
from conftest import Place

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "crates" / "core" / "examples" / "read_lake.rs"
LIGHT = ("--no-resolution", "--rrdetails", "small")
MADE = ("DATA_README.md", "DATA_README-sky.svg", "DATA_README-redshift.svg", "croissant.json")
QUARANTINED = 3

# one lake for all of them, the last of which change it
pytestmark = pytest.mark.xdist_group("datasheet")


class Described(Place):
    """A lake with a datasheet, and the program on the path, as its recipes want it."""

    def __init__(self, folder):
        super().__init__(folder, None)
        self.binary = Path(os.environ["BIFROST_BIN"]).resolve()
        self.environment["BIFROST_NODE"] = "alpha"
        self.environment["PATH"] = f"{self.binary.parent}:{self.environment['PATH']}"

    def follow(self, command):
        """What a command of a recipe prints."""
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def sheet(self, lake=None):
        return (lake or self.lake).joinpath("DATA_README.md").read_text()

    def files(self, pattern="*"):
        return sorted(self.lake.glob(f"spectra/dataset/*/*/*/{pattern}.parquet"))

    def query(self, sql):
        """What DuckDB finds in the lake's readable files."""
        readable = [str(file) for file in self.files("*[0-9]")]
        spectra = f"read_parquet({readable!r}, hive_partitioning = false)"
        return duckdb.sql(sql.format(spectra=spectra)).fetchall()


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory(prefix="bifrost-") as folder:
        Path(folder).chmod(0o755)  # root's server runs as another user, who must get in
        place = Described(Path(folder))
        mock = ("mock", "--out", "archive", *LIGHT)
        place.run(*mock, "--tiles", 3, "--objects", 60, "--program", "dark", "--seed", 1)
        place.run(*mock, "--tiles", 2, "--objects", 40, "--program", "bright", "--seed", 1)
        place.run(*mock, "--pix", 23040, "--objects", 5, "--edge", "missing_redrock")
        place.run("convert", "archive", code=QUARANTINED)
        whole = place.files()[0]
        torn = whole.with_name("iron-main-dark-10000_9-torn.parquet")
        torn.write_bytes(whole.read_bytes()[:5000])
        place.run("sync", code=QUARANTINED)
        yield place
        place.run("db", "down")


def sections(sheet):
    """Text by heading."""
    parts = re.split(r"^(#{1,4} .*)$", sheet, flags=re.M)
    return {heading.lstrip("# "): text for heading, text in zip(parts[1::2], parts[2::2])}


def tables(text):
    """Every Markdown table of a text, as a list of rows by column name."""
    found, head = [], None
    for line in text.splitlines():
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if head is None:
            head = cells
            found.append([])
        elif not all(set(cell) <= set(":-") for cell in cells):
            found[-1].append(dict(zip(head, cells, strict=True)))
    return found


def number(cell):
    return int(cell.replace(",", ""))


def recipe(sheet, name):
    found = re.findall(rf"<!-- recipe: {name} -->\n```\w+\n(.*?)^```$", sheet, flags=re.S | re.M)
    assert len(found) == 1, f"{name}: {len(found)} recipes"
    return found[0]


def test_front_matter_and_what_belongs_to_the_sheet(place):
    sheet = place.sheet()
    front = yaml.safe_load(sheet.split("---\n")[1])
    assert front["license"] == "cc-by-4.0"
    assert front["lake_id"] == json.loads((place.lake / ".bifrost/lake.json").read_text())["lake_id"]
    assert front["commit"] == 1 and front["node"] == "alpha"
    for config in front["configs"]:
        assert len(list(place.lake.glob(config["data_files"]))) == len(place.files())
    for linked in re.findall(r"\]\((DATA_README[^)]*)\)", sheet):
        assert linked in MADE
        root = ElementTree.parse(place.lake / linked).getroot()
        assert root.tag.endswith("svg") and len(root) > 20
    twin = json.loads((place.lake / "croissant.json").read_text())
    [(columns,)] = place.query("SELECT count(*) FROM (DESCRIBE SELECT * FROM {spectra})")
    assert len(twin["recordSet"][0]["field"]) == columns


def test_counts_are_those_of_the_files(place):
    parts = sections(place.sheet())
    [objects] = tables(parts["Objects by class, survey and redshift"])
    counted = {(row["program"], row["class"]): row for row in objects}
    edges = [(-9, 0.1), (0.1, 0.4), (0.4, 0.8), (0.8, 1.2), (1.2, 1.6), (1.6, 2.1), (2.1, 3.5), (3.5, 99)]
    seen = place.query("SELECT program, spectype, zwarn, z FROM {spectra}")
    assert {(program, spectype) for program, spectype, _, _ in seen} == set(counted)
    for key, row in counted.items():
        rows = [(zwarn, z) for program, spectype, zwarn, z in seen if (program, spectype) == key]
        good = [z for zwarn, z in rows if zwarn == 0]
        assert (number(row["zwarn = 0"]), number(row["all"])) == (len(good), len(rows))
        groups = [number(cell) for cell in list(row.values())[4:12]]
        assert groups == [sum(low <= z < high for z in good) for low, high in edges]

    [targets] = tables(parts["Objects by target class"])
    bits = {"LRG": 0, "ELG": 1, "QSO": 2, "BGS": 60, "MWS": 61, "secondary": 62}
    for row in targets:
        for name, bit in bits.items():
            [(good, every)] = place.query(
                f"SELECT count(*) FILTER (zwarn = 0), count(*) FROM {{spectra}} "
                f"WHERE program = '{row['program']}' AND desi_target & (1::BIGINT << {bit}) <> 0"
            )
            assert row[name] == f"{good:,} of {every:,}", (row["program"], name)

    [places] = tables(parts["What lies where"])
    [spectra] = [row for row in places if "(this lake)" in row["lake"]]
    [(rows,)] = place.query("SELECT count(*) FROM {spectra}")
    assert (number(spectra["rows"]), number(spectra["unreadable"])) == (rows, 1)
    assert number(spectra["files"]) == len(place.files()) - 1

    [tiles] = tables(parts["Tiles and sky"])
    assert [(row["program"], number(row["tiles"]), row["sky"]) for row in tiles] == [
        ("bright", 2, "1.68 deg²"),
        ("dark", 3, "2.52 deg²"),
    ]


def test_columns_are_described_as_they_are(place):
    [columns] = tables(sections(place.sheet())["Columns"])
    described = {row["column"].strip("`"): row for row in columns}
    scalar = {
        name: kind
        for name, kind, *_ in place.query("DESCRIBE SELECT * FROM {spectra}")
        if not kind.endswith("[]")
    }
    assert set(scalar) < set(described)
    aggregates = ", ".join(f'count("{name}"), min("{name}"), max("{name}")' for name in scalar)
    [(rows, *found)] = place.query(f"SELECT count(*), {aggregates} FROM {{spectra}}")
    for i, (name, kind) in enumerate(scalar.items()):
        filled, least, greatest = found[3 * i : 3 * i + 3]
        row = described[name]
        share = 100 * filled / rows
        shown = float(row["filled"].removesuffix(" %"))
        assert abs(shown - share) < 0.006, (name, row)
        if filled and kind in ("DOUBLE", "FLOAT", "BIGINT", "INTEGER", "SMALLINT"):
            for bound, cell in ((least, row["least"]), (greatest, row["greatest"])):
                told = float(cell.replace("−", "-").replace("∞", "inf"))
                assert told == pytest.approx(bound, rel=1e-5, abs=1e-12), (name, row)
    assert described["flux"]["unit"] != "–" and described["z"]["what it is"] != "unknown"


def test_what_is_wrong_is_named(place):
    parts = sections(place.sheet())
    [tiles] = tables(parts["Tiles that could not be made"])
    assert [(row["tile"], row["outcome"]) for row in tiles] == [
        ("iron-main-dark-23040", "missing_source")
    ]
    [files] = tables(parts["Files with something wrong"])
    assert [(row["file"].endswith("torn.parquet"), row["what"]) for row in files] == [
        (True, "unreadable")
    ]
    assert files[0]["reason"] not in ("", "unknown")
    assert "decimals" in parts["Preprocessing"] and "redrock" in parts["Preprocessing"]


def test_psql_recipe(place):
    out = place.follow(["bash", "-c", recipe(place.sheet(), "psql")])
    [(quasars,)] = place.query(
        "SELECT count(*) FROM {spectra} WHERE spectype = 'QSO' AND zwarn = 0 AND z > 2"
    )
    rows = re.findall(r"^\s*main\s*\|\s*\w+\s*\|\s*(\d+)", out, flags=re.M)
    assert sum(map(int, rows)) == quasars > 0
    [(unique,)] = place.query("SELECT count(DISTINCT target_id) FROM {spectra}")
    assert re.search(rf"unique_objects\s*\n-+\n\s*{unique}\n", out)
    holding = [
        file
        for file in place.files("*[0-9]")
        if duckdb.sql(
            f"SELECT 1 FROM read_parquet('{file}') WHERE spectype = 'QSO' AND zwarn = 0 AND z > 2"
        ).fetchall()
    ]
    assert holding and all(str(file) in out for file in holding)


def test_duckdb_recipe(place):
    connection = duckdb.connect()
    *settings, question, _ = recipe(place.sheet(), "duckdb").split(";")
    for statement in settings:
        connection.execute(statement)
    counted = {spectype: objects for spectype, objects, _ in connection.execute(question).fetchall()}
    expected = place.query("SELECT spectype, count(*) FROM {spectra} WHERE zwarn = 0 GROUP BY ALL")
    assert counted == dict(expected)


def test_python_recipe(place):
    out = place.follow([sys.executable, "-c", recipe(place.sheet(), "python")])
    [(galaxies,)] = place.query(
        "SELECT count(*) FROM {spectra} WHERE spectype = 'GALAXY' AND zwarn = 0"
    )
    assert out == f"{galaxies} galaxies from 5 files\n"


def test_lsdb_recipe(place):
    out = place.follow([sys.executable, "-c", recipe(place.sheet(), "lsdb")])
    around, target_id = map(int, re.search(r"^(\d+) objects lie within .* of (\d+)$", out, flags=re.M).groups())
    [(ra, dec), *_] = place.query(f"SELECT ra, dec FROM {{spectra}} WHERE target_id = {target_id}")
    found = place.run("read", "--cone", f"{ra},{dec},{1 / 6}", "--columns", "healpix", "--format", "csv").stdout
    # the pixel with the torn file is left out, and said to be
    assert around == len([pixel for pixel in found.split()[1:] if pixel != "10000"]) > 0
    assert "(6, 10000)" in recipe(place.sheet(), "lsdb")


def test_croissant_is_valid_and_its_records_are_the_rows(place):
    described = mlcroissant.Dataset(place.lake / "croissant.json")
    issues = described.metadata.ctx.issues
    assert not issues.errors and not issues.warnings
    assert [record_set.name for record_set in described.metadata.record_sets] == ["spectra"]


def test_rust_recipe(place):
    assert recipe(place.sheet(), "rust") == EXAMPLE.read_text()
    command = recipe(place.sheet(), "cargo")
    built = place.binary.parent / "examples" / EXAMPLE.stem
    assert built.is_file(), f"{built} is missing: cargo build --workspace --all-targets"
    printed = "cargo run --release -p bifrost-core --example read_lake --"
    assert command.startswith(printed)
    out = place.follow(["bash", "-c", command.replace(printed, str(built))])
    [(quasars,)] = place.query(
        "SELECT count(*) FROM {spectra} WHERE spectype = 'QSO' AND zwarn = 0 AND z > 2"
    )
    assert len(out.splitlines()) == quasars + 1
    assert out.splitlines()[-1].startswith(f"{quasars} rows from ")


def test_a_second_sync_touches_nothing_and_a_lost_sheet_comes_back(place):
    stats = [(place.lake / name).stat() for name in MADE]
    place.run("sync")
    for name, before in zip(MADE, stats):
        after = (place.lake / name).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns), name
    svg = place.lake / MADE[1]
    drawn = svg.read_bytes()
    svg.unlink()
    place.run("sync", "--no-datasheet")
    assert not svg.exists()
    place.run("sync")
    assert svg.read_bytes() == drawn


def test_curated_words_survive_the_next_commit(place):
    sheet = place.lake / "DATA_README.md"
    mine = "Made to test, by *me* | and {{ you }}.\n"
    text, marker = sheet.read_text(), "<!-- curated: motivation -->\n"
    start = text.index(marker) + len(marker)
    end = text.index("<!-- /curated -->", start)
    sheet.write_text(text[:start] + mine + text[end:])

    other = place.folder / "other"
    shutil.copytree(place.lake, other, ignore=shutil.ignore_patterns(".bifrost", "DATA_README*"))
    shared = ("--lake", other, "--node", "beta", "--database-url", place.database_url)
    place.run(*shared, "sync", code=QUARANTINED)
    theirs = place.sheet(other)
    [places] = tables(sections(theirs)["What lies where"])
    assert {(row["node"], "(this lake)" in row["lake"]) for row in places} == {
        ("alpha", False),
        ("beta", True),
    }
    assert "--database-url" in recipe(theirs, "python")

    for name in ("bright", "dark"):
        pixel = ("--pix", 500, "--objects", 20, "--program", name)
        place.run("mock", "--out", "more", *LIGHT, *pixel)
    place.run("convert", "more")
    place.run("sync")
    made = place.sheet()
    assert mine in made and "Write it here" not in made
    assert yaml.safe_load(made.split("---\n")[1])["commit"] == 3
    [places] = tables(sections(made)["What lies where"])
    assert len(places) == 2
