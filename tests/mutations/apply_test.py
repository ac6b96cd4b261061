#!/usr/bin/env python3
"""Every mutation still applies to the tree, and the tests that must catch it still exist: apply_test.py SOURCE_FOLDER

./dev mutate takes an hour and runs seldom; without this a patch whose lines were edited is noticed then only.
"""
import glob
import os
import re
import subprocess
import sys


def test_names(root):
    """Of all GoogleTest tests, Suite.Name, and of all that CMake names."""
    names = set()
    for path in glob.glob(os.path.join(root, "tests/**/*_test.cpp"), recursive=True):
        text = open(path, encoding="utf-8").read()
        names |= {f"{suite}.{name}" for suite, name in re.findall(r"^\s*TEST(?:_[FP])?\((\w+),\s*(\w+)\)", text, re.M)}
    for path in glob.glob(os.path.join(root, "tests/**/tests.cmake"), recursive=True):
        text = open(path, encoding="utf-8").read()
        names |= set(re.findall(r"add_test\(NAME (\S+)", text))
        names |= {"oracle." + name for name in re.findall(r"mayfly_oracle\((\w+)", text)}
    return names


def problem(root, patch, names):
    """What is wrong with a mutation, in words; none: empty."""
    # As if the tree were no repository and in none: also a copy inside another tree is looked at by itself.
    environment = dict(os.environ, GIT_CEILING_DIRECTORIES=os.path.dirname(root))
    applied = subprocess.run(["git", "apply", "--check", patch], cwd=root, env=environment, capture_output=True, text=True)
    if applied.returncode != 0:
        return "does not apply: " + " ".join(applied.stderr.split())
    head = open(patch, encoding="utf-8").readline()
    if not head.startswith("# caught by: "):
        return "its first line does not name the tests that catch it"
    wanted = head.removeprefix("# caught by: ").strip()
    for one in filter(None, re.split(r"[|()^]+", wanted)):
        if not any(re.search(one, name) for name in names):
            return f"no test is named like {one}"
    return ""


def main():
    root = os.path.realpath(sys.argv[1])
    patches = sorted(glob.glob(os.path.join(root, "tests/mutations/*.patch")))
    names = test_names(root)
    problems = [(os.path.basename(patch), problem(root, patch, names)) for patch in patches]
    problems = [(patch, what) for patch, what in problems if what]
    for patch, what in problems:
        print(f"{patch}: {what}")
    print(f"{len(patches)} mutations, {len(problems)} of them to mend")
    return 1 if problems or not patches else 0


if __name__ == "__main__":
    sys.exit(main())
