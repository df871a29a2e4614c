"""The user's own service."""

import http.server
import queue
import threading


class Service:
    """A service on this machine: what it was sent, and what it answers."""

    def __init__(self, host="127.0.0.1"):
        self.posted = queue.Queue()
        self.status = 200
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                service.posted.put((self.request_version, dict(self.headers), body))
                self.send_response(service.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok" if service.status == 200 else b"no")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self.server.server_port}/hook?token=t"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
