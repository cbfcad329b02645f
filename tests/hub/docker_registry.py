# SPDX-License-Identifier: Apache-2.0
"""Debian's docker-registry on a free port of this machine, keeping what it gets in a folder."""

import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

PROGRAM = shutil.which("docker-registry")

CONFIGURATION = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {folder}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class DockerRegistry:
    """Use in a with statement. `host` is "127.0.0.1:port"."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.host = None
        self._process = None

    def __enter__(self):
        for _ in range(5):  # another program may take the port first
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            if self._start(port):
                return self
        raise RuntimeError("docker-registry does not start")

    def _start(self, port):
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "config.yml"
        storage = self.folder / "storage"
        configuration.write_text(CONFIGURATION.format(folder=storage, port=port))
        self._process = subprocess.Popen([PROGRAM, "serve", str(configuration)],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.host = f"127.0.0.1:{port}"
        end = time.monotonic() + 60
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with self.get("/v2/"):
                    return True
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        self.__exit__()
        return False

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def get(self, path, method="GET", body=None, headers=()):
        request = urllib.request.Request(f"http://{self.host}{path}", data=body, method=method,
                                         headers=dict(headers))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(request, timeout=60)

    def blob_file(self, digest):
        """Where the registry keeps a blob ("sha256:…")."""
        kind, _, digits = digest.partition(":")
        blobs = self.folder / "storage" / "docker" / "registry" / "v2" / "blobs"
        return blobs / kind / digits[:2] / digits / "data"

    def push_blob(self, repository, data, digest):
        """As any client of the protocol does it, in one piece."""
        with self.get(f"/v2/{repository}/blobs/uploads/", "POST", b"") as answer:
            location = answer.headers["Location"]
        path = location.split(self.host, 1)[-1]
        joint = "&" if "?" in path else "?"
        kind = {"Content-Type": "application/octet-stream"}
        self.get(f"{path}{joint}digest={digest}", "PUT", data, kind).close()
