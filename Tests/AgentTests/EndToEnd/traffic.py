# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire in the end-to-end tests. Each ends with its standard input and says what it saw.

  traffic.py loop KEPT NAME=ADDRESS:PORT...
      connects to each in turn, and echoes over one kept connection to port KEPT all the while;
      {"NAME": {"ok": n, "EPERM": n, ...}, "kept": {...}}
  traffic.py pairs PORT PORT
      connects to both back to back; [[began, ended, first, second], ...]
  traffic.py transfer PORT COUNT BYTES
      so many connections, each echoing so many bytes; "ok"
  traffic.py http PORT
      a line `METHOD PATH`, an answer: the status and whether the connection was kept, or an errno's name;
      `new` takes another connection
  traffic.py api PORT
      an HTTP server that answers every path with 200
  traffic.py measure COMMAND...
      runs it; {"seconds": s, "status": n, "kilobytes": n, "stdout": "", "stderr": ""}
"""
import errno
import http.client
import http.server
import json
import resource
import select
import socket
import subprocess
import sys
import time


def outcome(error):
    return "TIMEOUT" if isinstance(error, socket.timeout) else errno.errorcode.get(error.errno, str(error))


def attempt(address, port, text=b""):
    """A connection of its own: ok, or the errno's name; `text` must come back."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(2)
        try:
            sock.connect((address, port))
            if text:
                sock.sendall(text)
                if sock.recv(64) != text:
                    return "no echo"
            return "ok"
        except OSError as error:
            return outcome(error)


def is_over():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def count(counts, word):
    counts[word] = counts.get(word, 0) + 1


def loop(kept_port, targets):
    names = [(name, *place.rsplit(":", 1)) for name, place in (target.split("=") for target in targets)]
    seen = {name: {} for name, _, _ in names}
    seen["kept"] = {}
    kept = socket.create_connection(("127.0.0.1", kept_port), 2)
    print("ready", flush=True)
    while not is_over() or seen["kept"].get("ok", 0) < 1000 and len(seen["kept"]) == 1:
        for name, address, port in names:
            count(seen[name], attempt(address, int(port), b"x"))
        try:
            kept.sendall(b"still here")
            count(seen["kept"], "ok" if kept.recv(64) == b"still here" else "no echo")
        except OSError as error:
            count(seen["kept"], outcome(error))
        time.sleep(0.002)
    print(json.dumps(seen))


def pairs(first, second):
    seen = []
    print("ready", flush=True)
    while not is_over():
        began = time.monotonic_ns()
        seen.append([began, attempt("127.0.0.1", first), attempt("127.0.0.1", second)])
        seen[-1].insert(1, time.monotonic_ns())
        time.sleep(0.003)
    print(json.dumps(seen))


def transfer(port, connections, size):
    for _ in range(connections):
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(b"x" * size)
            left = size
            while left:
                got = len(sock.recv(65536))
                if not got:
                    raise EOFError
                left -= got
    print("ok", flush=True)


def talk(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "new\n":
            connection.close()
            print("ok", flush=True)
            continue
        method, path = line.split()
        try:
            was_open = connection.sock is not None
            connection.request(method, path, headers={"Host": "api.shop"})
            answer = connection.getresponse()
            answer.read()
            print(answer.status, "kept" if was_open else "new", flush=True)
        except OSError as error:
            connection.close()
            is_closed = isinstance(error, http.client.RemoteDisconnected)
            print("closed" if is_closed else outcome(error), flush=True)


class API(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    do_POST = do_GET

    def log_message(self, *_):
        pass


def api(port):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), API)
    print("ready", flush=True)
    server.serve_forever()


def measure(command):
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    answer = {"seconds": seconds, "status": done.returncode, "kilobytes": used}
    print(json.dumps(answer | {"stdout": done.stdout, "stderr": done.stderr}))


words = sys.argv[2:]
if sys.argv[1] == "loop":
    loop(int(words[0]), words[1:])
elif sys.argv[1] == "pairs":
    pairs(int(words[0]), int(words[1]))
elif sys.argv[1] == "transfer":
    transfer(*map(int, words))
elif sys.argv[1] == "http":
    talk(int(words[0]))
elif sys.argv[1] == "api":
    api(int(words[0]))
else:
    measure(words)
