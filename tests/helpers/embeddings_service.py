"""A real HTTP server on loopback with OpenAI's embeddings interface."""

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def vector_of(text):
    return [len(text.encode()), text.count("a"), 1.0, 0.5]


class Service:
    """Server that answers as the embeddings endpoint does; `script` holds answers to give first.

    An answer is a status, headers and a body, or a function that writes to the connection.
    """

    def __init__(self):
        self.requests = []
        self.script = []
        self.released = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.requests.append((self.path, self.headers, body))
                status, headers, answer = 200, {}, None
                if service.script:
                    given = service.script.pop(0)
                    if callable(given):
                        with suppress(OSError):  # the client has closed the connection
                            given(self, body)
                        return
                    status, headers, answer = given
                if status == "hang":
                    service.released.wait(30)
                    return
                if answer is None:
                    answer = service.answer(body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def inputs(self):
        return [body["input"] for _, _, body in self.requests]

    @staticmethod
    def answer(body):
        data = [
            {"object": "embedding", "index": index, "embedding": vector_of(text)}
            for index, text in enumerate(body["input"])
        ]
        tokens = sum(len(text.split()) for text in body["input"])
        return {
            "object": "list",
            "data": data[::-1],  # the index counts, not the order
            "model": body["model"],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
