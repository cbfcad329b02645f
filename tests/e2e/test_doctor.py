# SPDX-License-Identifier: Apache-2.0
"""omg doctor: each thing that can be wrong with a machine is made wrong here, and is named, with a
way to mend it."""

import email.utils
import http.server
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import harness
from harness import BINARY, TIMEOUT, any_model, omg, omg_ok
from daemon import Daemon


class FakeHub(http.server.BaseHTTPRequestHandler):
    """Answers anything with the server's status, `seconds` off the clock."""

    def do_GET(self):  # pylint: disable=invalid-name
        self.server.asked.append(self.path)
        self.send_response_only(self.server.status)
        self.send_header("Date", email.utils.formatdate(time.time() + self.server.off, usegmt=True))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class DoctorTest(unittest.TestCase):
    def setUp(self):
        # A socket's path has room for 107 bytes, so it cannot stand in a deep folder.
        folder = tempfile.TemporaryDirectory(prefix="omg-x-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.port = closed_port()
        self.env = harness.environment(
            OMG_MODELS=str(self.folder / "models"),
            XDG_CONFIG_HOME=str(self.folder / "config"),
            XDG_RUNTIME_DIR=str(self.folder),
            OMG_PORT=str(self.port),
        )
        for name in list(self.env):
            if name.lower().endswith("_proxy") or name == "SSL_CERT_FILE":
                del self.env[name]

    def examine(self, *flags, code, preexec=None, **changes):
        """{name: check} of `omg doctor --json`, which must end with the code."""
        done = subprocess.run(
            [str(BINARY), "doctor", "--json", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**self.env, **changes}, timeout=TIMEOUT, check=False, preexec_fn=preexec)
        report = json.loads(done.stdout)
        self.assertEqual(done.stderr, b"")
        levels = [check["level"] for check in report["checks"]]
        self.assertLessEqual(set(levels), {"ok", "warning", "problem"})
        self.assertEqual(report["problems"], levels.count("problem"))
        self.assertEqual(report["warnings"], levels.count("warning"))
        for check in report["checks"]:
            self.assertTrue(check["text"], check)
            is_ok = check["level"] == "ok"
            self.assertEqual(check["fix"] is None, is_ok, check)
            self.assertEqual(check["why"] is None, is_ok, check)
        self.assertEqual(done.returncode, code, report)
        return {check["name"]: check for check in report["checks"]}

    def offline(self, *, code, **options):
        return self.examine("--offline", code=code, **options)

    def hub(self, status=200, off=0):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
        server.status, server.off, server.asked = status, off, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server, f"http://127.0.0.1:{server.server_port}"


class Machine(DoctorTest):
    def test_nothing_is_wrong(self):
        checks = self.offline(code=0)
        for name in ["store", "disk", "configuration", "port", "socket", "clock"]:
            self.assertEqual(checks[name]["level"], "ok", checks[name])
        for name in ["processor", "threads", "memory", "swap", "open files"]:
            self.assertIn(name, checks)
        self.assertNotIn("hub", checks)
        self.assertIn("computes on the processor alone", json.dumps(checks))
        self.assertFalse((self.folder / "models").exists(), "looking makes no store")

    def test_text_is_for_people(self):
        done = omg("doctor", "--offline", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        text = done.stdout.decode()
        self.assertRegex(text, r"(?m)^  [✓!] processor   ")
        self.assertRegex(text, r"(?m)^  ✓ store ")
        self.assertRegex(text, r"\n\n(All is well|No problem, \d+ warnings?)\.\n$")
        self.assertNotIn("\x1b", text)
        done = omg("doctor", "--offline", env={**self.env, "OMG_CPU_ISA": "bogus"})
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, b"")
        self.assertRegex(done.stdout.decode(),
                         r"(?m)^  ✗ processor +OMG_CPU_ISA=bogus.*\n +no model.*\n +→ unset ")

    def test_the_instruction_set_that_was_forced(self):
        checks = self.offline(code=0, OMG_CPU_ISA="scalar")
        info = harness.omg_json("info", "--json", env=self.env)
        if info["cpu"]["instruction_set"] != "scalar":
            self.assertEqual(checks["processor"]["level"], "warning")
            self.assertEqual(checks["processor"]["fix"], "unset OMG_CPU_ISA")

    def test_few_open_files(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

        check = self.offline(code=1, preexec=few)["open files"]
        self.assertEqual((check["level"], check["text"]), ("problem", "64 at once"))
        self.assertIn("LimitNOFILE", check["fix"])

    def test_little_address_space(self):
        if "asan" in str(BINARY) or "tsan" in str(BINARY):
            self.skipTest("sanitizers map more than any limit")

        def little():
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, resource.RLIM_INFINITY))

        check = self.offline(code=0, preexec=little)["address space"]
        self.assertEqual(check["fix"], "ulimit -v unlimited")


class Store(DoctorTest):
    def test_a_folder_that_cannot_be(self):
        file = self.folder / "file"
        file.write_text("x", encoding="utf-8")
        check = self.offline(code=1, OMG_MODELS=str(file / "models"))["store"]
        self.assertEqual(check["level"], "problem")
        self.assertIn(f"{file} is no folder", check["text"])
        self.assertIn("OMG_MODELS", check["fix"])
        self.assertEqual(self.offline(code=1, OMG_MODELS="/proc/omg")["store"]["level"], "problem")

    def test_models_and_their_files(self):
        copy = self.folder / "model.gguf"
        copy.write_bytes(any_model().read_bytes())
        omg_ok("import", copy, "--name", "mine", env=self.env)
        self.assertRegex(self.offline(code=0)["models"]["text"], r"^1 here, ")
        copy.unlink()
        check = self.offline(code=0)["models"]
        self.assertEqual(check["level"], "warning")
        self.assertIn("a file of mine is gone", check["text"])
        self.assertIn("omg verify mine", check["fix"])
        (self.folder / "models/manifests/bad.json").write_text("{", encoding="utf-8")
        check = self.offline(code=1)["models"]
        self.assertIn("bad.json", check["text"])


class Settings(DoctorTest):
    def test_a_broken_file_hides_nothing_else(self):
        file = self.folder / "config/ohmygpu/config.toml"
        file.parent.mkdir(parents=True)
        file.write_text("port = 1\nprot = 2\n", encoding="utf-8")
        checks = self.offline(code=1)
        self.assertEqual(checks["configuration"]["level"], "problem")
        self.assertIn("config.toml:2: there is no setting 'prot'", checks["configuration"]["text"])
        self.assertEqual(checks["store"]["level"], "ok")
        self.assertIn(str(self.port), checks["port"]["text"])

    def test_a_broken_variable(self):
        checks = self.offline(code=1, OMG_PORT="many", OMG_THREADS="-")
        self.assertIn("OMG_PORT", checks["configuration"]["text"])
        self.assertIn("unset", checks["configuration"]["fix"])
        self.assertIn(str(self.folder / "models"), checks["store"]["text"], "others still count")

    def test_certificates_that_are_not_there(self):
        text = json.dumps(self.offline(code=1, OMG_TLS_CERTIFICATE="/none/c.pem",
                                       OMG_TLS_KEY="/none/k.pem"))
        self.assertIn("/none/", text)


class Ports(DoctorTest):
    def test_a_port_that_another_has(self):
        program = [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1"]
        with subprocess.Popen(program, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as other:
            try:
                for _ in range(500):
                    with socket.socket() as probe:
                        if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                            break
                    time.sleep(0.02)
                check = self.offline(code=1)["port"]
            finally:
                other.kill()
        self.assertEqual(check["level"], "problem")
        self.assertIn(f"127.0.0.1:{self.port} is taken by", check["text"])
        self.assertIn(f"(process {other.pid}: ", check["text"])
        self.assertIn("python", check["text"])
        self.assertIn("http.server", check["text"])
        self.assertIn(f"kill {other.pid}", check["fix"])
        self.assertIn("omg config set port", check["fix"])

    def test_ollama_has_it(self):
        class Ollama(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                known = self.path == "/"
                self.send_response(200 if known else 404)
                self.end_headers()
                self.wfile.write(b"Ollama is running" if known else b"404 page not found")

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Ollama)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        check = self.offline(code=1)["port"]
        self.assertIn("Ollama", check["text"])
        self.assertIn(f"process {os.getpid()}", check["text"])
        self.assertIn("systemctl stop ollama", check["fix"])

    def test_our_own_daemon(self):
        with Daemon() as daemon:
            env = {**daemon.env, "OMG_PORT": str(daemon.port)}
            checks = self.offline(code=0, **env)
            self.assertEqual(checks["port"]["level"], "ok")
            self.assertIn(f"the daemon (process {daemon.process.pid}) listens",
                          checks["port"]["text"])
            self.assertEqual(checks["socket"]["level"], "ok", checks["socket"])
            daemon.socket.chmod(0o666)
            check = self.offline(code=0, **env)["socket"]
            self.assertEqual(check["level"], "warning")
            self.assertEqual(check["fix"], f"chmod 600 {daemon.socket}")

    def test_another_machines_daemon_that_is_none(self):
        check = self.offline(code=1, OMG_HOST="192.0.2.1", OMG_PORT="9")["daemon"]
        self.assertIn("http://192.0.2.1:9", check["text"])
        self.assertIn("OMG_HOST", check["fix"])

    def test_sockets_that_are_none_or_left_over(self):
        path = self.folder / "ohmygpu.sock"
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(path))
        path.chmod(0o600)
        left.close()
        check = self.offline(code=0)["socket"]
        self.assertEqual(check["level"], "warning")
        self.assertIn("left over", check["text"])
        path.unlink()
        path.write_text("x", encoding="utf-8")
        check = self.offline(code=1)["socket"]
        self.assertIn("is no socket", check["text"])
        check = self.offline(code=1, OMG_SOCKET="/proc/none/s")["socket"]
        self.assertIn("cannot be made", check["text"])


class Hubs(DoctorTest):
    def setUp(self):
        super().setUp()
        # The registry is on the internet: no test asks there.
        self.env["https_proxy"] = f"http://user:secret@127.0.0.1:{closed_port()}"

    def test_reachable(self):
        server, url = self.hub()
        checks = self.examine(code=0, HF_ENDPOINT=url)
        self.assertEqual(checks["hub"]["level"], "ok")
        self.assertEqual(checks["hub"]["text"], f"{url} answers")
        self.assertEqual(len(server.asked), 1)
        self.assertEqual(checks["clock"]["level"], "ok")
        self.assertIn("as 127.0.0.1 says", checks["clock"]["text"])
        registry = checks["registry"]
        self.assertEqual(registry["level"], "warning")
        self.assertIn("the proxy http://127.0.0.1:", registry["fix"])
        self.assertNotIn("secret", json.dumps(checks))

    def test_unreachable(self):
        url = f"http://127.0.0.1:{closed_port()}"
        check = self.examine(code=0, HF_ENDPOINT=url)["hub"]
        self.assertEqual(check["level"], "warning")
        self.assertIn(f"{url} cannot be reached: ", check["text"])
        self.assertIn("https_proxy", check["fix"])

    def test_refusing(self):
        _, url = self.hub(status=503)
        check = self.examine(code=0, HF_ENDPOINT=url)["hub"]
        self.assertEqual((check["level"], check["text"]), ("warning", f"{url} answers 503"))

    def test_an_endpoint_that_is_no_address(self):
        checks = self.examine(code=1, HF_ENDPOINT="ftp://hub")
        self.assertIn("HF_ENDPOINT", checks["hub settings"]["fix"])

    def test_certificates_that_cannot_be_read(self):
        check = self.examine(code=1, OMG_CA_FILE="/none/ca.pem", HF_ENDPOINT="https://hub.invalid")
        self.assertIn("/none/ca.pem", check["hub"]["text"])

    def test_a_clock_that_is_wrong(self):
        _, url = self.hub(off=-40 * 86400)
        check = self.examine(code=1, HF_ENDPOINT=url)["clock"]
        self.assertIn("ahead of what 127.0.0.1 says", check["text"])
        self.assertIn("timedatectl", check["fix"])
        _, url = self.hub(off=3600)
        check = self.examine(code=0, HF_ENDPOINT=url)["clock"]
        self.assertEqual(check["level"], "warning")
        self.assertIn("behind", check["text"])


class DaemonLimits(DoctorTest):
    def test_the_daemon_takes_as_many_files_as_it_may(self):
        """What the doctor judges by: the hard limit."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        with Daemon() as daemon:
            limits = pathlib.Path(f"/proc/{daemon.process.pid}/limits").read_text(encoding="ascii")
        line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        soft_now, hard_now = line.split()[3:5]
        self.assertEqual(soft_now, hard_now)

    def test_the_daemon_makes_its_sockets_folder(self):
        path = self.folder / "new/folder/s"
        env = {**self.env, "OMG_SOCKET": str(path), "XDG_STATE_HOME": str(self.folder)}
        omg_ok("serve", "--detach", env=env)
        try:
            self.assertTrue(path.is_socket())
            self.assertEqual(path.parent.stat().st_mode & 0o777, 0o700)
        finally:
            omg_ok("serve", "stop", env=env)


if __name__ == "__main__":
    unittest.main()
