# SPDX-License-Identifier: Apache-2.0
"""One end of the tests' connections: a server, a proxy, or a client that obeys lines on its standard input.

  peer.py serve tcp|udp ADDRESS PORT   answers what it gets; prints `ready`, and `from ADDRESS PORT` for each caller
  peer.py proxy ADDRESS PORT           accepts, asks who calls and whereto, dials there in the caller's name and relays
                                       one message; prints `ready`, then `PEER-ADDRESS ORIGINAL-ADDRESS PORT RESULT`
  peer.py client                       per line: connect A P | send T | recv | close | pump | datagram A P T | udp A P
                                       answers a line: ok, the text, an errno's name, TIMEOUT or EOF; pump sends and
                                       receives without a pause until that ends, and says at once that it began
"""
import errno
import os
import socket
import struct
import sys
import threading

# No answer within it is none. A machine that is emulated needs more (Lab.swift).
PATIENCE = min(5.0, float(os.environ.get("WEIR_TEST_SLOWNESS", "1")))


def say(*words):
    print(*words, flush=True)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def name(error):
    if isinstance(error, socket.timeout):
        return "TIMEOUT"
    return errno.errorcode.get(error.errno, str(error))


def echo(connection):
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass


def serve(kind, address, port):
    sock = socket.socket(family(address), socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    if kind == "udp":
        say("ready")
        while True:
            data, caller = sock.recvfrom(65536)
            say("from", caller[0], caller[1])
            try:
                sock.sendto(data, caller)
            except OSError as error:
                say("answer", name(error))
    sock.listen(64)
    say("ready")
    while True:
        connection, caller = sock.accept()
        say("from", caller[0], caller[1])
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def original_destination(connection, v6):
    level, size = (socket.IPPROTO_IPV6, 28) if v6 else (socket.IPPROTO_IP, 16)
    raw = connection.getsockopt(level, 80, size)
    port = struct.unpack("!H", raw[2:4])[0]
    return socket.inet_ntop(socket.AF_INET6, raw[8:24]) if v6 else socket.inet_ntop(socket.AF_INET, raw[4:8]), port


def proxy(address, port):
    v6 = ":" in address
    sock = socket.socket(family(address), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(64)
    say("ready")
    while True:
        connection, caller = sock.accept()
        try:
            target, target_port = original_destination(connection, v6)
        except OSError as error:
            say(caller[0], "-", 0, name(error))
            connection.close()
            continue
        upstream = socket.socket(family(target), socket.SOCK_STREAM)
        upstream.settimeout(PATIENCE)
        try:
            # IP_TRANSPARENT 19, IPV6_TRANSPARENT 75: what a proxy does to speak in its caller's name
            upstream.setsockopt(*((socket.IPPROTO_IPV6, 75, 1) if v6 else (socket.IPPROTO_IP, 19, 1)))
            upstream.bind((caller[0], 0))
            upstream.connect((target, target_port))
            say(caller[0], target, target_port, "ok")
            upstream.sendall(connection.recv(65536))
            connection.sendall(upstream.recv(65536))
        except OSError as error:
            say(caller[0], target, target_port, name(error))
        upstream.close()
        connection.close()


def obey(words, state):
    if words[0] == "connect":
        sock = socket.socket(family(words[1]), socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        state["sock"] = sock
        sock.connect((words[1], int(words[2])))
        return "ok"
    if words[0] == "send":
        state["sock"].sendall(words[1].encode())
        return state["sock"].recv(65536).decode() or "EOF"
    if words[0] == "recv":
        return state["sock"].recv(65536).decode() or "EOF"
    if words[0] == "pump":
        say("pumping")
        while state["sock"].send(b"x") and state["sock"].recv(1):
            pass
        return "EOF"
    if words[0] == "close":
        state.pop("sock").close()
        return "ok"
    if words[0] == "udp":
        sock = socket.socket(family(words[1]), socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE)
        state["sock"] = sock
        sock.connect((words[1], int(words[2])))
        return "ok"
    if words[0] == "datagram":
        sock = socket.socket(family(words[1]), socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE)
        with sock:
            sock.sendto(words[3].encode(), (words[1], int(words[2])))
            return sock.recv(65536).decode()
    return "what?"


def client():
    state = {}
    say("ready")
    for line in sys.stdin:
        try:
            say(obey(line.split(), state))
        except OSError as error:
            say(name(error))


if sys.argv[1] == "serve":
    serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
elif sys.argv[1] == "proxy":
    proxy(sys.argv[2], int(sys.argv[3]))
else:
    client()
