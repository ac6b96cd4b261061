#!/usr/bin/env python3
"""Ids, loss mask and text of every conversation of GSM8K and OASST equal transformers'.

The reference mask needs {% generation %} markers in the template, which the model's own has not: it is made with the
same template with markers put in.  Ours is found without them, from the model's own template.
"""
import material

import json
import os
import sys

MARKED_SMOLLM2 = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '<|im_start|>assistant\n' }}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Qwen3's own, with all that the model writes in one marked block: the thoughts, if empty, too.
BRANCH = "        {%- if loop.index0 > ns.last_query_index %}"
HEADER = "{{- '<|im_start|>' + message.role + '\\n"
END = "        {{- '<|im_end|>\\n' }}\n    {%- elif message.role == \"tool\" %}"


def marked_qwen3(template):
    assert template.count(BRANCH) == 1 and template.count(END) == 1
    before, after = template.split(BRANCH)
    answer, rest = after.split(END)
    assert answer.count(HEADER) == 3
    return (before + "        " + HEADER + "' }}{%- generation %}\n" + BRANCH + answer.replace(HEADER, "{{- '") +
            "        {{- '<|im_end|>' }}{%- endgeneration %}{{- '\\n' }}\n    {%- elif message.role == \"tool\" %}" + rest)


def compare(name, folder, marked_template, files):
    from transformers import PreTrainedTokenizerFast
    with open(os.path.join(folder, "tokenizer_config.json")) as f:
        template = json.load(f)["chat_template"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "tokenizer.json"), chat_template=template)
    marked = marked_template(template)
    differences = 0
    for path in files:
        ours = material.probe("chat", folder, path)
        with open(path, encoding="utf-8") as f:
            conversations = [json.loads(line)["messages"] for line in f]
        assert len(ours) == len(conversations)
        found = {"text": 0, "ids": 0, "mask": 0}
        for messages, mine in zip(conversations, ours):
            theirs = tokenizer.apply_chat_template(messages, chat_template=marked, return_dict=True,
                                                   return_assistant_tokens_mask=True)
            assert any(theirs["assistant_masks"])
            found["text"] += mine["text"] != tokenizer.apply_chat_template(messages, tokenize=False)
            found["ids"] += mine["ids"] != theirs["input_ids"]
            if mine["mask"] != theirs["assistant_masks"]:
                found["mask"] += 1
                if found["mask"] == 1:
                    show(tokenizer, theirs, mine)
        print(f"{name}, {os.path.basename(path)}: {len(ours)} conversations, differences {found}")
        differences += sum(found.values())
    return differences


def show(tokenizer, theirs, mine):
    for i, (a, b) in enumerate(zip(theirs["assistant_masks"], mine["mask"])):
        if a != b:
            around = tokenizer.decode(theirs["input_ids"][max(0, i - 8):i + 8])
            print(f"  token {i}: theirs {a}, ours {b}, in {around!r}")
            return


def main():
    smollm2 = material.need_smollm2()
    with material.scratch() as folder:
        files = [material.unpack("gsm8k/train.messages.jsonl.xz", folder, "gsm8k-train.jsonl"),
                 material.unpack("gsm8k/test.messages.jsonl.xz", folder, "gsm8k-test.jsonl"),
                 material.unpack("oasst/messages.jsonl.xz", folder, "oasst.jsonl")]
        differences = compare("smollm2", smollm2, lambda template: MARKED_SMOLLM2, files)
        differences += compare("qwen3", material.unpack_qwen3(folder), marked_qwen3, files[1:])
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
