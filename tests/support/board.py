"""A board on this machine: a real sshd on loopback, whose sessions start in a folder that stands for its home."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
ForceCommand {folder}/session
Subsystem sftp internal-sftp
"""
SESSION = """#!/bin/sh
export HOME={home} PATH={tools}:/usr/bin:/bin
cd "$HOME"
[ "$SSH_ORIGINAL_COMMAND" = internal-sftp ] && exec /usr/lib/openssh/sftp-server
exec sh -c "${{SSH_ORIGINAL_COMMAND:-exec sh}}"
"""
CLIENT = """#!/bin/sh
exec {program} -F {folder}/config "$@"
"""


class Board:
    """A running sshd; ssh and scp on `path` know it as `board` and use a key of their own."""

    def __init__(self, folder: Path, python: str = sys.executable):
        self.folder, self.home = folder, folder / "home"
        self.tools, self.path = folder / "tools", folder / "clients"
        for each in (self.home, self.tools, self.path):
            each.mkdir(parents=True)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        self.answer_by(f'exec {python} "$@"')
        self._write("session", SESSION.format(home=self.home, tools=self.tools))
        for program in ("ssh", "scp"):
            text = CLIENT.format(program=shutil.which(program), folder=folder)
            self._write(f"clients/{program}", text)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.trust((folder / "host.pub").read_text())
        self._server = None
        self.start()

    def start(self) -> None:
        os.makedirs("/run/sshd", exist_ok=True)
        (self.folder / "sshd_config").write_text(CONFIG.format(port=self.port, folder=self.folder))
        command = [SSHD, "-D", "-e", "-f", self.folder / "sshd_config"]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stderr=log, start_new_session=True)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def trust(self, host_key: str) -> None:
        """The key that the clients expect."""
        self._write("known", f"[127.0.0.1]:{self.port} {host_key}")
        self._write(
            "config",
            f"Host board\n HostName 127.0.0.1\n Port {self.port}\n User {getpass.getuser()}\n"
            f" IdentityFile {self.folder}/user\n UserKnownHostsFile {self.folder}/known\n IdentitiesOnly yes\n",
        )

    def answer_by(self, script: str) -> None:
        """What the board's python3 does, as a shell script."""
        self._write("tools/python3", f"#!/bin/sh\n{script}\n")

    def use_tools_only(self) -> None:
        """Its commands are those in `tools`, and none of this machine's."""
        session = SESSION.format(home=self.home, tools=self.tools)
        self._write("session", session.replace(":/usr/bin:/bin", ""))

    def hang_up(self) -> None:
        """End the server and every connection, as when a cable is pulled."""
        for pid in self.sessions():
            os.kill(pid, signal.SIGKILL)
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def sessions(self) -> list[int]:
        """sshd's own processes for connections."""
        return [] if self._server is None else descendants(self._server.pid, "sshd")

    def workers(self) -> list[int]:
        """Processes that run a Python file of the board's folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                inside = os.readlink(entry / "cwd").startswith(str(self.home))
            except OSError:
                continue
            if inside and any(word.endswith(b".py") for word in words) and b"exec" not in b" ".join(words):
                found.append(int(entry.name))
        return found

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o700)


def descendants(pid: int, name: str) -> list[int]:
    """Processes of a name below one."""
    found, level = [], [pid]
    while level:
        below = []
        for each in level:
            try:
                children = Path(f"/proc/{each}/task/{each}/children").read_text().split()
            except OSError:
                continue
            below += map(int, children)
        for each in below:
            try:
                if Path(f"/proc/{each}/comm").read_text().strip() == name:
                    found.append(each)
            except OSError:
                continue
        level = below
    return found
