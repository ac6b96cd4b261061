#!/usr/bin/env python3
"""Makes tests/data/tiny/tokenizer.json: a byte-level BPE of the same kind as SmolLM2's, with 400 tokens.

    python make_tiny_tokenizer.py CONVERSATIONS.jsonl OUT_DIR

Trained with `tokenizers` (0.23) on the first 200 lines of GSM8K's test set (MIT); special tokens, pre-tokenizer and
decoder are those of SmolLM2's tokenizer.json.
"""
import json
import pathlib
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

source, out = map(pathlib.Path, sys.argv[1:])
texts = [m["content"] for line in source.read_text().splitlines()[:200] for m in json.loads(line)["messages"]]
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
    vocab_size=400, show_progress=False, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
out.mkdir(parents=True, exist_ok=True)
tokenizer.save(str(out / "tokenizer.json"), pretty=False)
