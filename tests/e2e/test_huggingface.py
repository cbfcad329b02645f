# SPDX-License-Identifier: Apache-2.0
"""Folders as models lie on Hugging Face: omg tokenize, omg show and omg render on them."""

import json
import struct
import unittest

from harness import FOLDER, made_model, omg, omg_json, omg_ok

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}"
)


def byte_alphabet():
    """GPT-2's characters of the 256 bytes."""
    printable = [b for b in range(256) if 0x21 <= b <= 0x7E or 0xA1 <= b != 0xAD]
    moved = [b for b in range(256) if b not in printable]
    table = {b: chr(b) for b in printable}
    table.update({b: chr(256 + i) for i, b in enumerate(moved)})
    return table


def byte_level():
    """A tokenizer.json with the bytes, three merges and two special tokens."""
    alphabet = byte_alphabet()
    tokens = [alphabet[b] for b in range(256)] + ["he", "ll", "hell", "Ġw"]
    specials = ["<|begin|>", "<|im_end|>"]
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": len(tokens) + i, "content": text, "special": True, "normalized": False}
            for i, text in enumerate(specials)
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|begin|>"}}, {"Sequence": {"id": "A"}}],
            "special_tokens": {"<|begin|>": {"id": "<|begin|>", "ids": [260]}},
        },
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "vocab": {text: i for i, text in enumerate(tokens)},
            "merges": ["h e", ["l", "l"], "he ll", "Ġ w"],
        },
    }


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def sentencepiece():
    """A tokenizer.model of SentencePiece's BPE."""
    rows = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)]
    rows += [(f"<0x{b:02X}>", 0, 6) for b in range(256)]
    rows += [("▁", -3, 1), ("a", -2, 1), ("▁a", -1, 1)]
    model = b""
    for text, score, kind in rows:
        piece = field(1, text.encode())
        piece += b"\x15" + struct.pack("<f", score) + b"\x18" + varint(kind)
        model += field(1, piece)
    return model + field(2, b"\x18\x02") + field(3, b"\x18\x01\x20\x00")


def folder(name, **files):
    path = FOLDER / name
    path.mkdir(exist_ok=True)
    for file, content in files.items():
        file = file.replace("__", ".")
        if isinstance(content, bytes):
            (path / file).write_bytes(content)
        else:
            (path / file).write_text(content if isinstance(content, str) else json.dumps(content))
    return path


class HuggingFace(unittest.TestCase):
    def setUp(self):
        self.folder = folder(
            "byte-level",
            tokenizer__json=byte_level(),
            tokenizer_config__json={
                "bos_token": "<|begin|>",
                "eos_token": {"content": "<|im_end|>"},
                "chat_template": TEMPLATE,
            },
        )

    def test_tokenize(self):
        self.assertEqual(omg_json("tokenize", self.folder, "hello w", "--json"), [258, 111, 259])
        self.assertEqual(
            omg_json("tokenize", self.folder, "hell<|im_end|>", "--json", "--special"),
            [260, 258, 261],
        )
        by_file = omg_json("tokenize", self.folder / "tokenizer.json", "hello w", "--json")
        self.assertEqual(by_file, [258, 111, 259])
        # NFC first, and then every byte has a token.
        composed = omg_json("tokenize", self.folder, "e\u0301", "--json")
        self.assertEqual(composed, [0xC3, 0xA9])
        self.assertIn("'hell'", omg_ok("tokenize", self.folder, "hell"))

    def test_tokenize_lines(self):
        lines = "".join(json.dumps(text) + "\n" for text in ["hell", "", "漢", " w"])
        out = omg_ok("tokenize", self.folder, "--jsonl", stdin=lines)
        self.assertEqual(
            [json.loads(line) for line in out.splitlines()],
            [[258], [], [0xE6, 0xBC, 0xA2], [259]],
        )

    def test_show(self):
        self.assertEqual(omg_ok("show", self.folder, "--template"), TEMPLATE)
        details = omg_json("show", self.folder, "--json")
        self.assertEqual(details["vocab_size"], 262)
        self.assertEqual(details["template"], TEMPLATE)
        self.assertFalse(details["runs"])
        self.assertIn("262 tokens", omg_ok("show", self.folder))
        self.assertEqual(omg("show", self.folder, "--capabilities").returncode, 0)

    def test_render(self):
        context = json.dumps({"messages": [{"role": "user", "content": "Hi"}]})
        out = omg_ok("render", "--template", self.folder, "--input", "-", stdin=context)
        self.assertEqual(out, "<|begin|>[user] Hi<|im_end|>")
        context = json.dumps({"messages": [], "bos_token": "^"})
        out = omg_ok("render", "--template", self.folder, "--input", "-", stdin=context)
        self.assertEqual(out, "^")

    def test_render_with_the_template_of_a_model_file(self):
        model = made_model()
        context = json.dumps({"messages": [{"role": "user", "content": "Hi"}]})
        template = FOLDER / "of-model.jinja"
        template.write_text(omg_ok("show", model, "--template"))
        out = omg_ok("render", "--template", model, "--input", "-", stdin=context)
        self.assertIn("Hi", out)

    def test_template_file_goes_first(self):
        path = folder("jinja", chat_template__jinja="from the file", tokenizer_config__json={
            "chat_template": [{"name": "default", "template": "from the list"}]})
        self.assertEqual(omg_ok("show", path, "--template"), "from the file")
        (path / "chat_template.jinja").unlink()
        self.assertEqual(omg_ok("show", path, "--template"), "from the list")
        # There is no tokenizer in it, which is said and not guessed.
        done = omg("tokenize", path, "x")
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"tokenizer.json", done.stderr)

    def test_sentencepiece(self):
        path = folder("spm", tokenizer__model=sentencepiece())
        self.assertEqual(omg_json("tokenize", path, "a a\n", "--json"), [261, 261, 13])
        self.assertEqual(omg_json("tokenize", path, "a", "--json", "--special"), [1, 261])

    def test_bad_files(self):
        whole = json.dumps(byte_level())
        for text in ["", "{", "[]", whole[: len(whole) // 2], whole.replace("he ll", "he lx")]:
            path = folder("bad", tokenizer__json=text)
            done = omg("tokenize", path, "x", "--json")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(b"tokenizer.json", done.stderr)
        odd = byte_level()
        odd["pre_tokenizer"] = {"type": "Sideways"}
        done = omg("tokenize", folder("bad", tokenizer__json=odd), "x")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"$.pre_tokenizer.type names the pre-tokenizer 'Sideways'", done.stderr)
        model = sentencepiece()
        for data in [b"", model[:100], b"\xff" * 50]:
            done = omg("tokenize", folder("bad-spm", tokenizer__model=data), "x")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(b"tokenizer.model", done.stderr)

    def test_folders_with_nothing(self):
        path = folder("nothing", readme="x")
        for command in [["tokenize", path, "x"], ["show", path], ["show", path, "--template"]]:
            done = omg(*command)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(b"tokenizer.json", done.stderr)


if __name__ == "__main__":
    unittest.main()
