"""Opening a lake, and asking it."""

from __future__ import annotations

import asyncio
import json
import os
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bifrost import _bifrost
from bifrost._resolution import Resolution
from bifrost._rows import Rows, names, whole
from bifrost._spectrum import Spectrum

if TYPE_CHECKING:
    from os import PathLike

    Path = str | PathLike[str]
    Degrees = float


def open(
    lake: Path | None = None,
    database_url: str | None = None,
    *,
    postgres_bin: Path | None = None,
) -> Lake:
    """Opens a lake, a registry, or both.

    lake: the lake's folder. Without a database its private Postgres is asked, and started if need be.
    database_url: the Postgres that holds the registry, postgresql://USER@HOST/DATABASE.
    postgres_bin: folder of Postgres' programs, for a private one.

    What is not given is taken from BIFROST_LAKE and BIFROST_DATABASE_URL. Raises Error where there is
    no lake or no server.
    """
    if lake is None and database_url is None:
        lake = _variable("BIFROST_LAKE")
        database_url = _variable("BIFROST_DATABASE_URL")
    return Lake(lake, database_url, postgres_bin or _variable("BIFROST_POSTGRES_BIN"))


def _variable(name: str) -> str | None:
    value = os.environ.get(name)
    if value == "":
        raise _bifrost.UsageError(f"{name} is empty: give it a value, or leave it out")
    return value


class Lake:
    """An open lake. Safe to share between threads; threads wait for nothing but their own answer. Another
    process that gets it, pickled or by a fork, opens it anew when it first asks."""

    def __init__(self, *at: Any):
        self._opened = os.getpid(), _bifrost.Lake(*at)
        self._at = tuple(os.path.abspath(place) if place and i != 1 else place for i, place in enumerate(at))

    def __reduce__(self) -> tuple[Any, ...]:
        return Lake, self._at

    @property
    def _native(self) -> _bifrost.Lake:
        process, native = self._opened
        if process != os.getpid():
            native = _bifrost.Lake(*self._at)
            self._opened = os.getpid(), native
        return native

    def __repr__(self) -> str:
        return f"<bifrost.Lake, registry at {self._native.place}>"

    def resolve(
        self,
        predicate: str | None = None,
        *,
        cone: tuple[Degrees, Degrees, Degrees] | None = None,
        polygon: Sequence[tuple[Degrees, Degrees]] | None = None,
        box: tuple[Degrees, Degrees, Degrees, Degrees] | None = None,
        moc: Any = None,
        target_ids: Iterable[int] | Any = None,
        sql: str | None = None,
        product: str | None = None,
        as_of: int | str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Resolution:
        """Which files and row groups may hold what is asked for: never too little.

        predicate: a condition in SQL, "z > 2.5 AND spectype = 'QSO'". Columns of several products of
            a tile may stand in it.
        cone: (ra, dec, radius) in degrees, as all numbers here; quantities of astropy have their own unit.
        polygon: corners (ra, dec) in degrees, in order; edges are great circles.
        box: (ra_min, ra_max, dec_min, dec_max) in degrees; goes over RA 0 where ra_min > ra_max.
        moc: a file of a MOC (FITS, JSON, ASCII), or a mocpy.MOC.
        target_ids: integers: a list, a numpy or an Arrow array.
        sql: a query of the registry's database that gives one column of TARGETIDs.
        product: "spectra" by default.
        as_of: a commit or a time: the answer as it was then.
        columns: columns that will be read, where other products have some of them.

        Everything that is given must hold. Raises UsageError where it cannot be meant, and warns where files
        are left out, since what is asked of another product has not been made for them.
        """
        regions = []
        if cone is not None:
            regions.append(("cone", _numbers(cone)))
        if polygon is not None:
            regions.append(("polygon", ",".join(map(_numbers, polygon))))
        if box is not None:
            regions.append(("box", _numbers(box)))
        if moc is not None:
            is_file = isinstance(moc, (str, os.PathLike))
            if not is_file and not hasattr(moc, "to_string"):
                raise _bifrost.UsageError(f"a MOC is a file's path or a mocpy.MOC, not of type {type(moc).__name__}")
            regions.append(("moc file", os.path.abspath(moc)) if is_file else ("moc", moc.to_string("json")))
        return self._resolved(
            predicate=predicate,
            regions=regions,
            target_ids=None if target_ids is None else _integers(target_ids),
            sql=sql,
            product=product,
            as_of=None if as_of is None else str(as_of),
            columns=names(columns),
        )

    def _resolved(self, **question: Any) -> Resolution:
        native = self._native.resolve(**question)
        if native.left_out:
            warnings.warn(native.left_out, stacklevel=3)
        return Resolution(native, self._resolved, {**question, "as_of": str(native.commit)})

    async def resolve_async(self, predicate: str | None = None, **question: Any) -> Resolution:
        """`resolve`, for programs that wait for many things at once."""
        return await asyncio.to_thread(self.resolve, predicate, **question)

    def read(
        self, predicate: str | None = None, *, columns: Sequence[str] | None = None, limit: int | None = None, **question: Any
    ) -> Rows:
        """Rows that match: `resolve(predicate, **question).read(columns)`."""
        return self.resolve(predicate, **question).read(columns, limit=limit)

    def spectrum(
        self,
        target_id: int,
        *,
        release: str | None = None,
        survey: str | None = None,
        program: str | None = None,
        coadded: bool = False,
    ) -> Spectrum:
        """An object's spectrum: of several the primary one, unless release, survey or program choose.

        coadded: on the survey's grid, 7,781 pixels of 0.8 Å; else its arms one after another.
        Raises UsageError where there is none.
        """
        target = whole("a TARGETID", target_id, -(1 << 63))
        return Spectrum._of(self._native.spectrum(target, release, survey, program, coadded)[0])

    def spectra(
        self,
        target_ids: Iterable[int] | Any,
        *,
        release: str | None = None,
        survey: str | None = None,
        program: str | None = None,
        coadded: bool = False,
    ) -> list[Spectrum]:
        """All spectra of objects, in the order of these, of each the primary one first. Objects that are
        not known are left out, and those that are named again."""
        ids = _integers(target_ids).drop_null().to_pylist()
        return [Spectrum._of(told) for told in self._native.spectra(ids, release, survey, program, coadded)]

    def crossmatch(
        self,
        table: Any,
        radius_arcsec: float = 1.0,
        *,
        ra: str = "ra",
        dec: str = "dec",
        nearest: bool = True,
        predicate: str | None = None,
        product: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows near the positions of a list of your own.

        table: whatever has columns by name: pyarrow, pandas, Polars, astropy, a dict of arrays, Rows; or a SkyCoord.
            Upper and lower case of a name are one, unless the table has it as it is given.
        radius_arcsec: how near is near; a quantity of astropy has its own unit.
        ra, dec: its columns of right ascension and declination, degrees, or what astropy knows them to be in.
            Rows without a position match nothing.
        nearest: only the nearest row of each position, in the order of the list; all pairs otherwise.
        predicate, product, columns: as in `resolve` and `read`.

        The table that is returned begins with `match_row`, the row of the list from 0, and
        `separation_arcsec`.
        """
        if hasattr(table, "icrs"):
            table = {ra: np.atleast_1d(table.icrs.ra), dec: np.atleast_1d(table.icrs.dec)}
        elif hasattr(table, "__arrow_c_stream__") and not hasattr(table, "__getitem__"):
            table = pa.table(table)
        places = _degrees(ra, _column(table, ra)), _degrees(dec, _column(table, dec))
        if len(places[0]) != len(places[1]):
            raise _bifrost.UsageError(f"{ra} has {len(places[0])} rows, {dec} {len(places[1])}")
        stream = self._native.crossmatch(
            ra=places[0],
            dec=places[1],
            radius_arcsec=_number(radius_arcsec, "arcsec"),
            nearest=nearest,
            predicate=predicate,
            product=product,
            columns=names(columns),
        )
        return pa.RecordBatchReader.from_stream(stream).read_all()

    def snapshot(self, path: Path) -> Resolution:
        """The answer that a snapshot holds, saved with `Resolution.save` or `bifrost resolve --save`."""
        return Resolution(self._native.opened(path), self.snapshot, {"path": os.path.abspath(path)})

    def replay(self, path: Path, *, deep: bool = False, pin: bool = False) -> dict[str, Any]:
        """Whether a snapshot still holds: `findings` is empty then. `deep` reads the files' bytes. `pin` keeps
        them from gc again, which a registry in another database does not do by itself; it needs a role that may
        write, as `Resolution.save` does."""
        return json.loads(self._native.replayed(path, deep, pin))


def _numbers(values: Iterable[Any]) -> str:
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes)):
        raise _bifrost.UsageError(f"a region is numbers in degrees, such as (180, 0, 0.5), not {values!r}")
    return ",".join(repr(_number(value, "deg")) for value in values)


def _number(value: Any, unit: str) -> float:
    try:
        return float(value.to_value(unit) if hasattr(value, "to_value") else value)
    except (TypeError, ValueError) as fault:
        raise _bifrost.UsageError(f"{value!r} is no number ({unit}): {fault}") from fault


def _degrees(name: str, column: Any) -> pa.Array:
    try:
        if isinstance(column, pa.ChunkedArray):
            return column.combine_chunks().cast(pa.float64())
        values = np.ma.asarray(getattr(column, "value", column), dtype=np.float64)
        return pa.array(np.ma.filled(values * _degrees_in(getattr(column, "unit", None)), np.nan))
    except (TypeError, ValueError) as fault:
        raise _bifrost.UsageError(f"column '{name}' holds no degrees: {fault}") from fault


def _degrees_in(unit: Any) -> float:
    """Of a unit of astropy that is one of angles; else 1."""
    return float(unit.to("deg")) if hasattr(unit, "is_equivalent") and unit.is_equivalent("deg") else 1.0


def _column(table: Any, name: str) -> Any:
    """A table's column, whatever the case of its name."""
    told = [getattr(getattr(table, "dtype", None), "names", None)]
    told += [getattr(table, attribute, None) for attribute in ("column_names", "colnames", "columns")]
    found = next((names for names in told if names is not None), table)
    if not isinstance(found, Iterable) or isinstance(found, (str, bytes)) or not hasattr(table, "__getitem__"):
        raise _bifrost.UsageError(f"a table has columns by name, which {type(table).__name__} has not")
    names = list(found)
    alike = [known for known in names if isinstance(known, str) and known.lower() == name.lower()]
    if name not in names and len(alike) != 1:
        raise _bifrost.UsageError(f"the table has no column '{name}', but {', '.join(map(str, names))}")
    try:
        return table[name if name in names else alike[0]]
    except TypeError as fault:
        raise _bifrost.UsageError(f"{type(table).__name__} does not give column '{name}': {fault}") from fault


def _integers(ids: Any) -> pa.Array:
    """TARGETIDs as Arrow's integers: never by way of a double, which does not hold them."""
    if isinstance(ids, (str, bytes)):
        raise _bifrost.UsageError("TARGETIDs are a list of integers, not text")
    if not hasattr(ids, "__arrow_c_array__") and not isinstance(ids, Iterable):
        raise _bifrost.UsageError(f"TARGETIDs are a list of integers, not of type {type(ids).__name__}")
    try:
        if not hasattr(ids, "__arrow_c_array__"):
            ids = _in_native_order(ids if hasattr(ids, "__len__") else list(ids))
        ids = pa.array(ids)
        if (pa.types.is_floating(ids.type) or pa.types.is_boolean(ids.type)) and len(ids):
            raise pa.ArrowInvalid(f"these are of type {ids.type}, which does not tell them apart")
        if pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type):
            raise pa.ArrowInvalid("these are text")
        return ids if pa.types.is_int64(ids.type) else ids.cast(pa.int64())
    except (pa.ArrowException, OverflowError, TypeError, KeyError) as fault:
        if getattr(ids, "columns", None) is not None:
            raise _bifrost.UsageError("TARGETIDs are a list of integers, not a table: give one of its columns") from fault
        raise _bifrost.UsageError(f"TARGETIDs are integers of 64 bits: {fault}") from fault


def _in_native_order(values: Any) -> Any:
    """FITS keeps the most significant byte first, which Arrow does not take."""
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and not dtype.isnative:
        return np.asanyarray(values).astype(dtype.newbyteorder("="))
    return values
