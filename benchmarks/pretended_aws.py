"""STS on loopback for the benchmarks: every call takes a fixed time and is granted. ``python pretended_aws.py SECONDS``

It prints its port, and then a line for each call. It is no moto server: that needs more of the processor for an answer
than what is measured, and this machine has few of them.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = (
    '<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result><Credentials>'
    "<AccessKeyId>ASIA{1:016d}</AccessKeyId><SecretAccessKey>{2}</SecretAccessKey><SessionToken>{3}</SessionToken>"
    "<Expiration>{4}</Expiration></Credentials></{0}Result></{0}Response>"
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(float(sys.argv[1]))
        action = "AssumeRole" if b"Action=AssumeRole" in asked else "GetSessionToken"
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        body = ANSWER.format(action, time.time_ns() % 10**16, "s" * 40, "t" * 640, ends).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self.wfile.write(head + body)  # at once: in two writes the second waits for the client's acknowledgement
        print(action, flush=True)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256


def main() -> None:
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
