"""The native half: see the modules beside it for what people use."""

from collections.abc import Iterator
from os import PathLike
from typing import Any, final

__all__ = [
    "Batches",
    "Error",
    "Lake",
    "Recipe",
    "Resolution",
    "UsageError",
    "__version__",
    "coadd",
    "comoving",
    "delaunay",
    "distance_to_segments",
    "fof_isotropic",
    "fof_sky",
    "grid",
    "line_marks",
    "positions",
    "skeleton",
    "tokens",
]
__version__: str

class Error(Exception):
    """What went wrong, and what to do."""

class UsageError(Error):
    """The question is at fault."""

def tokens(
    flux: Any, ivar: Any, patch: int, threads: int, out: tuple[Any, Any, Any, Any] | None = None
) -> tuple[Any, Any, Any, Any]: ...
def positions(wavelength: Any, patch: int, dimensions: int) -> Any: ...
def coadd(wavelength: Any, flux: Any, ivar: Any, mask: Any) -> tuple[Any, Any, Any]: ...
def grid() -> Any: ...
def fof_isotropic(positions: Any, length: float) -> Any: ...
def fof_sky(ra: Any, dec: Any, distance: Any, across: Any, along: Any) -> Any: ...
def comoving(z: Any) -> Any: ...
def delaunay(positions: Any) -> tuple[Any, Any]: ...
def skeleton(
    positions: Any, sigmas: float, smooth_density: int, smooth: int, keep_boundary: bool
) -> tuple[Any, Any, Any, Any, Any, Any, Any]: ...
def distance_to_segments(positions: Any, segments: Any) -> Any: ...
def line_marks(z: float, first: float, last: float) -> list[tuple[str, float, bool]]: ...
@final
class Lake:
    place: str
    def __new__(
        cls,
        lake: str | PathLike[str] | None = None,
        database_url: str | None = None,
        postgres_bin: str | PathLike[str] | None = None,
    ) -> Lake: ...
    def resolve(
        self,
        predicate: str | None = None,
        regions: list[tuple[str, str]] = ...,
        target_ids: Any = None,
        sql: str | None = None,
        product: str | None = None,
        as_of: str | None = None,
        columns: list[str] | None = None,
    ) -> Resolution: ...
    def crossmatch(
        self,
        ra: Any,
        dec: Any,
        radius_arcsec: float,
        nearest: bool,
        predicate: str | None = None,
        product: str | None = None,
        columns: list[str] | None = None,
    ) -> Any: ...
    def spectrum(
        self, target_id: int, release: str | None, survey: str | None, program: str | None, coadded: bool
    ) -> list[tuple[Any, ...]]: ...
    def spectra(
        self, target_ids: list[int], release: str | None, survey: str | None, program: str | None, coadded: bool
    ) -> list[tuple[Any, ...]]: ...
    def opened(self, path: str | PathLike[str]) -> Resolution: ...
    def replayed(self, path: str | PathLike[str], deep: bool = False) -> str: ...

@final
class Resolution:
    commit: int
    def __len__(self) -> int: ...
    def uris(self) -> list[str]: ...
    def json(self) -> str: ...
    def explained(self) -> str: ...
    def save(self, path: str | PathLike[str]) -> str: ...
    def recipe(self, columns: list[str] | None = None) -> Recipe: ...

@final
class Recipe:
    schema: Any
    @staticmethod
    def restored(recipe: str, portions: str, schema: Any) -> Recipe: ...
    def written(self) -> tuple[str, str]: ...
    def __len__(self) -> int: ...
    def portions(self) -> list[tuple[str, str, int, int]]: ...
    def some(self, which: list[int]) -> Recipe: ...
    def split(self, rows: int) -> Recipe: ...
    def count(self) -> int: ...
    def stream(
        self, limit: int | None = None, threads: int | None = None, batch_bytes: int | None = None
    ) -> Any: ...
    def batches(
        self, limit: int | None = None, threads: int | None = None, batch_bytes: int | None = None
    ) -> Batches: ...

@final
class Batches(Iterator[Any]):
    def __iter__(self) -> Batches: ...
    def __next__(self) -> Any: ...
    def close(self) -> None: ...
