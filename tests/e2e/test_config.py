#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Settings and API keys: what holds, where it came from, and changing it."""

import json
import pathlib
import tempfile
import unittest

import harness
from harness import omg, omg_json, omg_ok


class ConfigTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="omg-config-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.env = harness.environment(XDG_CONFIG_HOME=str(self.folder))
        self.env.pop("OMG_MODELS")
        self.file = self.folder / "ohmygpu" / "config.toml"

    def ok(self, *arguments, **changes):
        return omg_ok(*arguments, env={**self.env, **changes})

    def fails(self, code, *arguments, **changes):
        done = omg(*arguments, env={**self.env, **changes})
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, b"")
        return done.stderr.decode()

    def test_lists_what_holds(self):
        table = self.ok("config")
        self.assertEqual(table, self.ok("config", "list"))
        self.assertIn("SETTING", table)
        self.assertRegex(table, r"(?m)^port +11434")
        settings = omg_json("config", "list", "--json", env={**self.env, "OMG_PORT": "8080"})
        self.assertEqual(settings["port"], {"value": 8080, "from": "OMG_PORT"})
        self.assertEqual(settings["origins"], {"value": [], "from": "built in"})
        self.assertNotIn("\x1b", table)

    def test_changes_one_line_of_the_file(self):
        self.assertEqual(self.ok("config", "path").strip(), str(self.file))
        self.file.parent.mkdir(parents=True)
        self.file.write_text("# my box\nport = 1 # low\n", encoding="utf-8")
        self.ok("config", "set", "port", "8080")
        self.ok("config", "set", "keep_alive", "30m")
        self.ok("config", "set", "origins", "https://a.example,app://x")
        self.assertEqual(
            self.file.read_text(encoding="utf-8"),
            '# my box\nport = 8080 # low\nkeep_alive = "30m"\n'
            'origins = ["https://a.example", "app://x"]\n',
        )
        self.assertEqual(self.ok("config", "get", "port"), "8080\n")
        self.assertEqual(omg_json("config", "get", "origins", "--json", env=self.env),
                         ["https://a.example", "app://x"])
        self.ok("config", "set", "keep_alive", "--", "-1")
        self.assertEqual(self.ok("config", "get", "keep_alive"), "-1\n")
        self.ok("config", "unset", "port")
        self.assertEqual(self.ok("config", "get", "port"), "11434\n")
        self.assertNotIn("port", self.file.read_text(encoding="utf-8"))

    def test_explains_where_a_value_came_from(self):
        self.ok("config", "set", "keep_alive", "30m")
        text = self.ok("config", "explain", "keep_alive", OLLAMA_KEEP_ALIVE="1h")
        self.assertRegex(text, r"built in +5m")
        self.assertRegex(text, r"config\.toml:1 +30m")
        self.assertRegex(text, r"OLLAMA_KEEP_ALIVE +1h  ← in use")
        self.assertIn("stays loaded", text)
        explained = json.loads(self.ok("config", "explain", "keep_alive", "--json"))
        self.assertEqual([s["text"] for s in explained["sources"]], ["5m", "30m"])
        warned = omg("config", "set", "keep_alive", "2m", env={**self.env, "OMG_KEEP_ALIVE": "9m"})
        self.assertIn("OMG_KEEP_ALIVE is set too and wins", warned.stderr.decode())

    def test_secrets_are_not_shown(self):
        for arguments in (["list"], ["list", "--json"], ["get", "api_key"], ["explain", "api_key"]):
            self.assertNotIn("hunter2", self.ok("config", *arguments, OMG_API_KEY="hunter2"))
        self.assertIn("OMG_API_KEY", self.fails(2, "config", "set", "api_key", "hunter2"))

    def test_refuses_what_makes_no_sense(self):
        self.assertIn("did you mean port", self.fails(3, "config", "get", "prot"))
        self.assertIn("from 0 to 65535", self.fails(2, "config", "set", "port", "70000"))
        self.assertFalse(self.file.exists())
        self.fails(2, "config", "set", "port")
        self.fails(2, "config", "get")
        self.fails(2, "config", "dance")
        self.fails(2, "config", "get", "port", "1")
        self.assertIn("OMG_PORT", self.fails(2, "config", OMG_PORT="many"))
        self.file.parent.mkdir(parents=True)
        self.file.write_text("\nprot = 1\n", encoding="utf-8")
        self.assertIn("config.toml:2: there is no setting 'prot'", self.fails(2, "config"))
        self.fails(3, "config", OMG_CONFIG=str(self.folder / "none.toml"))

    def test_the_store_is_where_the_file_says(self):
        self.ok("config", "set", "models", str(self.folder / "elsewhere"))
        stats = omg_json("cache", "stats", "--json", env=self.env)
        self.assertEqual(stats["folder"], str(self.folder / "elsewhere"))

    def test_keys_are_shown_once(self):
        secret = self.ok("keys", "create", "laptop").strip()
        self.assertRegex(secret, r"^omg-[A-Za-z0-9_-]{43}$")
        self.ok("keys", "create", "admin", "--scope", "infer,manage", "--rate", "60")
        listed = omg_json("keys", "--json", env=self.env)["keys"]
        self.assertEqual([key["name"] for key in listed], ["laptop", "admin"])
        self.assertEqual(listed[0]["scopes"], ["infer"])
        self.assertEqual(listed[1]["scopes"], ["infer", "manage"])
        self.assertEqual(listed[1]["requests_per_minute"], 60)
        file = self.folder / "ohmygpu" / "keys.json"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(secret, file.read_text(encoding="utf-8") + self.ok("keys"))
        self.assertIn("there is one named", self.fails(2, "keys", "create", "laptop"))
        self.fails(2, "keys", "create", "x", "--scope", "root")
        self.fails(2, "keys", "create")
        self.ok("keys", "remove", "laptop")
        self.fails(3, "keys", "remove", "laptop")


if __name__ == "__main__":
    unittest.main()
