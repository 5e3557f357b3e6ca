"""A lake served by nginx, with the configuration of ops/nginx."""

import contextlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from catalogs import free_port

CONFIGURATION = Path(__file__).resolve().parents[2] / "ops" / "nginx" / "lake.conf"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


class Web:
    """A server, and what was asked of it."""

    def __init__(self, url, log):
        self.url, self.log, self._read = url, log, 0

    def requests(self):
        """Bytes of each answer with content since the last time."""
        time.sleep(0.2)  # an answer is logged after it was given
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        new, self._read = lines[self._read :], len(lines)
        answers = [line.split('"')[2].split() for line in new]
        return [int(size) for status, size in answers if status in ("200", "206")]


@contextlib.contextmanager
def web(place):
    """The place's lake over HTTP, for as long as it lasts."""
    port = free_port()
    site = CONFIGURATION.read_text().replace("/srv/desi/lake", str(place.lake))
    site = site.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    folder = Path(tempfile.mkdtemp(prefix="nginx-", dir=place.folder))
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid;\nerror_log {folder}/errors;\nevents {{}}\n"
        f"http {{\naccess_log {folder}/log;\n{temporary}{site}}}\n")
    command = [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "errors"]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    serving = subprocess.Popen([*command, "-g", "daemon off;"])
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(url)
            except urllib.error.HTTPError:
                break
            except OSError:
                assert serving.poll() is None, (folder / "errors").read_text()
                time.sleep(0.1)
        yield Web(url, folder / "log")
    finally:
        serving.terminate()
        serving.wait()
