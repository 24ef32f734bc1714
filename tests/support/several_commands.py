"""Runs several commands in this process, one after the other: for a system whose Python takes long to start.

    python several_commands.py COMMANDS.json     (a list of lists of words; prints a list of [code, stdout, stderr])

A command with "serve" in it is ended, as by Ctrl-C, once it has answered a request for each of the lines that follow it
in the place of words: [method, path below the token, body].
"""

import contextlib
import http.client
import io
import json
import re
import signal
import sys
import threading
import time
from pathlib import Path

from falcon_edge.cli.main import main


def ask_and_end(err, requests, answers):
    """Ask what is served, once it says where, and press Ctrl-C."""
    try:
        until = time.monotonic() + 60
        while not (found := re.search(r"http://([0-9.]+:[0-9]+)(/[^/]+/)", err.getvalue())):
            assert time.monotonic() < until
            time.sleep(0.05)
        for method, path, body in requests:
            connection = http.client.HTTPConnection(found[1], timeout=20)
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, found[2] + path, body, headers)
            answer = connection.getresponse()
            answers.append([answer.status, len(answer.read())])
            connection.close()
    finally:
        signal.raise_signal(signal.SIGINT)


def run(words, requests):
    """Exit code, stdout, stderr, and what was answered."""
    out, err, answers = io.StringIO(), io.StringIO(), []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.argv = ["falcon-edge", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if requests:
            threading.Thread(target=ask_and_end, args=(err, requests, answers), daemon=True).start()
        try:
            main()
            code = 0
        except SystemExit as error:
            code = error.code
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return [code, out.getvalue(), err.getvalue(), answers]


if __name__ == "__main__":
    found = [run(words, requests) for words, requests in json.loads(Path(sys.argv[1]).read_text())]
    print(json.dumps(found))
