"""`bifrost web`: density, filaments and classes over the whole lake, beside spectra, and as other programs read them.

BIFROST_BIN names the program.
"""

import json
import re
import xml.etree.ElementTree as ElementTree

import fitsio
import healpy
import matplotlib.image
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place
from scipy.spatial import cKDTree

ALL = "all=spectype = 'GALAXY' AND zwarn = 0 AND z > 0.01"
ASKED = ("--tracer", ALL, "--realisations", 8, "--sigmas", 0)
COLUMNS = ["density_dtfe", "dist_filament", "dist_node", "sigma_5", "sigma_5_error", "dist_5nn", "web_class",
           "web_p_void", "web_p_sheet", "web_p_filament", "web_p_knot", "is_boundary", "environment_flag"]  # fmt: skip


@pytest.fixture(scope="module")
def place():
    with new_place() as place:
        pix = [word for pixel in (10000, 10001, 10002, 10003) for word in ("--pix", pixel)]
        place.run("mock", "--out", place.folder / "archive", "--objects", 400, "--seed", 4, "--program", "bright", *pix)
        place.run("convert", place.folder / "archive")
        place.said = place.json("web", *ASKED, "-o", place.folder / "out")
        yield place


def rows(place, product="environment"):
    files = sorted((place.lake / product / "dataset").rglob("*.parquet"))
    return pa.concat_tables(pq.ParquetFile(path).read() for path in files).to_pandas()


def healpix(table, order):
    return healpy.ang2pix(2**order, table.ra.to_numpy(), table.dec.to_numpy(), nest=True, lonlat=True)


def configuration(place):
    file = next((place.lake / "environment").rglob("*.parquet"))
    return json.loads(pq.read_metadata(file).metadata[b"bifrost.configuration"])


def test_what_is_not_known_is_null(place):
    spectra, found = rows(place, "spectra"), rows(place)
    assert found.columns[-len(COLUMNS):].tolist() == COLUMNS
    assert found.target_id.tolist() == spectra.target_id.tolist()
    looked_at = (spectra.spectype == "GALAXY") & (spectra.zwarn == 0) & (spectra.z > 0.01)
    assert found[~looked_at][COLUMNS].isna().all(axis=None) and (~looked_at).any()
    assert (found[looked_at].is_boundary.notna() & found[looked_at].web_class.notna()).all()
    chances = found[looked_at][["web_p_void", "web_p_sheet", "web_p_filament", "web_p_knot"]]
    assert np.allclose(chances.sum(axis=1), 1) and (chances.values.argmax(axis=1) == found[looked_at].web_class).all()
    # on the hull a galaxy's cell has no end
    assert found[looked_at].density_dtfe.isna().any() and (found.density_dtfe.dropna() > 0).all()
    assert found[found.density_dtfe.isna() & looked_at].is_boundary.all()
    assert place.said["webs"][0]["galaxies"] == looked_at.sum()
    assert place.said["webs"][0]["classes"] == [int((found.web_class == kind).sum()) for kind in range(4)]


def test_a_flag_says_why_something_is_null(place):
    found = rows(place)
    found = found[found.environment_flag.notna()]
    flag = found.environment_flag.astype(int)
    assert len(found) == place.said["webs"][0]["galaxies"]
    for bits, columns in ((31, ["sigma_5"]), (63, ["sigma_5_error"]), (64, ["density_dtfe"]), (128, ["dist_filament"]),
                          (128, ["dist_node"]), (256, ["dist_5nn"]), (512, ["web_class", "web_p_void"])):  # fmt: skip
        for column in columns:
            assert (found[column].isna() == (flag & bits > 0)).all(), column
    assert (flag == 0).any() and (flag & 64 > 0).any() and (flag & 31 > 0).any()


def test_neighbours_beyond_the_redshifts_of_a_sample_are_not_known(place):
    found = rows(place)
    looked_at = found.environment_flag.notna()
    every = rows(place, "spectra").z[looked_at]
    window = 1000 / 299792.458 * (1 + every)
    beyond = (every - window < every.min()) | (every + window > every.max())
    assert (found.environment_flag[looked_at].astype(int) & 8 > 0).equals(beyond) and beyond.any()
    assert found.sigma_5[looked_at][beyond].isna().all()


def test_what_nobody_sets_is_said_too(place):
    said = configuration(place)
    assert said["constants"]["class_thresholds"] == [-0.9, 0, 0.9] and said["constants"]["sigma_5_velocity_km_s"] == 1000
    assert said["settings"]["persistence_ratios"] == pytest.approx([1, 1, 1], abs=1e-6)
    assert said["cosmology"]["name"] == "DESI fiducial" and 8e-5 > said["cosmology"]["omega_r"] > 7.9e-5


def test_filaments_are_read_by_others(place):
    folder = place.folder / "out"
    suffixes = ("a.NDskl", "vtk", "segments.parquet", "svg", "png")
    (ndskl,), (vtk,), (parquet,), (svg,), (png,) = ([*folder.glob(f"*.{suffix}")] for suffix in suffixes)
    lines = ndskl.read_text().splitlines()
    assert lines[:2] == ["ANDSKEL", "3"]
    start = lines.index("[FILAMENTS]") + 1
    count, at, pieces = int(lines[start]), start + 1, []
    for _ in range(count):
        samples = int(lines[at].split()[2])
        line = np.array([lines[at + 1 + k].split() for k in range(samples)], float)
        pieces += [(a, b) for a, b in zip(line, line[1:], strict=False)]
        at += samples + 1
    assert lines[at] == "[CRITICAL POINTS DATA]" and count == place.said["webs"][0]["filaments"] > 0
    segments = pq.read_table(parquet).to_pandas()
    ends = segments[["from_x", "from_y", "from_z", "to_x", "to_y", "to_z"]].to_numpy().reshape(-1, 2, 3)
    assert np.array_equal(ends, np.array(pieces)) and segments.filament.nunique() == count
    # GeoParquet: a line in space each, in no reference system of the Earth
    about = pq.read_metadata(parquet).metadata
    geo = json.loads(about[b"geo"])
    of = geo["columns"][geo["primary_column"]]
    assert geo["version"] == "1.1.0" and of["encoding"] == "WKB" and of["crs"] is None and of["geometry_types"] == ["LineString Z"]
    lines_of = np.array([np.frombuffer(wkb[9:], "<f8") for wkb in segments.geometry]).reshape(-1, 2, 3)
    assert {wkb[:9] for wkb in segments.geometry} == {b"\x01\xea\x03\0\0\x02\0\0\0"} and np.array_equal(lines_of, ends)
    corners = lines_of.reshape(-1, 3)
    assert of["bbox"] == [*corners.min(axis=0), *corners.max(axis=0)]
    assert json.loads(about[b"bifrost.configuration"])["samples"][0]["galaxies"] > 0
    assert segments.from_node.between(0, 4).all() and (segments.to_node == 3).any()
    text = vtk.read_text().splitlines()
    points = int(next(line for line in text if line.startswith("POINTS")).split()[1])
    assert text[3] == "DATASET POLYDATA" and points == sum(np.unique(segments.filament, return_counts=True)[1]) + count
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    picture = matplotlib.image.imread(png)
    assert picture.shape[:2] == (1280, 2000)
    ink = picture[..., :3].min(axis=2) < 0.6
    assert 0.001 < ink.mean() < 0.5 and ink[30:130, 100:1000].any() and ink[200:1200].any()


def test_distances_are_to_those_filaments(place):
    found = rows(place).dropna(subset="dist_filament")
    ends = pq.read_table(next((place.folder / "out").glob("*.parquet"))).to_pandas()
    a, b = (ends[[f"{end}_x", f"{end}_y", f"{end}_z"]].to_numpy() for end in ("from", "to"))
    # galaxies that filaments run through lie on them, others no nearer than pieces drawn densely
    dense = np.concatenate([a + (b - a) * t for t in np.linspace(0, 1, 300)])
    spectra = rows(place, "spectra").set_index("target_id").loc[found.target_id]
    import bifrost.science

    d = bifrost.science.comoving(spectra.z.to_numpy())
    ra, dec = np.radians(spectra.ra.to_numpy()), np.radians(spectra.dec.to_numpy())
    positions = d[:, None] * np.c_[np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
    near = cKDTree(dense).query(positions)[0]
    longest = np.linalg.norm(b - a, axis=1).max() / 300
    alone = rows(place).target_id.isin(found.target_id)
    assert alone.any() and (np.abs(near - found.dist_filament) < longest + 1).mean() > 0.9


def test_the_same_again_makes_nothing(place):
    again = place.json("web", *ASKED)
    assert again["stage"]["totals"] == {"unchanged": 4} and again["webs"][0]["files"] == []
    said = configuration(place)
    assert said["settings"]["sigmas"] == 0 and said["settings"]["groups"]["b0"] == 0.05 and said["samples"][0]["digest"]


def test_a_question_of_void_galaxies_is_answered(place):
    table = place.read("z > 0.1 AND web_class <= 1", "--columns", "target_id,z,web_class")
    found = rows(place)
    spectra = rows(place, "spectra").set_index("target_id").z
    expected = found[(found.web_class <= 1) & (spectra.loc[found.target_id].to_numpy() > 0.1)].target_id
    assert sorted(table.column("target_id").to_pylist()) == sorted(expected) and len(expected) > 0


def test_a_sample_of_a_few_has_a_web_of_nothing():
    with new_place() as place:
        place.run("mock", "--out", place.folder / "archive", "--objects", 5, "--pix", 10000, "--program", "bright")
        place.run("convert", place.folder / "archive")
        said = place.json("web", "--tracer", "few=z > 0.01")
        found = rows(place)
        assert 0 < said["webs"][0]["galaxies"] < 10 and said["webs"][0]["filaments"] == 0
        assert found[["density_dtfe", "dist_filament", "web_class"]].isna().all(axis=None)
        assert "--sigmas 9: it must be 0 to 8" in place.run("web", "--sigmas", 9, code=2).stderr
        for name, value in (("brighter-than", "nan"), ("faintest", "inf"), ("k-correction", "nan")):
            said = place.run("web", f"--{name}={value}", code=2).stderr.lower()
            assert f"--{name} {value}: it must be a number" in said
        for arguments, words in (
            (("--ratio", 0.5), "--ratio 0.5: it must be from 1 up"),
            (("--work", "blocks"), "--work blocks: blocks are kept there: give --memory or --blocks, too"),
            (("--scratch", "1GiB", "--blocks", 2), "--scratch 1GiB: only of blocks behind a URL"),
            (("--faintest", 20), "--faintest 20: only --brighter-than counts a population"),
            (("--k-correction=-1",), "--k-correction -1: only --brighter-than counts a population"),
            (("--h", 0.7), "--h is of a cosmology with --omega-m"),
            (("--blocks", 5000), "--blocks 5000: of more than 4096, what is around them outweighs them"),
            (("--smoothing", 1e-9, "--tracer", "few=z > 0.01"), "no volume that can be told: it takes some sky"),
        ):
            assert words in place.run("web", *arguments, code=2).stderr
        for settings, arguments, words in (
            ('work = "blocks"', (), "--work blocks: blocks are kept there"),
            ('scratch = "1GiB"', (), "--scratch 1GiB: only of blocks behind a URL"),
            ("faintest = 20", (), "--faintest 20: only --brighter-than counts a population"),
            ("k_correction = 1", (), "--k-correction 1: only --brighter-than counts a population"),
            ('blocks = 2\nmemory = "1GiB"', (), "memory and blocks take each other's place: set one"),
            ('work = "s3://b/f"\nscratch = "1x"\nblocks = 2', ("--work", "here", "--ratio", 0.5), "--ratio 0.5"),
        ):
            (place.folder / "bifrost.toml").write_text(f"[web]\n{settings}\n")
            assert words in place.run("web", *arguments, code=2).stderr
        (place.folder / "bifrost.toml").unlink()
        assert "failed to make the folder /proc/x" in place.run("web", "-o", "/proc/x", code=1).stderr
        few = ("web", "--tracer", "few=z > 0.01", "--memory")
        said = place.run(*few, "1MiB", code=2).stderr
        least = re.search(r"whatever the blocks: give (\d+MiB) or more", said)[1]
        place.run(*few, least)
        assert "no galaxy of any tracer" in place.run("web", "--tracer", "none=z > 90", code=4).stderr


def test_a_mask_bounds_the_sample(place):
    moc = place.folder / "part.moc.json"
    moc.write_text(json.dumps({"6": [10000], "7": [4 * 10001]}))
    out = place.folder / "part"
    said = place.json("web", *ASKED, "--mask", moc, "-o", out)["webs"][0]
    spectra, found = rows(place, "spectra"), rows(place)
    cells = healpix(spectra, 7)
    within = (cells // 4 == 10000) | (cells == 4 * 10001)
    looked_at = (spectra.spectype == "GALAXY") & (spectra.zwarn == 0) & (spectra.z > 0.01)
    assert (found.is_boundary.notna() == (looked_at & within)).all() and said["galaxies"] == (looked_at & within).sum() > 0
    assert next(out.glob("*.moc.txt")).read_text() == "6/10000 7/40004\n"
    area = configuration(place)["samples"][0]["mask"]["area_deg2"]
    assert area == pytest.approx(1.25 * 4 * np.pi / 49152 * np.degrees(1) ** 2, rel=1e-12)
    (place.folder / "none").write_text("no map")
    assert "'no' is not ORDER/CELLS" in place.run("web", *ASKED, "--mask", place.folder / "none", code=2).stderr


def test_published_randoms_are_drawn_from(place):
    rng = np.random.default_rng(3)
    spectra = rows(place, "spectra")
    box = [(spectra[name].min(), spectra[name].max()) for name in ("ra", "dec")]
    table = {"RA": rng.uniform(*box[0], 40_000), "DEC": rng.uniform(*box[1], 40_000), "Z": rng.uniform(0.01, 6, 40_000)}
    file = place.folder / "randoms.fits"
    fitsio.write(file, np.rec.fromarrays(list(table.values()), names=list(table)), clobber=True)
    place.run("web", *ASKED, "--randoms", file)
    said, found = configuration(place)["randoms"], rows(place)
    assert said["count"] == 40_000 and len(said["digest"]) == 64
    assert found.web_class.notna().sum() > 100
    few = place.folder / "few.csv"
    few.write_text("ra,dec,z\n" + "".join(f"{table['RA'][k]},{table['DEC'][k]},0.5\n" for k in range(30)))
    assert "give more catalogues" in place.run("web", *ASKED, "--randoms", few, code=2).stderr
    few.write_text("")
    assert "few.csv is empty" in place.run("web", *ASKED, "--randoms", few, code=2).stderr
    few.write_text("ra,dec,z\n10,20,-1\n")
    assert "few.csv: row 0 has a redshift that is not" in place.run("web", *ASKED, "--randoms", few, code=2).stderr


def test_neighbours_may_be_of_a_population(place):
    """Surface densities of bright galaxies alone, against all pairs; NULL beyond where the faintest are lost."""
    limit, faintest = -21.0, 21.0
    place.run("web", *ASKED, "--brighter-than", limit, "--faintest", faintest, "--k-correction", 0.5)
    import bifrost.science

    spectra, found = rows(place, "spectra"), rows(place)
    looked_at = ((spectra.spectype == "GALAXY") & (spectra.zwarn == 0) & (spectra.z > 0.01)).to_numpy()
    spectra, found = spectra[looked_at], found[looked_at]
    z, d = spectra.z.to_numpy(), bifrost.science.comoving(spectra.z.to_numpy())
    modulus = 5 * np.log10((1 + z) * d) + 25 + 0.5 * z
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (22.5 - 2.5 * np.log10(spectra.flux_r.to_numpy(float)) - 2.165 * spectra.ebv.to_numpy(float)).astype(np.float32)
    seen = limit + modulus <= faintest
    counts = (r - modulus <= limit) & seen
    assert counts.any() and not counts.all()
    ra, dec = np.radians(spectra.ra.to_numpy()), np.radians(spectra.dec.to_numpy())
    way = np.c_[np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
    compared = 0
    for row in np.flatnonzero(found.sigma_5.notna()):
        window = 1000 / 299792.458 * (1 + z[row])
        near = counts & (np.abs(z - z[row]) < window) & (np.arange(len(z)) != row)
        angle = 2 * np.arcsin(np.sort(np.linalg.norm(way[near] - way[row], axis=1))[4] / 2)
        whole = 5 / (np.pi * (d[row] * angle) ** 2)
        # of a circle half of which or more is in the survey
        part = whole / found.sigma_5.iloc[row]
        assert 0.49 < part < 1 + 1e-9 and z.min() <= z[row] - window and z[row] + window <= z.max()
        compared += part > 1 - 1e-9
    assert found.sigma_5[~seen].isna().all() and (~seen).any() and found.sigma_5.notna().any() and compared >= 0


def test_filaments_may_be_of_a_ratio(place):
    counts = []
    for ratio in (1, 1000):
        counts.append(place.json("web", *ASKED[:4], "--ratio", ratio)["webs"][0]["filaments"])
        said = configuration(place)["settings"]
        assert said["ratio"] == ratio and said["persistence_ratios"] == [ratio] * 3 and "sigmas" not in said
    assert counts[0] == place.said["webs"][0]["filaments"] > counts[1]


def test_pictures_are_drawn_without_complaints(place):
    said = place.run("web", *ASKED, "-o", place.folder / "again").stderr
    assert "WARN" not in said
    svg = (place.folder / "again" / "all-ngc.svg").read_text()
    assert " Mpc\n" in svg and "times as large" in svg and "skeleton" in svg and "no class" in svg


def test_groups_that_are_there_are_read(place):
    """The product `groups` of the same galaxies and settings gives the same web; of others it is not asked."""
    assert place.json("web", *ASKED)["groups_read"] is False
    whole = rows(place)
    loose = ("--b0", "0.3", "--r0", "30", "--largest-halo", "1e18")
    place.run("web", *ASKED, *loose)
    expected = rows(place)
    assert not expected.dist_5nn.equals(whole.dist_5nn), "fingers of God do not matter"
    place.run("groups", "--tracer", ALL, *loose)
    assert place.json("web", *ASKED, *loose, "--force")["groups_read"] is True
    assert rows(place).equals(expected)
    # other settings than those that the product was made with
    assert place.json("web", *ASKED, "--force")["groups_read"] is False
    assert rows(place).equals(whole)
    # a tile whose groups are gone
    file = next((place.lake / "groups" / "dataset").rglob("*.parquet"))
    file.unlink()
    assert place.json("web", *ASKED, *loose, "--force")["groups_read"] is False
    assert rows(place).equals(expected)
    # and one whose groups are of other settings
    tile = file.name.rsplit("_", 1)[0]
    place.run("groups", "--tracer", ALL, tile)
    assert place.json("web", *ASKED, *loose, "--force")["groups_read"] is False


def test_completeness_counts_in_surface_densities(place):
    place.run("web", *ASKED)
    whole = rows(place)
    spectra = rows(place, "spectra")
    part = np.where(np.arange(len(spectra)) % 5 > 0, 0.5, 0)
    table = place.folder / "parts.parquet"
    pq.write_table(pa.table({"target_id": spectra.target_id, "completeness": part}), table)
    place.run("web", *ASKED, "--completeness", table)
    found = rows(place)
    known = part > 0
    assert found.sigma_5[~known].isna().all() and whole.sigma_5[~known].notna().any()
    twice = found.sigma_5[known] / whole.sigma_5[known]
    assert np.allclose(twice.dropna(), 2, rtol=1e-12) and twice.notna().sum() > 100
    assert configuration(place)["completeness"] == {"objects": "completeness"}
