# SPDX-License-Identifier: Apache-2.0
"""The trained network as a GGUF file of the family "llama"."""

import bpe
import corpus
import gguf

TYPE = "Q8_0"  # what it is quantised to: 2.6 million weights are 2.8 MB
_NORMAL, _CONTROL = 1, 3


def metadata(config, tokenizer):
    pieces = tokenizer.pieces
    kinds = [_CONTROL if piece in tokenizer.specials else _NORMAL for piece in pieces]
    return {
        "general.architecture": "llama",
        "general.name": "guide",
        "general.description": "A tiny chat model that explains OhMyGPU.",
        "general.license": "apache-2.0",
        "general.size_label": f"{config.width}x{config.layers}",
        "general.file_type": 1,
        "llama.vocab_size": config.vocabulary,
        "llama.context_length": config.context,
        "llama.embedding_length": config.width,
        "llama.block_count": config.layers,
        "llama.feed_forward_length": config.ff,
        "llama.attention.head_count": config.heads,
        "llama.attention.head_count_kv": config.kv_heads,
        "llama.attention.layer_norm_rms_epsilon": config.epsilon,
        "llama.rope.dimension_count": config.head_width,
        "llama.rope.freq_base": config.rope_base,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": bpe.PRE_TOKENIZER,
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": gguf.I32List(kinds),
        "tokenizer.ggml.merges": [" ".join(merge) for merge in tokenizer.merges],
        "tokenizer.ggml.bos_token_id": tokenizer.id(corpus.END_OF_TEXT),
        "tokenizer.ggml.eos_token_id": tokenizer.id(corpus.END),
        "tokenizer.ggml.eot_token_id": tokenizer.id(corpus.END),
        "tokenizer.ggml.padding_token_id": tokenizer.id(corpus.END_OF_TEXT),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": corpus.CHAT_TEMPLATE,
    }


def write_gguf(path, network, tokenizer):
    gguf.write(path, metadata(network.config, tokenizer), network.tensors())
