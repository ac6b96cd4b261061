"""The world around one machine: a provider that bills it and destroys it when asked, and a server of
programs. Both note every request with its time. They listen on the machine's own loopback."""
import hashlib
import http.server
import json
import pathlib
import threading
import time


class Server:
    def __init__(self, listening, answer):
        outer = self
        self.requests = []  # (seconds since the machine was switched on, method, path, headers)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                outer.requests.append((time.monotonic(), self.command, self.path,
                                       dict(self.headers), body))
                answer(self, body)

            do_GET = do_POST = do_DELETE = do_PUT = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler,
                                                      bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = listening
        self.port = listening.getsockname()[1]
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def reply(handler, status, body=b""):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body)


class Provider:
    """Bills from the moment the machine is switched on until it is destroyed. It destroys at the
    first request with the right key; `deaf` makes it answer 500 so many times before."""

    KEY = "canary-provider-key-5f1e"

    def __init__(self, container, listening, instance_json, deaf=0):
        self.container = container
        self.instance_json = instance_json
        self.deaf = deaf
        self.asked = []  # seconds since the machine was switched on, and by whom
        self.lock = threading.Lock()
        self.server = Server(listening, self.answer)
        self.over = False
        threading.Thread(target=self.watch_agent, daemon=True).start()

    def answer(self, handler, body):
        if handler.headers.get("Authorization") != f"Bearer {self.KEY}":
            return reply(handler, 401)
        with self.lock:
            self.asked.append((self.container.age(), "request"))
            if len(self.asked) <= self.deaf:
                return reply(handler, 500)
        reply(handler, 200)
        self.container.destroy()

    def watch_agent(self):
        """The agent's own way is the local provider: its record says what was asked."""
        while not self.over:
            try:
                state = json.loads(pathlib.Path(self.instance_json()).read_text())
                if state["state"] in ("terminating", "gone"):
                    self.asked.append((self.container.age(), "agent"))
                    self.container.destroy()
                    return
            except (OSError, ValueError, KeyError):
                pass
            time.sleep(0.05)

    def close(self):
        self.over = True
        self.server.close()


class Programs:
    """Serves /agent and /train. `fault`: None, 404, "slow" (one byte a second)."""

    def __init__(self, listening, files, fault=None, at_first=lambda: None):
        self.files = files
        self.fault = fault
        self.at_first = at_first
        self.first = None
        self.server = Server(listening, self.answer)

    def answer(self, handler, _):
        if self.first is None:
            self.first = self.at_first()
        path = self.files.get(handler.path.lstrip("/"))
        if path is None or self.fault == 404:
            return reply(handler, 404)
        data = pathlib.Path(path).read_bytes()
        if self.fault == "slow":
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            try:
                for byte in data:
                    handler.wfile.write(bytes([byte]))
                    time.sleep(1)
            except OSError:
                return None
        return reply(handler, 200, data)

    def close(self):
        self.server.close()


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
