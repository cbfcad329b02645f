# SPDX-License-Identifier: Apache-2.0
"""The two origins of the test hub: the hub itself, and the host that large files are sent from."""

import hashlib
import hmac
import json
import time
import urllib.parse

from repositories import timestamp
from wire import Answer

SECRET = b"signs addresses of the test hub"
PAGE = 1000
UNEXPANDED = ("_id", "id", "modelId")


class Site:
    """What both origins have: faults and counters under one kind of key."""

    where = "hub"

    def __init__(self, repositories, faults, counters):
        self.repositories = repositories
        self.faults = faults
        self.counters = counters

    def key(self, path):
        return f"{self.where}:{path}"

    def begin(self, handler, path):
        handler.key = self.key(path)
        handler.entry = self.counters.request(
            handler.key, handler.command, handler.headers, handler.client_address[1]
        )

    def counter(self, handler):
        return lambda number: self.counters.sent(handler.key, handler.entry, number)

    def take_fault(self, handler, path):
        return self.faults.take(handler.key)


class ContentSite(Site):
    """cdn:/org/name/path: /lfs/SHA256?expires&signature&… gives the bytes to whoever has the link.

    cdn:/files/org/name/path: /files/ORG/NAME/PATH gives them to anybody, for models named by a URL.
    """

    where = "cdn"

    def answer(self, handler, path, query):
        name = query.get("file", [""])[0]
        self.begin(handler, path if path.startswith("/files/") else f"/{name}")
        if handler.command not in ("GET", "HEAD"):
            raise Answer(405, {"error": "Method not allowed"})
        if path.startswith("/files/"):
            self.plain(path[len("/files/") :])
        signature = query.get("signature", [""])[0]
        expires = query.get("expires", ["0"])[0]
        denied = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
        if not hmac.compare_digest(signature, sign(path, name, expires)) or (
            float(expires) < time.time()
        ):
            raise Answer(403, denied, kind="application/xml")
        self.entry(name, query.get("commit", [""])[0])

    def plain(self, name):
        """/files/ORG/NAME/PATH: a web server's file, with no redirect and no signature."""
        self.entry(name, "main")

    def entry(self, name, commit_id):
        organisation, repository, file = (name.split("/", 2) + ["", ""])[:3]
        known = self.repositories.folder(f"{organisation}/{repository}")
        name = f"{organisation}/{repository}"
        commit = self.repositories.commit(name, commit_id) if known else None
        entry = commit.entries.get(file) if commit else None
        if entry is None:
            # For a signed address: the branch moved on, and the file is no longer in the folder.
            raise Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", kind="application/xml")
        headers = [
            ("ETag", f'"{entry.sha256}"'),
            ("Cache-Control", "public, max-age=31536000"),
            ("Content-Disposition", f'inline; filename="{file.split("/")[-1]}";'),
        ]
        raise Answer(
            200, file=entry.file, file_size=entry.size, headers=headers,
            kind="application/octet-stream",
        )


def sign(path, name, expires):
    return hmac.new(SECRET, f"{path} {name} {expires}".encode(), hashlib.sha256).hexdigest()


class HubSite(Site):
    where = "hub"

    def __init__(self, repositories, faults, counters, content_url, options):
        super().__init__(repositories, faults, counters)
        self.content_url = content_url
        self.options = options  # link_seconds, page, tokens

    def key(self, path):
        return f"api:{path}" if path.startswith("/api/") else f"hub:{path}"

    def answer(self, handler, path, query):
        if path.startswith("/-/"):
            control(self, handler, path)
        self.begin(handler, path)
        if path == "/api/whoami-v2":
            self.who_am_i(handler)
        if path == "/api/models":
            self.search(handler, query)
        if path.startswith("/api/resolve-cache/models/"):
            parts = path.split("/", 7)  # '', api, resolve-cache, models, org, name, commit, file
            if len(parts) == 8:
                self.small_file(handler, f"{parts[4]}/{parts[5]}", parts[6], parts[7])
        if path.startswith("/api/models/"):
            self.api(handler, path[len("/api/models/") :], query)
        self.file(handler, path)

    # Who may see what.

    def token(self, handler):
        scheme, _, token = (handler.headers.get("Authorization") or "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def refuse_bad_token(self, handler):
        token = self.token(handler)
        if token and token not in self.options["tokens"]:
            message = "Invalid credentials in Authorization header"
            raise Answer(401, {"error": message}, error_headers("", message))

    def repository(self, handler, name):
        """Checks that the repository is there for this caller; returns its facts."""
        self.refuse_bad_token(handler)
        token = self.token(handler)
        facts = self.repositories.facts(name) if self.repositories.folder(name) else None
        if facts is not None and facts.get("private") and token not in facts.get("allowed", ()):
            facts = None
        if facts is not None:
            return facts
        if not token:  # whether it exists is not for everybody to know
            message = "Invalid username or password."
            headers = [("WWW-Authenticate", 'Bearer realm="Authentication required"')]
            raise Answer(401, {"error": message}, error_headers("", message) + headers)
        message = "Repository not found"
        raise Answer(404, {"error": message}, error_headers("RepoNotFound", message))

    def open_gate(self, handler, name, facts):
        if not facts.get("gated"):
            return
        token = self.token(handler)
        page = f"{handler.address()}/{name}"
        if not token:
            message = (
                f"Access to model {name} is restricted. You must have access to it and be "
                "authenticated to access it. Please log in."
            )
            headers = error_headers("GatedRepo", message)
            raise Answer(401, message.encode(), headers, kind="text/plain")
        if token not in facts.get("allowed", ()):
            message = (
                f"Access to model {name} is restricted and you are not in the authorized list. "
                f"Visit {page} to ask for access."
            )
            headers = error_headers("GatedRepo", message)
            raise Answer(403, message.encode(), headers, kind="text/plain")

    def commit(self, name, revision):
        commit = self.repositories.commit(name, revision)
        if commit is None:
            message = f"Invalid rev id: {revision}"
            raise Answer(404, {"error": message}, error_headers("RevisionNotFound", message))
        return commit

    def who_am_i(self, handler):
        self.refuse_bad_token(handler)
        if not self.token(handler):
            raise Answer(401, {"error": "Invalid username or password."})
        raise Answer(200, {
            "type": "user", "id": "6500", "name": "tester", "fullname": "Tester",
            "email": "t@x.org", "emailVerified": True, "isPro": False, "canPay": False,
            "orgs": [], "avatarUrl": "", "periodEnd": None, "billingMode": "postpaid",
            "auth": {"type": "access_token",
                     "accessToken": {"displayName": "test", "role": "read",
                                     "createdAt": "2024-01-01T00:00:00.000Z"}},
        })

    # /api/models…

    def api(self, handler, rest, query):
        parts = rest.split("/")
        name = "/".join(parts[:2])
        if len(parts) < 2:
            self.refuse_bad_token(handler)
            raise Answer(404, {"error": "Repository not found"},
                         error_headers("RepoNotFound", "Repository not found"))
        facts = self.repository(handler, name)
        rest = parts[2:]
        if not rest:
            raise Answer(200, self.model(name, facts, self.commit(name, "main"), query))
        revision = rest[1] if len(rest) > 1 else "main"
        if rest[0] == "revision" and len(rest) == 2:
            raise Answer(200, self.model(name, facts, self.commit(name, revision), query))
        if rest[0] == "tree":
            self.tree(handler, self.commit(name, revision), "/".join(rest[2:]), query)
        if rest[0] == "paths-info" and handler.command == "POST":
            self.paths_info(handler, self.commit(name, revision))
        if rest[0] == "commits":
            commit = self.commit(name, revision)
            raise Answer(200, [{"id": commit.id, "title": "Upload", "message": "", "authors": [],
                                "date": timestamp(commit.modified)}])
        if rest[0] == "refs":
            branches = [{"name": branch, "ref": f"refs/heads/{branch}",
                         "targetCommit": self.commit(name, branch).id}
                        for branch, _ in self.repositories.revisions(name)]
            raise Answer(200, {"tags": [], "branches": branches, "converts": []})

    def model(self, name, facts, commit, query):
        blobs = query.get("blobs", [""])[0] in ("true", "1", "True")
        siblings = []
        for entry in commit.entries.values():
            sibling = {"rfilename": entry.path}
            if blobs:
                sibling["blobId"] = entry.oid
                sibling["size"] = entry.size
                if entry.is_large:
                    sibling["lfs"] = {"sha256": entry.sha256, "size": entry.size,
                                      "pointerSize": len(entry.pointer)}
            siblings.append(sibling)
        tags = list(facts.get("tags", ()))
        if "license" in facts:
            tags.append(f"license:{facts['license']}")
        model = {
            "_id": hashlib.sha1(name.encode()).hexdigest()[:24], "id": name, "modelId": name,
            "author": name.split("/")[0], "sha": commit.id,
            "lastModified": timestamp(commit.modified), "createdAt": timestamp(commit.modified),
            "private": bool(facts.get("private")), "gated": facts.get("gated", False),
            "disabled": False, "downloads": facts.get("downloads", 0),
            "likes": facts.get("likes", 0), "tags": tags,
            "library_name": facts.get("library_name", "transformers"),
            "cardData": {key: facts[key] for key in ("license", "base_model") if key in facts},
            "siblings": siblings, "spaces": [],
            "usedStorage": sum(entry.size for entry in commit.entries.values()),
        }
        for key in ("pipeline_tag", "gguf", "config", "safetensors"):
            if key in facts:
                model[key] = facts[key]
        wanted = query.get("expand", []) + query.get("expand[]", [])
        if wanted:
            kept = {*wanted, *UNEXPANDED}
            model = {key: value for key, value in model.items() if key in kept}
        return model

    def tree_entry(self, commit, entry, expand):
        item = {"type": "file", "oid": entry.oid, "size": entry.size, "path": entry.path}
        if entry.is_large:
            item["lfs"] = {"oid": entry.sha256, "size": entry.size,
                           "pointerSize": len(entry.pointer)}
        if expand:
            item["lastCommit"] = {"id": commit.id, "title": "Upload",
                                  "date": timestamp(commit.modified)}
            item["securityFileStatus"] = {"status": "safe"}
        return item

    def tree(self, handler, commit, below, query):
        recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        expand = query.get("expand", ["false"])[0].lower() in ("true", "1")
        prefix = below.strip("/") + "/" if below.strip("/") else ""
        items = []
        for path, oid in commit.folders().items():
            inside = path[len(prefix) :]
            if path.startswith(prefix) and inside and (recursive or "/" not in inside):
                items.append({"type": "directory", "oid": oid, "size": 0, "path": path})
        for path, entry in commit.entries.items():
            inside = path[len(prefix) :]
            if path.startswith(prefix) and (recursive or "/" not in inside):
                items.append(self.tree_entry(commit, entry, expand))
        if prefix and not items:
            message = f'{below} does not exist on "main"'
            raise Answer(404, {"error": message}, error_headers("EntryNotFound", message))
        page(handler, sorted(items, key=lambda item: item["path"]), query, self.options["page"])

    def paths_info(self, handler, commit):
        body = handler.read_body()
        if "json" in (handler.headers.get("Content-Type") or ""):
            asked = json.loads(body)
            paths, expand = asked.get("paths", []), asked.get("expand", False)
        else:
            asked = urllib.parse.parse_qs(body.decode())
            paths, expand = asked.get("paths", []), asked.get("expand", ["False"])[0] == "True"
        folders = commit.folders()
        found = []
        for path in [paths] if isinstance(paths, str) else paths:
            if path in commit.entries:
                found.append(self.tree_entry(commit, commit.entries[path], expand))
            elif path in folders:
                found.append({"type": "directory", "oid": folders[path], "size": 0, "path": path})
        raise Answer(200, found)

    def search(self, handler, query):
        self.refuse_bad_token(handler)
        words = query.get("search", [""])[0].lower().split()
        author = query.get("author", [None])[0]
        task = query.get("pipeline_tag", [None])[0]
        filters = [word for text in query.get("filter", []) for word in text.split(",") if word]
        found = []
        for name in self.repositories.names():
            facts = self.repositories.facts(name)
            tags = {*facts.get("tags", ()), facts.get("pipeline_tag"), facts.get("library_name")}
            if facts.get("private") or not all(word in name.lower() for word in words):
                continue
            if author and name.split("/")[0] != author:
                continue
            if (task and facts.get("pipeline_tag") != task) or not tags.issuperset(filters):
                continue
            model = self.model(name, facts, self.commit(name, "main"), query)
            if query.get("full", [""])[0].lower() not in ("true", "1"):
                if "siblings" not in query.get("expand", []) + query.get("expand[]", []):
                    model.pop("siblings", None)
                    model.pop("cardData", None)
            found.append((facts, model))
        order = {"downloads": "downloads", "likes": "likes"}.get(query.get("sort", [""])[0])
        if order:
            found.sort(key=lambda pair: -pair[0].get(order, 0))
        page(handler, [model for _, model in found], query, self.options["page"])

    # /org/name/resolve/revision/path and /raw/

    def file(self, handler, path):
        parts = path.split("/", 5)  # '', org, name, resolve, revision, path
        if len(parts) < 6 or parts[3] not in ("resolve", "raw"):
            return
        name = f"{parts[1]}/{parts[2]}"
        facts = self.repository(handler, name)
        self.open_gate(handler, name, facts)
        commit = self.commit(name, parts[4])
        common = [("X-Repo-Commit", commit.id), ("Access-Control-Expose-Headers", "*")]
        entry = commit.entries.get(parts[5])
        if entry is None:
            headers = error_headers("EntryNotFound", "Entry not found") + common
            raise Answer(404, b"Entry not found", headers, kind="text/plain; charset=utf-8")
        if parts[3] == "raw":
            if entry.is_large:
                common.append(("ETag", f'"{entry.oid}"'))
                raise Answer(200, entry.pointer, common, kind="text/plain", ranged=True)
            self.small_file(handler, name, commit.id, entry.path, common)
        linked = common + [("X-Linked-Size", entry.size), ("X-Linked-ETag", f'"{entry.etag}"'),
                           ("Vary", "Accept"), ("Accept-Ranges", "bytes")]
        if entry.is_large:
            location = self.link(name, commit, entry)
            text = f"Found. Redirecting to {location}".encode()
            raise Answer(302, text, linked + [("Location", location)], kind="text/plain")
        quoted = urllib.parse.quote(f"/api/resolve-cache/models/{name}/{commit.id}/{entry.path}")
        location = f"{quoted}?etag=%22{entry.etag}%22"
        text = f"Temporary Redirect. Redirecting to {location}".encode()
        raise Answer(307, text, linked + [("Location", location)], kind="text/plain")

    def link(self, name, commit, entry):
        expires = f"{time.time() + self.options['link_seconds']:.3f}"
        path = f"/lfs/{entry.sha256}"
        file = f"{name}/{entry.path}"
        query = urllib.parse.urlencode({
            "file": file, "commit": commit.id, "expires": expires,
            "signature": sign(path, file, expires),
        })
        return f"{self.content_url}{path}?{query}"

    def small_file(self, handler, name, commit_id, path, common=()):
        facts = self.repository(handler, name)
        self.open_gate(handler, name, facts)
        commit = self.commit(name, commit_id)
        entry = commit.entries.get(path)
        if entry is None:
            headers = error_headers("EntryNotFound", "Entry not found")
            raise Answer(404, b"Entry not found", headers, kind="text/plain")
        headers = list(common) or [("X-Repo-Commit", commit.id)]
        headers.append(("ETag", f'"{entry.oid}"'))
        raise Answer(200, file=entry.file, file_size=entry.size, headers=headers,
                     kind="text/plain; charset=utf-8")


def error_headers(code, message):
    headers = [("X-Error-Message", message)]
    if code:
        headers.append(("X-Error-Code", code))
    return headers


def page(handler, items, query, largest):
    """The part of a list that a cursor points at, with the address of the next part."""
    limit = min(int(query.get("limit", [str(largest)])[0]), largest)
    begin = int(query.get("cursor", ["0"])[0])
    headers = []
    if begin + limit < len(items):
        url = urllib.parse.urlsplit(handler.path)
        again = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        again["cursor"] = [str(begin + limit)]
        rest = urllib.parse.urlencode(again, doseq=True)
        headers.append(("Link", f'<{handler.address()}{url.path}?{rest}>; rel="next"'))
    raise Answer(200, items[begin : begin + limit], headers)


def control(site, handler, path):
    """/-/…: what only tests call. Neither counted nor subject to faults."""
    handler.key = "control"
    handler.entry = {"bytes": 0}
    action = path[len("/-/") :]
    if action == "faults" and handler.command == "POST":
        site.faults.set(json.loads(handler.read_body()))
        raise Answer(200, {})
    if action == "options" and handler.command == "POST":
        site.options.update(json.loads(handler.read_body()))
        raise Answer(200, {})
    if action == "counters":
        raise Answer(200, site.counters.report("log=1" in handler.path))
    if action == "reset" and handler.command == "POST":
        site.faults.set([])
        site.counters.reset()
        raise Answer(200, {})
    raise Answer(404, {"error": "no such control"})
