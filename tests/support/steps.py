"""The GitHub action, the workflows, and a runner of their shell steps."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from posix_tools import write_tools

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
SHELLS = {"bash": (), "posix": ("--posix",)}


@dataclass
class Runner:
    """What a runner knows: where steps run, what they have put out, and how each of them ended.

    Its tools are those of posix_tools; `options` are bash's. `inputs` are the action's, in place of their defaults.
    """

    folder: Path
    inputs: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def __post_init__(self):
        self.known = {f"inputs.{name}": about.get("default", "") for name, about in ACTION["inputs"].items()}
        self.known |= {f"inputs.{name}": value for name, value in self.inputs.items()}
        self.summary, self.output = (self.folder / f".runner-{name}" for name in ("summary", "output"))
        self.tools, self.installed = self.folder / ".tools", self.folder / ".installed"
        if not self.tools.exists():
            write_tools(self.tools, self.installed)

    def wanted(self, step):
        """Whether its condition holds."""
        name, operator, value = re.fullmatch(r"(\S+) (==|!=) '(.*)'", step.get("if", "always == ''")).groups()
        return (self.known.get(name, "") == value) == (operator == "==")

    def values(self, texts):
        """Texts by name, with the values of their expressions."""
        return {name: EXPRESSION.sub(lambda found: self.known.get(found[1], ""), text) for name, text in texts.items()}

    def run(self, step):
        """The exit code of a shell step; its outputs are known afterwards."""
        self.output.write_text("")
        environment = os.environ | self.values(step.get("env", {})) | {
            "PATH": str(self.tools), "GITHUB_STEP_SUMMARY": str(self.summary), "GITHUB_OUTPUT": str(self.output),
        }  # fmt: skip
        bash = (shutil.which("bash"), *self.options, "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"])
        self.done = subprocess.run(bash, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300)
        for line in self.output.read_text().splitlines():
            name, value = line.split("=", 1)
            self.known[f"steps.{step['id']}.outputs.{name}"] = value
        return self.done.returncode
