"""An S3 server on this machine (moto, which answers as S3 does), with the tiles of a folder in it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config

BUCKET = "desidata"
ROOT = "dr1/spectro/redux/iron"
# keys of a page of a listing: few, so that there are many pages
PAGE = 10


class Bucket:
    """The bucket, and where it is."""

    def __init__(self, port, pid):
        self.address, self.pid = ("127.0.0.1", port), pid
        self.url = f"http://127.0.0.1:{port}"
        self.client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-west-2", aws_access_key_id="key",
            aws_secret_access_key="secret", config=Config(s3={"addressing_style": "path"}))

    def put(self, key, content):
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, ACL="public-read")

    def fill(self, folder):
        """Everything below a folder, under its relative path."""
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                self.put(str(path.relative_to(folder)), path.read_bytes())


@contextlib.contextmanager
def bucket():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serving = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | {"MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert serving.poll() is None, "moto did not start"
            time.sleep(0.1)
        made = Bucket(port, serving.pid)
        made.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        yield made
    finally:
        serving.kill()
        serving.wait()
