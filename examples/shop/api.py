#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shop's API: HTTP/1.1 with keep-alive in front of Redis. api.py PORT REDIS-PORT

GET  /stock/ITEM   how many there are        POST /stock/ITEM   one more
GET  /public/ITEM  whether there is any
"""
import http.server, json, socket, sys, threading

PORT, REDIS_PORT = int(sys.argv[1]), int(sys.argv[2])
local = threading.local()  # one Redis connection for each client connection


def redis(*words):
    """One command whose answer is an integer or a string of digits; an absent key counts as 0."""
    command = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    for kept in (hasattr(local, "file"), False):
        try:
            if not kept:
                local.file = socket.create_connection(("127.0.0.1", REDIS_PORT), 2).makefile("rwb")
            local.file.write(command.encode())
            local.file.flush()
            answer = local.file.readline()
            if answer.startswith(b"$") and answer != b"$-1\r\n":
                answer = b":" + local.file.readline()
            if not answer.startswith((b":", b"$")):
                raise OSError(f"Redis answered {answer!r}")
            return max(0, int(answer[1:]))
        except OSError:
            if not kept:  # a kept connection may have ended since; a new one that fails is the answer
                raise


class API(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value):
        body = (json.dumps(value) + "\n").encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def handle_request(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place, _, item = self.path.strip("/").partition("/")
        try:
            if place == "public" and self.command == "GET":
                self.answer(200, {"item": item, "available": redis("GET", item) > 0})
            elif place in ("stock", "public"):
                count = redis("INCR", item) if self.command == "POST" else redis("GET", item)
                self.answer(200, {"item": item, "stock": count})
            else:
                self.answer(404, {"error": "no such place"})
        except OSError as error:
            self.answer(503, {"error": f"the database: {error.strerror or error}"})

    do_GET = do_POST = handle_request

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), API).serve_forever()
