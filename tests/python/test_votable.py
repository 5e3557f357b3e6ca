"""What astronomers' programs read of the columns: units, UCDs and meanings in the files' footers."""

import io
import subprocess
import warnings

import pyarrow.parquet as pq
import pytest
from astropy.io import votable
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table
from catalogs import LIGHT, files_of

KEY = b"IVOA.VOTable-Parquet.content"


@pytest.fixture(scope="module")
def spectra(tmp_path_factory):
    from conftest import new_place

    with new_place() as place:
        place.run("mock", "--out", "archive", *LIGHT, "--pix", 500, "--objects", 20)
        place.run("convert", "archive")
        yield place.lake / "spectra"


def table_of(path):
    about = pq.read_metadata(path).metadata
    assert about[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    with warnings.catch_warnings():
        warnings.simplefilter("error", votable.exceptions.VOTableSpecWarning)
        return votable.parse(io.BytesIO(about[KEY])).get_first_table()


def test_every_file_and_the_catalog_describe_their_columns(spectra):
    [[file]] = files_of(spectra).values()
    schema = pq.read_schema(file)
    for path in (file, spectra / "dataset/_common_metadata"):
        table = table_of(path)
        assert [field.name for field in table.fields] == schema.names
        assert len(table.array) == 0
        for field, column in zip(table.fields, schema):
            about = {key.decode(): text.decode() for key, text in column.metadata.items()}
            assert (str(field.description), field.ucd) == (about["description"], about["ucd"])
            assert (field.unit is None) == ("unit" not in about), field.name
            parse_ucd(field.ucd, check_controlled_vocabulary=True)


def test_astropy_reads_rows_and_what_they_mean(spectra):
    [[file]] = files_of(spectra).values()
    # astropy takes no arrays of varying length from Parquet: scalars, in a file of their own
    scalars = [c.name for c in pq.read_schema(file) if not str(c.type).startswith("list")]
    rows = pq.read_table(file, columns=scalars)
    assert KEY in rows.schema.metadata
    table = table_of(file)
    empty = table.to_table(use_names_over_ids=True)
    assert str(empty["ra"].unit) == "deg" and empty["ra"].meta["ucd"].startswith("pos.eq.ra")
    assert empty["flux"].unit.is_equivalent("erg / (s cm2 Angstrom)")
    assert empty["wavelength"].unit.to("nm", 1) == pytest.approx(0.1)
    assert set(scalars) < set(empty.colnames)
    assert len(Table(rows.to_pandas().to_dict("list"))) == rows.num_rows
