# SPDX-License-Identifier: Apache-2.0
"""A folder of repositories as git and Git LFS would hold them.

ROOT/org/name/... is the branch "main" of the model org/name. ROOT/org/name/.revisions/REV/... is
another branch or tag. ROOT/org/name/.hub.json may say what the hub knows of a repository beyond its
files: gated ("auto", "manual"), private, allowed (tokens), license, pipeline_tag, tags, downloads,
likes, lfs (patterns of further names that are large files). Commits are named by what they hold.
"""

import fnmatch
import hashlib
import json
import pathlib
import threading
import time

LARGE = ("*.gguf", "*.safetensors", "*.bin", "*.pt", "*.pth", "*.onnx", "*.h5", "*.model", "*.zip")
LARGE_BYTES = 10 << 20
BLOCK = 4 << 20


class Entry:
    """A file of a commit: its git object, and its LFS object if it is a large one."""

    def __init__(self, path, file, size, sha256, sha1, is_large):
        self.path = path
        self.file = file
        self.size = size
        self.sha256 = sha256
        self.is_large = is_large
        self.pointer = b""
        if is_large:
            self.pointer = (
                "version https://git-lfs.github.com/spec/v1\n"
                f"oid sha256:{sha256}\nsize {size}\n"
            ).encode()
            sha1 = git_object(self.pointer)
        self.oid = sha1

    @property
    def etag(self):
        return self.sha256 if self.is_large else self.oid


class Commit:
    def __init__(self, repository, entries, modified):
        self.repository = repository
        self.entries = {entry.path: entry for entry in entries}
        text = "\n".join(f"{entry.path}\0{entry.oid}" for entry in entries)
        self.id = hashlib.sha1(f"{repository}\n{text}".encode()).hexdigest()
        self.modified = modified

    def folders(self):
        found = {}
        for path, entry in self.entries.items():
            parts = path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                found.setdefault("/".join(parts[:depth]), []).append(f"{path}\0{entry.oid}")
        return {
            path: hashlib.sha1("\n".join(inside).encode()).hexdigest()
            for path, inside in found.items()
        }


def git_object(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Digests:
    """SHA-256 and git's SHA-1 of files, kept until a file changes."""

    def __init__(self):
        self._known = {}
        self._lock = threading.Lock()

    def of(self, file):
        status = file.stat()
        key = (str(file), status.st_size, status.st_mtime_ns, status.st_ino)
        with self._lock:  # two requests at once wait for one reading
            if key not in self._known:
                sha256 = hashlib.sha256()
                sha1 = hashlib.sha1(b"blob %d\0" % status.st_size)
                with open(file, "rb") as stream:
                    while data := stream.read(BLOCK):
                        sha256.update(data)
                        if status.st_size < LARGE_BYTES:
                            sha1.update(data)
                self._known[key] = (sha256.hexdigest(), sha1.hexdigest())
            return (status.st_size, *self._known[key])


class Repositories:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self._digests = Digests()

    def names(self):
        for organisation in sorted(self.root.iterdir()):
            if not organisation.is_dir() or organisation.name.startswith("."):
                continue
            for repository in sorted(organisation.iterdir()):
                if repository.is_dir():
                    yield f"{organisation.name}/{repository.name}"

    def folder(self, name):
        """Path of a repository, or None. Names that climb out are no repositories."""
        parts = name.split("/")
        if len(parts) != 2 or any(part in ("", ".", "..") for part in parts):
            return None
        folder = self.root.joinpath(*parts)
        return folder if folder.is_dir() else None

    def facts(self, name):
        path = self.folder(name) / ".hub.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def revisions(self, name):
        folder = self.folder(name)
        yield "main", folder
        if (folder / ".revisions").is_dir():
            for other in sorted((folder / ".revisions").iterdir()):
                yield other.name, other

    def commit(self, name, revision):
        """The commit that a branch, tag, commit id or a start of one stands for, or None."""
        wanted = "main" if revision in ("HEAD", "refs/heads/main") else revision
        commits = []
        for branch, folder in self.revisions(name):
            if branch == wanted:
                return self._read(name, folder)
            commits.append(folder)
        if len(wanted) >= 7:
            for folder in commits:
                commit = self._read(name, folder)
                if commit.id.startswith(wanted):
                    return commit
        return None

    def _read(self, name, folder):
        patterns = (*LARGE, *self.facts(name).get("lfs", ()))
        entries = []
        modified = 0.0
        for file in sorted(folder.rglob("*")):
            path = file.relative_to(folder).as_posix()
            if not file.is_file() or path.split("/")[0] in (".revisions", ".hub.json"):
                continue
            size, sha256, sha1 = self._digests.of(file)
            large = size >= LARGE_BYTES or any(
                fnmatch.fnmatch(file.name, pattern) for pattern in patterns
            )
            entries.append(Entry(path, file, size, sha256, sha1, large))
            modified = max(modified, file.stat().st_mtime)
        return Commit(name, entries, modified)


def timestamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))
