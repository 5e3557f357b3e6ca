"""A web server over a folder: files, whole, from a byte on or a part of, with ETag and length. Where it has a
`part`, it gives so many bytes at a time: of a rest that is asked for it says so, of a whole file it breaks off.

    python archive_server.py FOLDER     prints its URL, serves until it is killed
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.server.folder / unquote(self.path).lstrip("/")
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            tag = f'"{about.st_mtime_ns:x}-{about.st_size:x}"'
            asked = self.headers.get("Range", "")
            first, _, last = asked.removeprefix("bytes=").partition("-")
            if asked and not first:
                first, last = max(about.st_size - int(last), 0), ""
            first, end = int(first or 0), min(int(last or about.st_size), about.st_size - 1) + 1
            if self.headers.get("If-Match", tag) != tag:
                self.send_response(412)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            part_end = min(end, first + (self.server.part or end))
            if asked:
                end = part_end
            whole = "*" if self.server.unsized else about.st_size
            self.send_response(206 if asked else 200)
            self.send_header("ETag", tag)
            if self.server.packed:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(end - first))
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{end - 1}/{whole}")
            self.end_headers()
            file.seek(first)
            while block := file.read(min(1 << 20, part_end - file.tell())):
                self.wfile.write(block)
            if part_end < end:
                self.close_connection = True  # it promised more

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients are killed in the tests: a connection that breaks is none of our business."""


def server(folder):
    """A server at a free port of this machine; it serves once serve_forever is called."""
    made = Server(("127.0.0.1", 0), Handler)
    made.folder, made.packed, made.unsized, made.part = Path(folder), False, False, None
    return made


if __name__ == "__main__":
    serving = server(sys.argv[1])
    print(f"http://127.0.0.1:{serving.server_port}", flush=True)
    serving.serve_forever()
