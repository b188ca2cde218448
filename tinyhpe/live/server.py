"""HTTP for the live page, on this machine alone: who may ask, how much, and how long.

A server on one's own machine can be reached by every page that its browser shows. Such a page has another Origin;
or, if its owner lets the name of his site point to 127.0.0.1 (DNS rebinding), another Host. Both are refused.
"""

import base64
import contextlib
import hashlib
import os
import re
import socket
import socketserver
import sys
import threading
import time
import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from tinyhpe.errors import InputError
from tinyhpe.live.answers import PAGE, Answers, Refused
from tinyhpe.terminal import visible

PORT, PORTS = 8469, 20  # TINY on a telephone's keys; where it is taken, the next ones are tried
MOST_BYTES = 4 * 10**6  # of a picture; the page sends 100 kB
MOST_CONNECTIONS, SECONDS = 24, 10  # that a connection has for a request, and its answer
ROUTES = {("GET", "/"): "page", ("GET", "/models"): "models", ("GET", "/head"): "head", ("POST", "/pose"): "pose"}


def hash_of(tag):
    """By which a browser knows the page's one script or style."""
    content = re.search(rb"<%b>(.*)</%b>" % (tag, tag), PAGE, re.DOTALL)[1]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


POLICY = (  # what the page may do: run what is in it, and ask this server alone
    f"default-src 'none'; script-src {hash_of(b'script')}; style-src {hash_of(b'style')}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def serve(port=None, own=None, browser=True):
    """Serve the live page until Ctrl-C.

    Args:
        port: where; None: PORT, or the next one that is free.
        own: see Answers.
        browser: whether to open the page, too.

    Raises:
        InputError: the port is taken, or own is no model.
    """
    with contextlib.suppress(KeyboardInterrupt), open_server(port, Answers(own)) as server:
        address = f"http://{server.hosts[0]}"
        if port is None and server.port != PORT:
            print(f"port {PORT} is taken, perhaps by another `tinyhpe live`; {server.port} is free")
        print(f"{address}  (Ctrl-C ends it)")
        print("Browsers give the camera to https and localhost only, so use this very address, on this machine.")
        print("Pictures go to this program alone.", flush=True)
        if browser and sys.stdout.isatty():
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
        server.serve_forever()


def open_server(port, answers):
    """A Server at the port, or at the first of ours that is free; InputError if there is none."""
    for tried in range(PORT, PORT + PORTS) if port is None else [port]:
        try:
            return Server(tried, answers)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", error)
    raise InputError(f"cannot listen at port {tried}: {reason}; choose another one with --port")


# http.server's own HTTPServer asks for the name of this machine first, which can take seconds without a network
class Server(socketserver.ThreadingTCPServer):
    """A thread and a deadline for each connection, and few of them: nobody waits for who is slow, or many."""

    daemon_threads, block_on_close = True, False  # the end waits for nobody
    allow_reuse_address = os.name != "nt"  # on Windows that would let others listen here, too
    request_queue_size = 2 * MOST_CONNECTIONS

    def __init__(self, port, answers):
        self.answers, self.deadlines = answers, {}
        super().__init__(("127.0.0.1", port), Handler)
        self.port = self.server_address[1]
        self.hosts = [f"{name}:{self.port}".removesuffix(":80") for name in ("localhost", "127.0.0.1")]

    def get_request(self):
        """A new connection; where they are too many, the one that asked nothing for longest has to go."""
        connection, address = super().get_request()
        self.renew(connection)
        for silent in list(self.deadlines)[:-MOST_CONNECTIONS]:
            self.cut(silent)
        return connection, address

    def renew(self, connection):
        """A connection has its whole time again, and is the last in the order of deadlines."""
        self.deadlines.pop(connection, None)
        self.deadlines[connection] = time.monotonic() + SECONDS

    def service_actions(self):
        """Called twice a second: ends the connections whose time is over."""
        for connection, deadline in list(self.deadlines.items()):
            if deadline < time.monotonic():
                self.cut(connection)

    def cut(self, connection):
        """End a connection that its own thread waits for; that thread closes it then."""
        self.deadlines.pop(connection, None)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, connection):
        self.deadlines.pop(connection, None)
        super().shutdown_request(connection)

    def handle_error(self, connection, address):
        """A client that has gone is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(f"tinyhpe: {visible(f'{type(error).__name__}: {error}')}", file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    """Answers our own page, if it asks for something in ROUTES; all else gets one line of text, and then the end.

    A connection is kept for the next request: on Windows, a new one to localhost can take a third of a second.
    """

    protocol_version, server_version, sys_version = "HTTP/1.1", "tinyhpe", ""
    wbufsize = -1  # an answer leaves in one piece, and waits for nothing in between

    def handle_one_request(self):
        self.server.renew(self.connection)
        super().handle_one_request()

    def respond(self):
        try:
            self.check_sender()
            body, url = self.read_body(), urlsplit(self.path)
            if (self.command, url.path) not in ROUTES:
                raise Refused(404, "there is nothing here but the page itself, at /")
            answer = getattr(self.server.answers, ROUTES[self.command, url.path])
            self.send(200, *answer(dict(parse_qsl(url.query)), body))
        except ValueError as problem:  # an InputError, or an address that cannot be parsed
            self.send_error(getattr(problem, "status", 400), str(problem))
        except Exception as error:
            self.send_error(500, f"{type(error).__name__}: {error}")
            raise

    do_GET = do_POST = respond

    def check_sender(self):
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(403, f"the page is at http://{self.server.hosts[0]}, and under no other name")
        if self.headers.get("Origin") not in (None, *(f"http://{host}" for host in self.server.hosts)):
            raise Refused(403, "only the page of tinyhpe live may ask this")

    def read_body(self):
        length = self.headers.get("Content-Length", "0" if self.command == "GET" else "")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            raise Refused(411, "say how long the picture is, by Content-Length")
        if int(length) > MOST_BYTES:
            raise Refused(413, f"more than {MOST_BYTES} bytes; send a smaller picture")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(400, "the picture is not complete")
        return body

    def send_error(self, code, message=None, explain=None):
        self.close_connection = True  # what the client still sends is no request
        text = visible(message or HTTPStatus(code).phrase) + "\n"
        self.send(code, "text/plain; charset=utf-8", text.encode())

    def send(self, code, kind, content):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", len(content))
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        # the same head looks the same tomorrow, all else may change
        self.send_header("Cache-Control", "max-age=3600" if kind == "image/jpeg" else "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Nothing: thirty requests a second are no news."""
