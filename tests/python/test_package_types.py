"""What the package `bifrost` says of its types: its stubs are the native half, and its Python keeps to them.

The package is installed, or in PYTHONPATH.
"""

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "crates/python"


def checked(folder, module, *arguments):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_stubs_are_the_native_half(tmp_path):
    assert "no issues found in 1 module" in checked(tmp_path, "mypy.stubtest", "bifrost._bifrost")


def test_the_package_keeps_to_its_types(tmp_path):
    settings = SOURCES / "pyproject.toml"
    said = checked(tmp_path, "mypy", "--config-file", settings, "--cache-dir", tmp_path / "cache", SOURCES / "python/bifrost")
    assert "no issues found" in said
