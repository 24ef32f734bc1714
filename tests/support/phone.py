"""A phone on this machine: adb's server side, so that the real adb client can be used; commands run in a local shell.

The protocol of SERVICES.TXT and SYNC.TXT in Android's source: what the client asks a server for, in one process, and
what the server would ask the phone for. Without shell_v2, as old phones: a shell's errors come among its output, and
it has no exit code.
"""

import contextlib
import os
import shutil
import signal
import socketserver
import struct
import subprocess
import sys
import threading
from pathlib import Path

ADB = shutil.which("adb")
VERSION = 41  # what Debian's client and every newer one up to Android's own expect of a server
APP = Path(__file__).with_name("phone_app.py")


class Phone:
    """An adb server with one phone (and whatever else `others` lists); `folder` stands for the phone's storage."""

    def __init__(self, folder: Path, serial: str = "emulator-9999", python: str | None = None, others=()):
        self.folder, self.serial, self.state = folder, serial, "device"
        self.others, self.commands = list(others), []
        self.tools = folder / "tools"
        self.tools.mkdir(parents=True)
        self._path = f"{self.tools}:/usr/bin:/bin"
        if python is not None:
            self.answer_by(f'exec {python} "$@"')
        self.breaks_after = None  # bytes of a file, after which its cable is pulled
        self._running, self._open = [], []
        self._cable = threading.Lock()  # no process is started while it is pulled
        phone = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                phone._open.append(self.request)
                with contextlib.suppress(EOFError, OSError):
                    _Connection(phone, self.request).serve()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def listed(self):
        return [*([(self.serial, self.state)] if self.state else []), *self.others]

    def answer_by(self, script: str) -> None:
        """What the phone's python3 does, as a shell script."""
        self.add("python3", script)

    def use_tools_only(self, *folders: Path) -> None:
        """Its commands are those in `tools` and in the folders, and none of this machine's."""
        self._path = ":".join(map(str, (self.tools, *folders)))

    def install(self, worker: Path, python: str = sys.executable) -> None:
        """Install the app, which is acted by worker.py in a Python, with the commands of Android that it needs."""
        shutil.copy(worker, self.folder / "worker.py")
        shutil.copytree(Path(worker).with_name("runtimes"), self.folder / "runtimes", dirs_exist_ok=True)
        self.install_app(f"exec {python} {APP} {self.folder}")

    def install_app(self, program: str) -> None:
        """Install the app, whose process a shell script starts, with the commands of Android that it needs."""
        (self.folder / "installed").touch()
        self.add("app", program)
        for command in ("am", "pm", "pidof", "run-as", "logcat", "dumpsys"):
            self.add(command, f'exec {sys.executable} {APP} {self.folder} {command} "$@"')

    def run(self, command: str) -> subprocess.Popen:
        """Start a command of the phone's shell. Raises EOFError if it is unplugged."""
        environment = {"PATH": self._path, "HOME": str(self.folder)}
        with self._cable:
            if self.state is None:
                raise EOFError
            process = subprocess.Popen(
                ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                cwd=self.folder, env=environment, start_new_session=True,
            )  # fmt: skip
            self._running.append(process)
        self.commands.append(command)
        return process

    def unplug(self) -> None:
        """End every connection and list the phone no more. Its processes meet the end of their input."""
        with self._cable:
            self.state = None
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(2)
            for process in self._running:
                if process.poll() is None and process.stdin is not None:
                    process.stdin.close()

    def close(self) -> None:
        self.unplug()
        self._server.shutdown()
        self._server.server_close()
        apps = [int(path.read_text()) for path in self.folder.glob("pid")]
        for group in (*apps, *(process.pid for process in self._running)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def workers(self) -> list[int]:
        """Processes of the phone that are workers, of Python or of Java."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                inside = os.readlink(entry / "cwd") == str(self.folder)
            except OSError:
                continue
            if inside and any(word.endswith((b".py", b".Main")) for word in words):
                found.append(int(entry.name))
        return found

    def add(self, name: str, script: str) -> None:
        """A command of its shell, as a script."""
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


class _Connection:
    """One socket of the client."""

    def __init__(self, phone: Phone, socket):
        self._phone, self._socket = phone, socket

    def serve(self):
        phone = self._phone
        while True:
            request = self._receive(int(self._receive(4), 16)).decode()
            if request == "host:version":
                return self._text(f"{VERSION:04x}")
            if request in ("host:devices", "host:devices-l"):
                extra = " product:p model:A_Phone device:d transport_id:1" if request.endswith("l") else ""
                lines = [
                    f"{serial:<22} {state}{extra}" if extra else f"{serial}\t{state}" for serial, state in phone.listed
                ]
                return self._text("".join(f"{line}\n" for line in lines))
            if request.startswith("host") and request.endswith("features"):
                return self._text("cmd")
            if request.startswith(("host:transport", "host:tport")):
                if phone.state != "device":
                    return self._fail(f"device '{phone.serial}' not found")
                self._socket.sendall(b"OKAY")
                if request.startswith("host:tport"):
                    self._socket.sendall(struct.pack("<Q", 1))
                continue
            if request.startswith(("shell:", "exec:")):
                self._socket.sendall(b"OKAY")
                return self._shell(request.partition(":")[2])
            if request == "sync:":
                self._socket.sendall(b"OKAY")
                return self._sync()
            return self._fail(f"unknown service {request}")

    def _shell(self, command):
        process = self._phone.run(command)

        def feed():
            try:
                while data := self._socket.recv(65536):
                    process.stdin.write(data)
                    process.stdin.flush()
            except (OSError, ValueError):
                pass
            with contextlib.suppress(OSError):
                process.stdin.close()  # whoever asked is gone

        threading.Thread(target=feed, daemon=True).start()
        while data := process.stdout.read1(65536):
            self._socket.sendall(data)
        process.wait()

    def _sync(self):
        while True:
            kind, length = self._receive(4), struct.unpack("<I", self._receive(4))[0]
            if kind == b"QUIT":
                return
            name = str(self._phone.folder / self._receive(length).decode())
            if kind == b"STAT":
                try:
                    found = os.stat(name)
                    about = found.st_mode, found.st_size, int(found.st_mtime)
                except OSError:
                    about = 0, 0, 0
                self._socket.sendall(b"STAT" + struct.pack("<III", *about))
            elif kind == b"SEND":
                self._store(name.rpartition(",")[0])
            elif kind == b"RECV":
                with open(name, "rb") as file:
                    while data := file.read(65536):
                        self._socket.sendall(b"DATA" + struct.pack("<I", len(data)) + data)
                self._socket.sendall(b"DONE" + struct.pack("<I", 0))

    def _store(self, name):
        said, stored = b"", 0
        Path(name).unlink(missing_ok=True)
        while True:
            if self._phone.breaks_after is not None and stored > self._phone.breaks_after:
                self._phone.unplug()
                raise EOFError
            kind, length = self._receive(4), struct.unpack("<I", self._receive(4))[0]
            if kind == b"DONE":
                break
            data = self._receive(length)
            stored += length
            try:
                with open(name, "ab") as file:
                    file.write(data)
            except OSError as error:
                said = str(error.strerror).encode()
        self._socket.sendall((b"FAIL" if said else b"OKAY") + struct.pack("<I", len(said)) + said)

    def _receive(self, count):
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _text(self, text):
        self._socket.sendall(b"OKAY%04x" % len(text) + text.encode())

    def _fail(self, text):
        self._socket.sendall(b"FAIL%04x" % len(text) + text.encode())
