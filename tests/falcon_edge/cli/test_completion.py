"""Shells complete commands: bash is run, and for zsh and fish what their scripts ask the program is answered."""

import os
import shutil
import subprocess
import sys

import pytest
from program import PROGRAM, run

from falcon_edge.cli.completion import NETWORKS, SHELLS
from falcon_edge.models.sources import BUILTIN

# A program of the name that users type, in a folder of its own.
SCRIPT = f'#!/bin/sh\nexec {sys.executable} -m falcon_edge "$@"\n'
HEAVY = {"torch", "numpy", "scipy", "onnx", "onnxruntime", "plotly", "jinja2"}


@pytest.fixture
def home(tmp_path):
    """A user's home, a folder of programs in it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "falcon-edge"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    return tmp_path


def environment(home):
    return os.environ | {"HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}


def by_bash(home, line, before=""):
    """What bash offers for the last word of a line, as its readline asks for it."""
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f"{before}\nsource ~/.bash_completions/falcon-edge.sh\nCOMP_WORDS=({quoted})\nCOMP_CWORD={len(words) - 1}\n"
    )
    script += '_falcon_edge_completion falcon-edge\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    done = subprocess.run(["bash", "-c", script], cwd=home, env=environment(home), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def asked(home, shell, words, **variables):
    """What the program answers the script of a shell."""
    variables |= {"_FALCON_EDGE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": words}
    return run("", home, HOME=str(home), **variables)


def test_bash_completes_what_it_installed(home):
    done = run("--install-completion bash", home, HOME=str(home))
    assert (done.code, done.err) == (0, "")
    assert str(home / ".bash_completions/falcon-edge.sh") in done.out
    assert "source '" in (home / ".bashrc").read_text()
    assert by_bash(home, "falcon-edge comp") == ["compress", "compare"]
    assert by_bash(home, "falcon-edge compress --finetune") == ["--finetune-epochs"]
    assert by_bash(home, "falcon-edge compress net.falcon --init ") == ["svd", "whitened", "sequential", "random"]
    assert by_bash(home, "falcon-edge compress net.falcon --form lowrank") == ["lowrank_in", "lowrank_out"]
    assert by_bash(home, "falcon-edge train vgg19 --unit falcon") == ["falcon", "falcon_branch"]
    assert by_bash(home, "falcon-edge devices se") == ["setup"]
    (home / "mine.falcon").mkdir()
    (home / "other.onnx").touch()
    assert by_bash(home, "falcon-edge pack ") == [*NETWORKS, "mine.falcon", "other.onnx"]
    assert by_bash(home, "falcon-edge pack mi") == ["mine.falcon"]
    assert by_bash(home, "falcon-edge pack o") == ["other.onnx"]
    assert by_bash(home, "falcon-edge check mine.falcon --baseline ") == ["mine.falcon", "other.onnx"]
    assert by_bash(home, "falcon-edge compare x.json --baseline ") == ["mine.falcon"]
    assert by_bash(home, "falcon-edge bench other.onnx m") == ["mine.falcon"]
    assert by_bash(home, "falcon-edge pack sub/folder/") == []  # of which bash makes file names, by `-o default`
    assert by_bash(home, "falcon-edge --show-completion ") == [*SHELLS]


def test_the_networks_offered_are_those_there_are():
    assert set(NETWORKS) == BUILTIN.keys()


@pytest.mark.parametrize(
    ("shell", "file"), [("zsh", ".zfunc/_falcon-edge"), ("fish", ".config/fish/completions/falcon-edge.fish")]
)
def test_other_shells_install_their_script(home, shell, file):
    done = run(f"--install-completion {shell}", home, HOME=str(home))
    assert (done.code, done.err) == (0, "")
    assert run(f"--show-completion {shell}", home).out.strip() == (home / file).read_text().strip()


def test_what_the_scripts_of_zsh_and_fish_ask(home):
    said = asked(home, "zsh", "falcon-edge comp").out
    assert said.startswith("_arguments '*: :((")
    assert [name in said for name in ('"compress"', '"compare"', '"pack"')] == [True, True, False]
    assert asked(home, "zsh", "falcon-edge pack net --weights ").out.strip() == "_files"
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    lines = asked(home, "fish", "falcon-edge comp", **fish).out.splitlines()
    assert [line.partition("\t")[0] for line in lines] == ["compress", "compare"]
    asks = {"_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    assert asked(home, "fish", "falcon-edge comp", **asks).code == 0
    assert asked(home, "fish", "falcon-edge pack net --weights ", **asks).code == 1  # files, then


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_one_is_in_is_found(home, shell):
    """By the processes that the program is run by."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run(
        [program, "-c", "falcon-edge --show-completion; true"], env=environment(home), capture_output=True, text=True
    )
    assert done.stdout == run(f"--show-completion {shell}", home).out


def test_another_shell_is_one_line(home):
    done = run("--install-completion tcsh", home, HOME=str(home))
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: tcsh: name a shell that completion is for: bash, zsh, fish\n"


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", "falcon-edge pack "), ("zsh", "falcon-edge comp"), ("fish", "falcon-edge compress --ra")],
)
def test_completing_imports_nothing_heavy(home, shell, words):
    variables = {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    variables |= {"_FALCON_EDGE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": words}
    command = [sys.executable, "-X", "importtime", *PROGRAM[1:]]
    done = subprocess.run(command, cwd=home, env=os.environ | variables, capture_output=True, text=True)
    assert done.stdout.strip()
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & HEAVY
