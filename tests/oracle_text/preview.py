#!/usr/bin/env python3
"""`launch data preview --json` shows what the official tokenizer and template make of rows of every shape."""
import conversations
import material

import json
import os
import random
import subprocess
import sys

SYSTEM = "You answer in one word."


def preview(folder, rows, *flags):
    path = os.path.join(folder, "rows.jsonl")
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    binary = os.path.join(os.environ["MAYFLY_BIN"], "launch")
    done = subprocess.run([binary, "data", "preview", "--model", folder, "--data", path, "--rows", "all", "--json",
                           "--state-file", os.path.join(folder, "state.json"), *flags],
                          stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def texts(count):
    strings = material.hard_strings(["<|im_start|>", "<|im_end|>", "<|endoftext|>"], 3000, 7)
    short = [text for text in strings if 0 < len(text) < 1000]
    return random.Random(7).sample(short, count)


def compare(name, ours, theirs):
    assert len(ours) == len(theirs)
    wrong = [i for i, (mine, (ids, mask)) in enumerate(zip(ours, theirs)) if mine["ids"] != ids or mine["mask"] != mask]
    print(f"{name}: {len(ours)} rows, {len(wrong)} differ")
    if wrong:
        print("  ", ours[wrong[0]], theirs[wrong[0]])
    return len(wrong)


def plain(tokenizer, count):
    rows = texts(count)
    ids = [tokenizer(text)["input_ids"] for text in rows]
    return [{"text": text} for text in rows], [(i, [1] * len(i)) for i in ids]


def prompted(tokenizer, count):
    """As TRL: the completion starts where the tokens of prompt and of both diverge; the end is added. Where the
    prompt's tokens are not the first of both, ours are those with a character of the completion: such rows are left out
    here."""
    words = texts(2 * count)
    rows, theirs = [], []
    for prompt, completion in zip(words[::2], words[1::2]):
        before = tokenizer(prompt)["input_ids"]
        both = tokenizer(prompt + completion)["input_ids"]
        if both[-1] != tokenizer.eos_token_id:
            both = both + [tokenizer.eos_token_id]
        if both[:len(before)] != before:
            continue
        same = len(before)
        rows.append({"prompt": prompt, "completion": completion})
        theirs.append((both, [int(i >= same) for i in range(len(both))]))
    return rows, theirs


def chats(tokenizer):
    turns = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]
    rows = [{"messages": turns},
            {"conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},
            {"instruction": "2+2?", "input": "", "output": "4"},
            {"prompt": turns[:1], "completion": turns[1:]}]
    ids = tokenizer.apply_chat_template([{"role": "system", "content": SYSTEM}] + turns)
    ids = ids["input_ids"] if not isinstance(ids, list) else ids
    return rows, ids


def renamed(tokenizer, count):
    """Chats of which nothing is called as we call it. Theirs: the same chats under the official names, with a template
    that marks the answers."""
    said = texts(2 * count)
    names = {"system": "scene", "user": "customer", "assistant": "bot"}
    marked = conversations.MARKED_SMOLLM2
    rows, theirs = [], []
    for number, (question, answer) in enumerate(zip(said[::2], said[1::2])):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}] * (1 + number % 3)
        if number % 2:
            turns.insert(0, {"role": "system", "content": SYSTEM})
        rows.append({"messages": "a decoy", "id": number,
                     "dialogue": [{"by": names[turn["role"]], "said": turn["content"]} for turn in turns]})
        made = tokenizer.apply_chat_template(turns, chat_template=marked, return_dict=True,
                                             return_assistant_tokens_mask=True)
        theirs.append((made["input_ids"], made["assistant_masks"]))
    return rows, theirs


def completed(tokenizer, count):
    """Prompts with completions as TRL's completion_only_loss trains them: all tokens after those that the rendered
    prompt and the rendered whole have in common, whoever says them."""
    said = texts(4 * count)
    rows, theirs = [], []
    for number in range(count):
        first, second, third, fourth = said[4 * number:4 * number + 4]
        turns = [{"role": "user", "content": first}, {"role": "assistant", "content": second},
                 {"role": "user", "content": third}, {"role": "assistant", "content": fourth}]
        size = 1 if number % 3 == 0 else 3
        if number % 2:
            turns.insert(0, {"role": "system", "content": SYSTEM})
            size += 1
        before = tokenizer.apply_chat_template(turns[:size], add_generation_prompt=True, return_dict=True)["input_ids"]
        both = tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
        same = next((i for i, (a, b) in enumerate(zip(before, both)) if a != b), min(len(before), len(both)))
        if same < len(before):
            continue  # as in prompted()
        rows.append({"prompt": turns[:size], "completion": turns[size:]})
        theirs.append((both, [int(i >= same) for i in range(len(both))]))
    return rows, theirs


# Says who speaks in words, counts, and strips: nothing of it is ChatML's.
OTHER_TEMPLATE = """{%- for message in messages %}
{{- loop.index }}. {{ message['role'] | capitalize }} says:
{% if loop.first %}({{ messages | length }} in all) {% endif %}
{{- message['content'] | trim + eos_token }}
{% endfor %}
{%- if add_generation_prompt %}
{{- messages | length + 1 }}. Assistant says:
{% endif %}
"""


def templated(tokenizer, count):
    """The same chats by ChatML, put together by hand, and by a template from a file; only the ids are compared. The
    template engine's `trim` takes white space of ASCII only (docs/data.md), so texts that end in other are left out."""
    said = [text for text in texts(4 * count) if text.strip() == text.strip(" \t\n\r\v\f")][:2 * count]
    rows, chatml, other = [], [], []
    for question, answer in zip(said[::2], said[1::2]):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append({"messages": turns})
        text = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
        chatml.append(tokenizer(text, add_special_tokens=False)["input_ids"])
        other.append(tokenizer.apply_chat_template(turns, chat_template=OTHER_TEMPLATE, return_dict=True)["input_ids"])
    return rows, chatml, other


def own_masks(ours, theirs):
    return [(ids, mine["mask"]) for mine, ids in zip(ours, theirs)]


RENAMED = ["--set", "data.fields={messages: dialogue, role: by, content: said}",
           "--set", "data.roles={scene: system, customer: user, bot: assistant}"]


def with_tokens_around(folder):
    """A tokenizer that puts a token before a text and one after it."""
    from tokenizers import Tokenizer, processors
    path = os.path.join(folder, "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A <|im_end|>",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("<|im_start|>", "<|im_end|>")])
    tokenizer.save(path)


def main():
    from transformers import PreTrainedTokenizerFast
    smollm2 = material.need_smollm2()
    wrong = 0
    with material.scratch() as folder:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            with open(os.path.join(smollm2, name), "rb") as source, open(os.path.join(folder, name), "wb") as target:
                target.write(source.read())
        with open(os.path.join(folder, "tokenizer_config.json")) as f:
            config = json.load(f)
        for kind in ("as it is", "with tokens around a text"):
            tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "tokenizer.json"),
                                                chat_template=config["chat_template"], eos_token=config["eos_token"])
            rows, theirs = plain(tokenizer, 500)
            wrong += compare("plain texts, tokenizer " + kind, preview(folder, rows), theirs)
            if kind == "as it is":
                rows, theirs = prompted(tokenizer, 250)
                wrong += compare("prompts and completions", preview(folder, rows), theirs)
                rows, theirs = renamed(tokenizer, 100)
                wrong += compare("chats with other names", preview(folder, rows, *RENAMED), theirs)
                rows, theirs = completed(tokenizer, 120)
                ours = preview(folder, rows, "--set", "data.train_on=completion")
                wrong += compare("prompts and completions of messages", ours, theirs)
                rows, chatml, other = templated(tokenizer, 100)
                ours = preview(folder, rows, "--set", "data.chat_template=chatml")
                wrong += compare("chats by ChatML", ours, own_masks(ours, chatml))
                path = os.path.join(folder, "other.jinja")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(OTHER_TEMPLATE)
                ours = preview(folder, rows, "--set", f"data.chat_template={path}")
                wrong += compare("chats by a template from a file", ours, own_masks(ours, other))
                rows, ids = chats(tokenizer)
                ours = preview(folder, rows, "--set", f"data.system_prompt={SYSTEM}")
                wrong += compare("four shapes of one chat", ours, [(ids, ours[0]["mask"])] * len(rows))
            with_tokens_around(folder)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
