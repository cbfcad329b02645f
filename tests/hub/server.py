#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hub for tests: server.py ROOT [--port N] [--content-port N] [--token hf_x ...]

Serves a folder of repositories (see repositories.py) as Hugging Face does: the API, and files that
are redirected, large ones to another origin under an address that is signed and expires. Prints one
line of JSON with both addresses and serves until it is ended or its standard input is closed.
README.md beside this file tells how tests make it misbehave and read its counters.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from faults import Counters, Faults  # noqa: E402
from repositories import Repositories  # noqa: E402
from sites import PAGE, ContentSite, HubSite  # noqa: E402
from wire import Server, quick_socket  # noqa: E402


class Hub:
    """Both origins on free ports of this machine. For tests in Python, which may also import it."""

    def __init__(self, root, port=0, content_port=0, tokens=(), link_seconds=3600, page=PAGE,
                 send_buffer=0):
        repositories = Repositories(root)
        self.faults = Faults()
        self.counters = Counters()
        self.options = {"link_seconds": link_seconds, "page": page, "tokens": list(tokens)}
        content = ContentSite(repositories, self.faults, self.counters)
        self.content = Server(("127.0.0.1", content_port), content)
        site = HubSite(repositories, self.faults, self.counters, self.content.url, self.options)
        self.site = Server(("127.0.0.1", port), site)
        for server in (self.content, self.site):
            quick_socket(server, send_buffer)
            server.start()
        self.url = self.site.url
        self.content_url = self.content.url

    def stop(self):
        self.site.stop()
        self.content.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--content-port", type=int, default=0)
    parser.add_argument("--token", action="append", default=[], help="a token that is valid")
    parser.add_argument("--link-seconds", type=float, default=3600, help="life of signed addresses")
    parser.add_argument("--page", type=int, default=PAGE, help="items in a page of a list")
    parser.add_argument("--send-buffer", type=int, default=0, help="SO_SNDBUF, bytes")
    given = parser.parse_args()
    hub = Hub(given.root, given.port, given.content_port, given.token, given.link_seconds,
              given.page, given.send_buffer)
    print(json.dumps({"url": hub.url, "content_url": hub.content_url}), flush=True)
    try:
        while sys.stdin.read(4096):
            pass
    except KeyboardInterrupt:
        pass
    hub.stop()


if __name__ == "__main__":
    main()
