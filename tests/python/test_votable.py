"""What astronomers' programs read of the columns: units, UCDs and meanings in the files' footers."""

import io
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import votable
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table
from astropy.units import UnitsWarning
from catalogs import LIGHT, files_of
from conftest import new_place

KEY = b"IVOA.VOTable-Parquet.content"


@pytest.fixture(scope="module")
def spectra():
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
    with warnings.catch_warnings():
        # astropy would rather have no erg and no Angstrom
        warnings.simplefilter("ignore", UnitsWarning)
        table = Table.read(file, format="parquet.votable")
    rows = pq.ParquetFile(file).read()
    assert table.colnames == rows.column_names and len(table) == rows.num_rows > 0
    assert list(table["target_id"]) == rows["target_id"].to_pylist()
    assert list(table["spectype"]) == rows["spectype"].to_pylist()
    assert np.array_equal(table["flux"][3], rows["flux"][3].as_py())
    assert str(table["ra"].unit) == "deg" and table["ra"].meta["ucd"].startswith("pos.eq.ra")
    assert table["flux"].unit.is_equivalent("erg / (s cm2 Angstrom)")
    assert table["wavelength"].unit.to("nm", 1) == pytest.approx(0.1)
    assert table["z"].description == rows.schema.field("z").metadata[b"description"].decode()
