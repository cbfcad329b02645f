# SPDX-License-Identifier: Apache-2.0
"""The sizes of the network, for those who need no PyTorch too."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Config:
    vocabulary: int = 1536
    width: int = 256  # a multiple of 256, so that each kind of quantisation fits
    layers: int = 4
    heads: int = 8
    kv_heads: int = 2
    ff: int = 512
    context: int = 1024
    rope_base: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head_width(self):
        return self.width // self.heads

    def weights(self):
        kv_width = self.kv_heads * self.head_width
        attention = 2 * self.width * self.width + 2 * self.width * kv_width
        layer = attention + 3 * self.width * self.ff + 2 * self.width
        return self.vocabulary * self.width + self.layers * layer + self.width

    def million_weights(self):
        return f"{self.weights() / 1e6:.1f}"
