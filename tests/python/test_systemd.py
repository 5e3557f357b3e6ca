"""ops/systemd, installed below a temporary root: the units are sound, confined, and end rightly."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[2] / "ops" / "systemd"
UNITS = Path("etc/systemd/system")
SERVICES = ["bifrost-run.service", "bifrost-sync.service", "bifrost-notice@.service"]
# of systemd's scale from 0 (nothing is left to take) to 100 (everything is)
EXPOSURE_MAX = 15
EXIT_CODE = r"\b(\d+)\s+(?:ok|failed|usage|finished|nothing|try)"


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


def install(root, *arguments, code=0):
    environment = os.environ | {"DESTDIR": str(root)}
    command = [SYSTEMD / "install", *map(str, arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == code, ended.stderr
    return ended


@pytest.fixture
def root(tmp_path):
    install(tmp_path, "--lake", "/srv/desi/lake", "--bin", shutil.which("true"))
    return tmp_path


def contents(root):
    return {f.relative_to(root): f.read_text() for f in (root / "etc").rglob("*") if f.is_file()}


def unit(root, name):
    """What a unit sets: a list of values for each key, its drop-ins after itself."""
    files = [root / UNITS / name, *sorted((root / UNITS / "bifrost-.service.d").iterdir())]
    found = {}
    for file in files:
        for key, value in re.findall(r"^(\w+)=(.*)$", file.read_text(), flags=re.M):
            found.setdefault(key, []).append(value)
    return found


def codes(unit, key):
    return {int(code) for code in " ".join(unit.get(key, [])).split()}


def said(*arguments):
    command = [os.environ["BIFROST_BIN"], *arguments, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@needs("systemd-analyze")
def test_the_units_are_sound(root):
    units = [str(f) for f in sorted((root / UNITS).glob("bifrost-*.*")) if f.is_file()]
    names = [Path(f).name.replace("@.", "@bifrost-run.service.") for f in units]
    assert len(names) == 4
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={root}"]
    ended = subprocess.run([*command, *names], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@needs("systemd-analyze")
@pytest.mark.parametrize("service", SERVICES)
def test_the_services_are_confined(root, service):
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    command += [f"--root={root}", f"--threshold={EXPOSURE_MAX}", service.replace("@.", "@x.")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Overall exposure level" in ended.stdout


@needs("systemd-sysusers")
def test_the_user_is_one_that_nobody_can_be(root):
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True, capture_output=True)
    [line] = [l for l in (root / "etc/passwd").read_text().splitlines() if l.startswith("bifrost:")]
    assert line.endswith("/nologin")
    assert {v for s in SERVICES for v in unit(root, s)["User"]} == {"bifrost"}


@needs("systemd-tmpfiles")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_lake_is_made_for_that_user(root):
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True, capture_output=True)
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={root}"], check=True)
    lake = (root / "srv/desi/lake").stat()
    line = re.search(r"^bifrost:x:(\d+):(\d+):", (root / "etc/passwd").read_text(), flags=re.M)
    assert (lake.st_uid, lake.st_gid) == (int(line[1]), int(line[2]))
    assert lake.st_mode & 0o777 == 0o755


def test_the_lake_is_all_that_can_be_written(root):
    for service in SERVICES:
        settings = unit(root, service)
        assert settings["ProtectSystem"] == ["strict"]
        assert settings["ReadWritePaths"] == settings["RequiresMountsFor"] == ["/srv/desi/lake"]
        assert "BIFROST_LAKE=/srv/desi/lake" in settings["Environment"]


def test_installing_again_changes_nothing_but_what_is_ours(root):
    (root / "etc/bifrost/bifrost.env").write_text("BIFROST_NODE=mine\n")
    before = contents(root)
    (root / UNITS / "bifrost-run.service").write_text("[Service]\nold\n")
    install(root)
    assert contents(root) == before
    assert (root / "usr/local/bin/bifrost").exists()
    install(root, "--lake", "/other")
    assert unit(root, "bifrost-run.service")["ReadWritePaths"] == ["/other"]
    assert contents(root)[Path("etc/bifrost/bifrost.env")] == "BIFROST_NODE=mine\n"


def test_settings_that_may_hold_a_password_are_roots_alone(root):
    assert (root / "etc/bifrost/bifrost.env").stat().st_mode & 0o777 == 0o600


def test_the_installer_explains_itself_and_refuses_nonsense(tmp_path):
    assert "Usage" in install(tmp_path, "--help").stdout
    for wrong in (["--lake"], ["--lake", "here"], ["--lake", "/a b"], ["--lake", "/"], ["--x"]):
        assert install(tmp_path, *wrong, code=2).stderr.startswith("install: ")
    assert install(tmp_path, "--bin", tmp_path / "absent", code=2).stderr
    assert not list(tmp_path.iterdir())


def test_every_exit_code_has_one_answer(root):
    known = {int(code) for code in re.findall(EXIT_CODE, said())}
    assert known == {0, 1, 2, 3, 4, 75}
    run = unit(root, "bifrost-run.service")
    assert run["Restart"] == ["on-failure"] and codes(run, "RestartForceExitStatus") == {75}
    assert codes(run, "SuccessExitStatus") == {3, 4, 75}
    again = known - {0} - codes(run, "SuccessExitStatus") - codes(run, "RestartPreventExitStatus")
    assert again == {1}
    assert run["StartLimitIntervalSec"] == ["0"]
    sync = unit(root, "bifrost-sync.service")
    assert sync["Restart"] == ["on-failure"] and codes(sync, "SuccessExitStatus") == {3}
    again = known - {0} - codes(sync, "SuccessExitStatus") - codes(sync, "RestartPreventExitStatus")
    assert again == {75}


def test_a_run_has_the_time_to_stop_that_it_states(root):
    stated = re.search(r"--grace .*?\[default: (\d+)\]", said("run"), flags=re.S)
    assert int(unit(root, "bifrost-run.service")["TimeoutStopSec"][0]) >= int(stated[1]) + 15


def test_the_units_call_what_there_is(root, place):
    for service in ("bifrost-run.service", "bifrost-sync.service"):
        [started] = unit(root, service)["ExecStart"]
        program, *arguments = started.split()
        assert (root / program.lstrip("/")).exists()
        place.run(*arguments, "--help")
    [started] = unit(root, "bifrost-notice@.service")["ExecStart"]
    assert os.access(root / started.split()[0].lstrip("/"), os.X_OK)
    place.lake.mkdir()
    place.run("--config", root / "etc/bifrost/bifrost.toml", "sync", "--dry-run")
    variables = re.findall(r"BIFROST_[A-Z_]+", (root / "etc/bifrost/bifrost.env").read_text())
    known = said() + said("run") + (SYSTEMD / "notice").read_text()
    assert variables and all(variable in known for variable in variables)


def test_both_ends_of_a_service_are_told_and_never_in_a_circle(root):
    for service in ("bifrost-run.service", "bifrost-sync.service"):
        told = unit(root, service)["OnFailure"] + unit(root, service)["OnSuccess"]
        # two instances: with one for both, systemd (252) does not say how the service ended
        assert len(set(told)) == 2 and all(t.startswith("bifrost-notice@") for t in told)
    assert not {"OnFailure", "OnSuccess"} & unit(root, "bifrost-notice@.service").keys()


@pytest.mark.parametrize(
    ("result", "code", "now", "level"),
    [
        ("success", "0", "dead", None),
        ("success", "75", "dead", None),
        ("success", "3", "dead", "<4>"),
        ("success", "4", "dead", "<4>"),
        ("exit-code", "1", "failed", "<3>"),
        ("exit-code", "75", "auto-restart", None),
        ("exit-code", "75", "failed", "<3>"),
        ("oom-kill", "KILL", "auto-restart", "<3>"),
    ],
)
def test_what_matters_is_noticed(tmp_path, result, code, now, level):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho SubState={now}\n")
    systemctl.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "MONITOR_UNIT": "bifrost-run.service",
        "MONITOR_SERVICE_RESULT": result,
        "MONITOR_EXIT_STATUS": code,
        "MONITOR_INVOCATION_ID": "c0ffee",
        "BIFROST_NOTICE_COMMAND": f"cat > {tmp_path}/mail",
    }
    command = [SYSTEMD / "notice", "bifrost-run.service"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    mail = tmp_path / "mail"
    assert mail.exists() == (level is not None)
    if level:
        assert ended.stdout == level + mail.read_text()
        assert "bifrost-run.service" in ended.stdout and "c0ffee" in ended.stdout
    else:
        assert ended.stdout == ""
