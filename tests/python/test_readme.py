"""The README's examples, run one after the other in one folder: they print what it says they print.

Times, sizes and numbers of commits differ from machine to machine and are not compared. BIFROST_BLESS=1 writes what the
examples print now into the README.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import duckdb
from conftest import Place

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
FOLDER = "/srv/desi"
CARGO = "cargo run --release -q -p bifrost-core --example read_lake --"
EXAMPLE = re.compile(
    r"<!-- example -->\n```(?P<kind>\w+)\n(?P<code>.*?)^```\n(```text\n(?P<printed>.*?)^```\n)?",
    flags=re.S | re.M,
)


class Reader(Place):
    """Somebody who follows the README in a folder of their own."""

    def __init__(self, folder):
        super().__init__(folder, None)
        self.binary = Path(os.environ["BIFROST_BIN"]).resolve()
        self.environment["PATH"] = f"{self.binary.parent}:{self.environment['PATH']}"
        self.environment["PSQLRC"] = os.devnull
        # what other libraries say of each other changes with their versions
        self.environment["PYTHONWARNINGS"] = "ignore"
        del self.environment["BIFROST_LAKE"]
        self.exports = []

    def local(self, text):
        example = self.binary.parent / "examples" / "read_lake"
        return text.replace(FOLDER, str(self.folder)).replace(CARGO, shlex.quote(str(example)))

    def prints(self, command):
        """What a command prints, errors and all, as if it had run in the README's folder."""
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert ended.returncode in (0, 3), f"{command}\n{ended.stdout}"
        return ended.stdout.replace(str(self.folder), FOLDER)

    def console(self, code):
        lines = []
        for line in code.splitlines():
            if not line.startswith("$ "):
                continue
            lines.append(line + "\n")
            command = self.local(line[2:])
            if command.startswith("export "):
                self.exports.append(command)
            else:
                script = "\n".join(["set -o pipefail", *self.exports, command])
                lines.append(self.prints(["bash", "-c", script]))
        return "".join(lines)

    def follow(self, example):
        """The example with what it prints now."""
        kind, code = example["kind"], example["code"]
        if kind == "console":
            return f"<!-- example -->\n```console\n{stripped(self.console(code))}```\n"
        if kind == "python":
            exports = "\n".join(self.exports)
            run = f"{exports}\nexec {shlex.quote(sys.executable)} -c {shlex.quote(self.local(code))}"
            printed = self.prints(["bash", "-c", run])
        else:
            printed = str(duckdb.sql(self.local(code)))
        return f"<!-- example -->\n```{kind}\n{code}```\n```text\n{stripped(printed)}```\n"


def stripped(text):
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return "".join(line + "\n" for line in lines)


def lasting(text):
    """The text without what differs from machine to machine: times, sizes, the room they take, digests; how
    many commits there are, since whoever works for long commits every few seconds."""
    text = re.sub(r"\bcommit \d+|\b\d+ commits", "commit #", text)
    text = re.sub(r"\b\d+(\.\d+)? (B|kB|MB|GB)\b", "# MB", text)
    text = re.sub(r"(?<![\w.])\d+\.\d{1,2}(?= s\b|\s|$)", "#", text, flags=re.M)
    text = re.sub(r"bifrost:sha256:[0-9a-f]{64}", "DIGEST", text)
    text = re.sub(r"\bresolution-[0-9a-f]{8}\b", "SNAPSHOT", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"\b\d+ s ago", "# s ago", text)
    return re.sub(r"[ ─-]+", " ", text).splitlines()


def short_folder():
    """A new folder with a name as long as the README's, so that tables are as wide."""
    letters = len(FOLDER) - len("/tmp/")
    folder = Path("/tmp", uuid.uuid4().hex[:letters])
    folder.mkdir()
    folder.chmod(0o755)  # root's server runs as another user, who must get in
    return folder


def test_examples_print_what_they_say():
    readme = README.read_text()
    folder = short_folder()
    reader = Reader(folder)
    try:
        now = EXAMPLE.sub(reader.follow, readme)
    finally:
        if reader.lake.exists():
            reader.run("--lake", reader.lake, "db", "down")
        shutil.rmtree(folder)
    if os.environ.get("BIFROST_BLESS"):
        README.write_text(now)
    assert len(EXAMPLE.findall(readme)) >= 7
    assert lasting(now) == lasting(README.read_text())


def test_paths_and_links_are_there():
    readme = README.read_text()
    prose = re.sub(r"^```.*?^```", "", readme, flags=re.S | re.M)
    links = re.findall(r"\]\(([^)#]+)\)", prose)
    assert links and [link for link in links if "://" not in link and not (REPOSITORY / link).exists()] == []
    tree = re.search(r"### The tree\n\n```\n(.*?)```", readme, flags=re.S)[1]
    top = ""
    for line in tree.splitlines():
        name = line.split()[0]
        top = name if not line.startswith(" ") else top
        path = Path(name) if not line.startswith(" ") else Path(top, name)
        assert (REPOSITORY / path).exists(), path
    for crate in sorted((REPOSITORY / "crates").iterdir()):
        assert f"crates/{crate.name}" in tree


def test_the_stage_that_is_shown_is_the_one_that_is_built():
    shown = re.search(r"^```rust\n(.*?)^```", README.read_text(), flags=re.S | re.M)[1]
    built = (REPOSITORY / "crates" / "stages" / "src" / "snr.rs").read_text()
    assert shown == built
    assert len(built.splitlines()) < 50


def test_every_option_and_exit_code_is_told():
    readme = README.read_text()
    binary = os.environ["BIFROST_BIN"]
    told = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
    for variable in re.findall(r"BIFROST_[A-Z_]+", told):
        assert f"`{variable}`" in readme, variable
    for command in re.findall(r"^  (\w+)  +\S", told.split("Options:")[0], flags=re.M):
        assert command == "help" or f"`bifrost {command}" in readme, command
    for code in re.findall(r"\b(\d+) (?:ok|failed|usage|finished|nothing|try)", told):
        assert re.search(rf"^\| {code} \|", readme, flags=re.M), code


def test_every_direct_dependency_is_explained():
    readme = README.read_text().split("### Dependencies")[1]
    manifest = (REPOSITORY / "Cargo.toml").read_text().split("[workspace.dependencies]")[1]
    manifest = manifest.split("\n[")[0]
    names = re.findall(r'^([\w-]+) = (?:\{ package = "([\w-]+)")?', manifest, flags=re.M)
    for name, package in names:
        if not name.startswith("bifrost-"):
            assert f"`{package or name}`" in readme, package or name
