"""Shows what the hub has of a finished run, and how Python loads it.

    python3 show_hub.py STATUS.json MODEL-FOLDER        STATUS.json: of `status RUN --json`
"""
import json
import sys
import urllib.request


def ask(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return json.load(answer)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        hub = json.load(file)["runs"][0]["hub"]
    endpoint, repo = hub["endpoint"], hub["repo"]
    branches = [branch["name"] for branch in ask(f"{endpoint}/api/models/{repo}/refs")["branches"]]
    print(f"{repo} at {endpoint}")
    for branch in sorted(branches):
        tree = ask(f"{endpoint}/api/models/{repo}/tree/{branch}")
        files = [f"{entry['path']} ({entry['size']:,})" for entry in tree if entry["type"] == "file"]
        print(f"  {branch:<20} {len(files)} files, with " +
              ", ".join(f for f in files if f.startswith("adapter_model")))
    epochs = [int(b.rpartition("-")[2]) for b in branches if b.startswith("checkpoint-epoch-")]
    best = f"checkpoint-epoch-{max(epochs)}" if epochs else "main"
    print(f"""
== Load it in Python, with HF_ENDPOINT={endpoint}
base = AutoModelForCausalLM.from_pretrained("{sys.argv[2]}")
model = PeftModel.from_pretrained(base, "{repo}", revision="{best}")""")


if __name__ == "__main__":
    main()
