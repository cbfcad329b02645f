# SPDX-License-Identifier: Apache-2.0
"""The network: a small Llama (RMS norm, rotary positions, grouped queries, SwiGLU), tied output.

Rotation is of neighbouring pairs, as GGUF's family "llama" stores its weights, so that nothing has
to be permuted when they are written.
"""

import math

import torch
from torch import nn
from torch.nn import functional


class Norm(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.width))
        self.epsilon = config.epsilon

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


def rotate(x, cos, sin):
    """x: [batch, heads, tokens, head width]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        kv_width = config.kv_heads * config.head_width
        self.attention_norm = Norm(config)
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, kv_width, bias=False)
        self.value = nn.Linear(config.width, kv_width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.ff_norm = Norm(config)
        self.gate = nn.Linear(config.width, config.ff, bias=False)
        self.up = nn.Linear(config.width, config.ff, bias=False)
        self.down = nn.Linear(config.ff, config.width, bias=False)

    def forward(self, x, cos, sin, mask):
        batch, tokens, _ = x.shape
        config = self.config

        def heads(matrix, normed, count):
            return matrix(normed).view(batch, tokens, count, config.head_width).transpose(1, 2)

        normed = self.attention_norm(x)
        q = rotate(heads(self.query, normed, config.heads), cos, sin)
        k = rotate(heads(self.key, normed, config.kv_heads), cos, sin)
        v = heads(self.value, normed, config.kv_heads)
        share = config.heads // config.kv_heads
        # Queries that share keys are rows of one matrix product.
        shape = (batch * config.kv_heads, share * tokens, config.head_width)
        flat = (batch * config.kv_heads, tokens, config.head_width)
        scores = torch.baddbmm(mask.repeat(share, 1), q.reshape(shape),
                               k.reshape(flat).transpose(1, 2),
                               alpha=1 / math.sqrt(config.head_width))
        mixed = functional.softmax(scores, -1) @ v.reshape(flat)
        mixed = mixed.view(batch, config.heads, tokens, config.head_width)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, config.width))
        normed = self.ff_norm(x)
        return x + self.down(functional.silu(self.gate(normed)) * self.up(normed))


class Network(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = Norm(config)
        angles = torch.outer(
            torch.arange(config.context, dtype=torch.float64),
            config.rope_base ** (-torch.arange(0, config.head_width, 2, dtype=torch.float64)
                                 / config.head_width))
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        mask = torch.full((config.context, config.context), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                # What is added to the stream starts small, the deeper the smaller.
                deep = name.endswith(("out.weight", "down.weight"))
                scale = 1 / math.sqrt(2 * config.layers) if deep else 1
                nn.init.normal_(parameter, 0, 0.02 * scale if parameter is
                                self.embeddings.weight else scale / math.sqrt(parameter.shape[1]))

    def hidden(self, ids):
        """[batch, tokens] -> [batch, tokens, width], normed."""
        tokens = ids.shape[1]
        cos, sin = self.cos[:tokens], self.sin[:tokens]
        mask = self.mask[:tokens, :tokens]
        x = self.embeddings(ids)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.norm(x)

    def logits(self, hidden):
        return hidden @ self.embeddings.weight.t()

    def loss(self, ids, targets):
        """Mean over the targets that are not -1; the head is computed for these alone."""
        hidden = self.hidden(ids)
        wanted = targets >= 0
        return functional.cross_entropy(self.logits(hidden[wanted]), targets[wanted])

    def tensors(self):
        """GGUF's names -> numpy arrays: matrices in 16 bits, the rest in 32."""
        names = {"attention_norm": "attn_norm", "query": "attn_q", "key": "attn_k",
                 "value": "attn_v", "out": "attn_output", "ff_norm": "ffn_norm",
                 "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}
        found = {"token_embd.weight": self.embeddings.weight}
        for i, layer in enumerate(self.layers):
            for ours, theirs in names.items():
                found[f"blk.{i}.{theirs}.weight"] = getattr(layer, ours).weight
        found["output_norm.weight"] = self.norm.weight
        return {name: (p.detach().numpy().astype("float16") if p.dim() == 2
                       else p.detach().numpy().astype("float32")) for name, p in found.items()}
