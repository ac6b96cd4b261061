"""Ends every machine of one drill after a while, whatever became of the drill: own code, own view of
the vendor's API, nothing of mayfly's. Started first, ended last.

    reaper.py PROVIDER RUN_ID AFTER_SECONDS

The key comes from the environment, as for the drill. Goes on until listings have shown nothing of the
run for twenty minutes: a drill that still tries must not outlive it.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request

PLACES = {
    "shadeform": ("SHADEFORM", "https://api.shadeform.ai/v1"),
    "lambda": ("LAMBDA", "https://cloud.lambda.ai/api/v1"),
    "lium": ("LIUM", "https://lium.io/api"),
}


def ask(provider, method, path, body=None):
    name, endpoint = PLACES[provider]
    key = os.environ[name + "_API_KEY"]
    headers = {"Authorization": "Bearer " + key} if provider == "lambda" else {"X-API-KEY": key}
    headers["User-Agent"] = "mayfly-drill-reaper"
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    url = os.environ.get(name + "_ENDPOINT", endpoint) + path
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text.strip() else None


def machines(provider, run):
    if provider == "shadeform":
        rows = ask(provider, "GET", "/instances")["instances"]
        return [r["id"] for r in rows
                if "mayfly-run=" + run in (r.get("tags") or []) and r["status"] not in ("deleting", "deleted")]
    if provider == "lambda":
        rows = ask(provider, "GET", "/instances")["data"]
        return [r["id"] for r in rows
                if (r.get("name") or "").startswith("mf-" + run + "-") and r["status"] not in ("terminating", "terminated")]
    rows = ask(provider, "GET", "/pods")
    return [r["id"] for r in rows
            if (r.get("pod_name") or "").startswith("mf-" + run + "-") and r["status"] not in ("DELETING", "DELETED")]


def end(provider, machine):
    if provider == "shadeform":
        ask(provider, "POST", "/instances/" + machine + "/delete")
    elif provider == "lambda":
        ask(provider, "POST", "/instance-operations/terminate", {"instance_ids": [machine]})
    else:
        ask(provider, "DELETE", "/pods/" + machine)


def main(provider, run, after):
    pause = float(os.environ.get("DRILL_REAPER_PAUSE", "15"))
    calm = float(os.environ.get("DRILL_REAPER_CALM", "1200"))
    time.sleep(float(after))
    empty_since = None
    while empty_since is None or time.monotonic() - empty_since < calm:
        try:
            left = machines(provider, run)
            if left:
                empty_since = None
            elif empty_since is None:
                empty_since = time.monotonic()
            for machine in left:
                print("reaper: ends", machine, flush=True)
                end(provider, machine)
        except (OSError, KeyError, ValueError) as error:
            empty_since = None
            print("reaper:", type(error).__name__, flush=True)
        time.sleep(pause)
    print("reaper: nothing is left of", run, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4])
