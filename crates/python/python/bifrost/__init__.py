"""Bifrost: survey spectra as an analysis-ready data lake.

    import bifrost

    lake = bifrost.open("/data/lake")
    quasars = lake.resolve("z > 2.5 AND spectype = 'QSO' AND zwarn = 0", cone=(180.0, 0.0, 5.0))
    quasars.paths()                                      # files that hold some
    quasars.read(["target_id", "z", "flux"]).to_arrow()  # their rows, and only theirs

A question goes to the lake's registry, a small Postgres; rows are read from the Parquet files where
they lie: only the row groups that matter, arrays only of rows that match.
"""

from bifrost import science
from bifrost._bifrost import Error, UsageError, __version__
from bifrost._lake import Lake, open
from bifrost._resolution import File, Resolution
from bifrost._rows import Rows, matrix
from bifrost._spectrum import Spectrum

__all__ = [
    "Error",
    "File",
    "Lake",
    "Resolution",
    "Rows",
    "Spectrum",
    "UsageError",
    "__version__",
    "matrix",
    "open",
    "science",
]
