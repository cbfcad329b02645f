#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the model "guide" from nothing: text, vocabulary, network, GGUF file, scores.

    /usr/bin/python3 tools/demo_model/train.py

Needs the built program, and Debian's python3-torch (README.md). A training that is interrupted
goes on from its last checkpoint, which is at most two minutes old.
"""

import argparse
import ctypes
import os
import pathlib
import signal
import subprocess
import time

import torch

import commands as command_help
import corpus
import export
from dialogs import Writer
from muon import Muon
from network import Network
from shape import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path,
                        default=ROOT / "build/release/bin/ohmygpu", help="the built program")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/guide",
                        help="checkpoints and files on the way")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "models/guide",
                        help="where guide.gguf and its card go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3400)
    parser.add_argument("--batch", type=int, default=4096, help="tokens of a step, with padding")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--checkpoint-every", type=float, default=100, help="seconds")
    parser.add_argument("--no-score", action="store_true", help="only the file")
    return parser.parse_args()


class Training:
    """The network, its optimisers and where they are in the stream; can be saved and loaded."""

    def __init__(self, options):
        self.options = options
        torch.manual_seed(options.seed)
        self.commands = command_help.read_commands(options.binary)
        config = Config()
        self.network = Network(config)
        self.writer = Writer(self.commands, config.million_weights())
        self.step, self.chunk, self.place = 0, 0, 0
        self.cpu_before, self.started = 0.0, time.process_time()
        matrices = [p for name, p in self.network.named_parameters()
                    if p.dim() == 2 and "embeddings" not in name]
        others = [p for name, p in self.network.named_parameters()
                  if p.dim() != 2 or "embeddings" in name]
        if options.optimizer == "muon":
            self.optimizers = [Muon(matrices, lr=1, weight_decay=0.02),
                               torch.optim.AdamW(others, lr=1, betas=(0.9, 0.95), eps=1e-10,
                                                 weight_decay=0)]
        else:
            self.optimizers = [torch.optim.AdamW(matrices + others, lr=1, betas=(0.9, 0.95),
                                                 weight_decay=0.02)]
        self.checkpoint = options.work / "checkpoint.pt"
        if self.checkpoint.exists():
            self._load()
        else:
            self.tokenizer = corpus.learn_vocabulary(self.writer, options.seed,
                                                     config.vocabulary)
        self.encoder = corpus.Encoder(self.tokenizer, config.context)

    def cpu_seconds(self):
        """Processor time of all threads and earlier runs."""
        return self.cpu_before + time.process_time() - self.started

    def _load(self):
        state = torch.load(self.checkpoint)
        self.network.load_state_dict(state["network"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.step, self.chunk, self.place = state["step"], state["chunk"], state["place"]
        self.cpu_before = state["cpu"]
        self.tokenizer = corpus.bpe.Tokenizer(state["merges"], corpus.SPECIALS)
        if state["answers"] != sorted(self.writer.fixed_answers()):
            raise SystemExit(f"{self.checkpoint} was made with other commands or texts; "
                             "delete it to begin anew")
        print(f"goes on at step {self.step}", flush=True)

    def save(self):
        state = {"network": self.network.state_dict(),
                 "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                 "step": self.step, "chunk": self.chunk, "place": self.place,
                 "cpu": self.cpu_seconds(), "merges": self.tokenizer.merges,
                 "answers": sorted(self.writer.fixed_answers())}
        temporary = self.checkpoint.with_suffix(".new")
        torch.save(state, temporary)
        os.replace(temporary, self.checkpoint)

    def rate(self):
        """Up in 60 steps, even, and down to nothing over the second half."""
        left = (self.options.steps - self.step) / self.options.steps
        return self.options.lr * min(1, (self.step + 1) / 60, left / 0.5)

    def _batch(self, group):
        longest = max(len(ids) for ids, _ in group)
        ids = torch.zeros(len(group), longest, dtype=torch.long)
        targets = torch.full((len(group), longest), -1, dtype=torch.long)
        for row, (sample, wanted) in enumerate(group):
            ids[row, :len(sample)] = torch.tensor(sample)
            targets[row, :len(wanted)] = torch.tensor(wanted)
        return ids, targets

    def take_step(self, group):
        ids, targets = self._batch(group)
        loss = self.network.loss(ids, targets)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
            for settings in optimizer.param_groups:
                settings["lr"] = self.rate()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        return loss.item(), ids.numel()

    def run(self):
        saved, shown, losses, tokens = time.monotonic(), self.cpu_seconds(), [], 0
        while self.step < self.options.steps:
            samples = corpus.chunk(self.writer, self.encoder, self.options.seed, self.chunk)
            groups = corpus.batches(samples, self.options.batch, self.options.seed)
            while self.place < len(groups) and self.step < self.options.steps:
                loss, count = self.take_step(groups[self.place])
                self.place += 1
                losses.append(loss)
                tokens += count
                if self.step % 25 == 0:
                    now = self.cpu_seconds()
                    mean = sum(losses) / len(losses)
                    print(f"step {self.step}/{self.options.steps} loss {mean:.4f}"
                          f" cpu {now / 60:.1f} min, {tokens / (now - shown):.0f} tokens/cpu s",
                          flush=True)
                    shown, losses, tokens = now, [], 0
                if time.monotonic() - saved > self.options.checkpoint_every:
                    self.save()
                    saved = time.monotonic()
            if self.place == len(groups):
                self.chunk, self.place = self.chunk + 1, 0
        self.save()


def keep_freed_memory():
    """Pages that are given back and taken again with every tensor cost a quarter of the time in a
    virtual machine (2,000 tokens a second and core instead of 2,600). Numbers are glibc's."""
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2 ** 31 - 1)
    mallopt(top_pad, 200_000_000)


def main():
    options = arguments()
    keep_freed_memory()
    torch.set_num_threads(min(2, len(os.sched_getaffinity(0))))
    options.work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: exit(143))
    training = Training(options)
    training.run()
    minutes = training.cpu_seconds() / 60
    print(f"trained in {minutes:.1f} minutes of processor time", flush=True)
    exact, small = options.work / "guide-f16.gguf", options.out / "guide.gguf"
    export.write_gguf(exact, training.network, training.tokenizer)
    subprocess.run([options.binary, "quantize", exact, small, export.TYPE, "--pure"], check=True,
                   capture_output=True)
    print(f"{small}: {small.stat().st_size} bytes")
    if not options.no_score:
        import score  # needs the finished file alone; scoring again takes no training
        score.write_card(options.binary, small, training.writer, options.seed, minutes,
                         training.step, options.out / "MODEL_CARD.md")


if __name__ == "__main__":
    main()
