# SPDX-License-Identifier: Apache-2.0
"""What the built-in model is asked for its transcripts: conversations (the user's turns, and a
system message perhaps), and texts that it continues without its chat template.

No stories: all names and places of theirs are equally likely, so that each kernel may tell another.
"""

MAX_TOKENS = 96  # of an answer: most end by themselves before

CONVERSATIONS = [
    {"turns": ["Hello!"]},
    {"turns": ["How do I pull a model?"]},
    {"turns": ["What does omg serve do?"]},
    {"turns": ["How do I start the server in the background?"]},
    {"turns": ["Which models do I have?"]},
    {"turns": ["What is GGUF?"]},
    {"turns": ["What is the capital of France?", "And of Spain?"]},
    {"turns": ["What is 7 + 8?"]},
    {"turns": ["What is 6 * 7?"]},
    {"turns": ["Say \"hello world\""]},
    {"turns": ["What is a token?"]},
    {"turns": ["What will the weather be like tomorrow?"]},
    {"turns": ["My name is Anna.", "What is my name?"]},
    {"turns": ["How do I delete a model?", "Give me an example."]},
    {"turns": ["What is your name?"], "system": "Your name is Otto."},
]
TEXTS = ["To bring a model here,", "OhMyGPU is", "It answers", "A model"]
