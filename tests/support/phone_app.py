"""The demo app as docs/phones.md has it, acted by worker.py: `phone_app.py FOLDER` answers what `am` leaves in a pipe.

`phone_app.py FOLDER am|pm|pidof|run-as|logcat|dumpsys ...` are the commands of the phone's shell that concern it.
"""

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PACKAGE = "org.falconedge.demo"
BATTERY = "Current Battery Service state:\n  status: 3\n  level: 87\n  temperature: 312\n"


def app(folder):
    """The app's process: requests come line by line."""
    worker_file = next(folder.rglob("worker.py"))
    main = runpy.run_path(str(worker_file), run_name="worker")
    worker, data = main["Worker"](), folder / "appdata"
    os.chdir(data)
    for line in sys.stdin:
        request = json.loads(line)
        number, action = request.pop("id"), request.pop("do")
        assert request.pop("contract") == 1
        if "model" in request:
            request["path"] = request.pop("model")
        try:
            reply = getattr(worker, action)(**request)
        except Exception as error:
            reply = {"error": str(error), "kind": "runtime"}
        target = data / "files/bench" / f"{number}.json"
        text = json.dumps(reply)
        if (folder / "half").exists():
            target.write_text(text[: len(text) // 2])
            continue
        target.with_suffix(".part").write_text(text)
        target.with_suffix(".part").rename(target)


def start(folder, words):
    """am start: a process of its own, if there is none, that reads a pipe which stays open."""
    pipe, pid = folder / "pipe", folder / "pid"
    if not alive(folder):
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        with (folder / "said").open("ab") as log:
            process = subprocess.Popen(
                [folder / "tools/app"], stdin=os.open(pipe, os.O_RDWR), stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        pid.write_text(str(process.pid))
    request, kinds = {}, {"--es": str, "--ei": int, "--el": int, "--ef": float, "--ez": lambda text: text == "true"}
    lists = {"--esa": str, "--eia": int, "--efa": float}
    words = iter(words)
    for word in words:
        if word in kinds:
            name, text = next(words), next(words)
            request[name] = kinds[word](text)
        elif word in lists:
            name, text = next(words), next(words)
            request[name] = [lists[word](part) for part in text.split(",")]
    with pipe.open("w") as file:
        file.write(json.dumps(request) + "\n")
    print("Starting: Intent { cmp=org.falconedge.demo/.BenchmarkActivity }\nStatus: ok")


def alive(folder):
    """The number of the app's process, or None."""
    try:
        number = int((folder / "pid").read_text())
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return None
    return None if state == "Z" else number


def main():
    folder, *words = Path(sys.argv[1]), *sys.argv[2:]
    installed = folder / "installed"
    match words:
        case []:
            app(folder)
        case ["am", "start", "-W", "-n", name, *rest]:
            assert name == f"{PACKAGE}/.BenchmarkActivity"
            if not installed.exists():
                print("Error type 3\nError: Activity class {org.falconedge.demo/...} does not exist.")
            else:
                start(folder, rest)
        case ["am", "force-stop", name] if name == PACKAGE:
            if number := alive(folder):
                os.kill(number, signal.SIGKILL)
        case ["pm", "path", name] if name == PACKAGE:
            if not installed.exists():
                sys.exit(1)
            print("package:/data/app/base.apk")
        case ["pm", "uninstall", name] if name == PACKAGE:
            installed.unlink()
            shutil.rmtree(folder / "appdata", ignore_errors=True)  # Android removes an app's storage with it
            print("Success")
        case ["pidof", name] if name == PACKAGE:
            number = alive(folder)
            sys.exit(1) if number is None else print(number)
        case ["run-as", name, *command] if name == PACKAGE:
            (folder / "appdata").mkdir(exist_ok=True)
            os.chdir(folder / "appdata")
            os.execvp(command[0], command)
        case ["logcat", "-c"]:
            (folder / "logcat").unlink(missing_ok=True)
        case ["logcat", *_]:
            print((folder / "logcat").read_text() if (folder / "logcat").exists() else "")
        case ["dumpsys", "battery"]:
            print(BATTERY)
        case ["dumpsys", "thermalservice"]:
            print("IsStatusOverride: false\nThermal Status: 1\n")
        case _:
            sys.exit(f"unknown: {words}")


if __name__ == "__main__":
    main()
