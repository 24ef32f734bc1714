"""--help answers at once and in full: nothing is imported that it does not need, and no sentence is cut."""

import subprocess
import sys

import pytest
from program import ENVIRONMENT, PROGRAM, run

# What takes long to import. Standard modules too: importlib.metadata brings those of mail along.
SLOW = {"torch", "numpy", "scipy", "onnx", "onnxruntime", "pydantic", "PIL", "rich", "plotly", "jinja2", "email"}


# What typer itself imports for the options of a verb.
OF_TYPER = ("email", "pydantic")


@pytest.mark.parametrize(
    ("words", "allowed"),
    [("--help", ()), ("--version", ()), ("bench --help", OF_TYPER), ("study --help", OF_TYPER)],
    ids=str,
)
def test_what_help_needs_is_imported(tmp_path, words, allowed):
    command = [sys.executable, "-X", "importtime", *PROGRAM[1:], *words.split()]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert {"falcon_edge", "typer"} <= imported
    assert imported & SLOW <= {*allowed}


@pytest.mark.parametrize("words", ["--help", "devices --help", "study --help"])
def test_every_verb_says_what_it_does_in_whole_sentences(tmp_path, words):
    done = run(words, tmp_path)
    assert done.code == 0
    verbs = done.out.partition("Commands:")[2]
    assert verbs.strip()
    assert "..." not in verbs
