#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py finds its offence, and only that, in a small tree made for it."""

import pathlib
import tempfile
import unittest

import tidy

TABLE = """
| Folder | What | May include |
|---|---|---|
| `base` | ground | |
| `formats` | files | `base` |
| `formats/quant` | blocks | `base` `formats` |
"""
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.write("src/README.md", TABLE)
        self.write("src/base/CMakeLists.txt", "omg_test(base_test SOURCES a_test.cc)\n")
        self.write("src/base/a.h", SPDX + "#pragma once\n")
        self.write("src/base/a_test.cc", SPDX + '#include "base/a.h"\n')
        self.write("src/formats/quant/b.cc", SPDX + '#include "formats/c.h"\n#include "base/a.h"\n')

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def findings(self):
        return list(tidy.check(self.root))

    def expect_one(self, start):
        found = self.findings()
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(start), found)

    def test_a_good_tree_has_no_findings(self):
        self.assertEqual(self.findings(), [])

    def test_include_against_the_flow(self):
        self.write("src/base/a.h", SPDX + '#pragma once\n#include "formats/c.h"\n')
        self.expect_one("src/base/a.h:3: base/ may not include from formats/")

    def test_include_from_a_subfolder_that_is_not_allowed(self):
        self.write("src/formats/c.h", SPDX + '#pragma once\n#include "formats/quant/b.h"\n')
        self.expect_one("src/formats/c.h:3: formats/ may not include from formats/quant/")

    def test_tests_may_include_what_stands_above_them_in_the_flow_but_nothing_below(self):
        self.write("src/formats/CMakeLists.txt", "c_test.cc")
        self.write("src/formats/c_test.cc", SPDX + '#include "base/a.h"\n')
        self.assertEqual(self.findings(), [])
        self.write("src/formats/c_test.cc", SPDX + '#include "formats/quant/b.h"\n')
        self.expect_one("src/formats/c_test.cc:2: formats/ may not include from formats/quant/")

    def test_folder_that_is_not_in_the_table(self):
        self.write("src/other/x.cc", SPDX + '#include "base/a.h"\n')
        self.expect_one("src/other/x.cc:2: this folder is not in the table")

    def test_long_file(self):
        self.write("src/base/a.h", SPDX + "#pragma once\n" + "\n" * 1000)
        self.expect_one("src/base/a.h:1000: 1002 lines")

    def test_generated_files_may_be_long(self):
        self.write("src/base/a.gen.h", SPDX + "#pragma once\n" + "x" * 200 + "\n" * 2000)
        self.assertEqual(self.findings(), [])

    def test_long_line(self):
        self.write("src/base/CMakeLists.txt", "a_test.cc " + "x" * 100 + "\n")
        self.expect_one("src/base/CMakeLists.txt:1: 110 columns")

    def test_test_that_nothing_builds(self):
        self.write("src/base/z_test.cc", SPDX)
        self.expect_one("src/base/z_test.cc:1: no CMakeLists.txt builds this file")

    def test_name_that_only_ends_like_a_built_one(self):
        self.write("src/base/CMakeLists.txt", "omg_test(base_test SOURCES aa_test.cc)\n")
        self.expect_one("src/base/a_test.cc:1: no CMakeLists.txt builds this file")

    def test_missing_licence(self):
        self.write("src/base/b.cc", "int x;\n")
        self.expect_one("src/base/b.cc:1: the first line")

    def test_missing_pragma_once(self):
        self.write("src/base/b.h", SPDX)
        self.expect_one("src/base/b.h:1: a header needs")

    def test_intrinsics_outside_the_kernels(self):
        self.write("src/base/b.cc", SPDX + "#include <immintrin.h>\n")
        self.expect_one("src/base/b.cc:2: intrinsics belong")


if __name__ == "__main__":
    unittest.main()
