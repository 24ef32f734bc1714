"""The project's own gate: `falcon-edge check` on what this tree makes of the shipped network.

    python benchmarks/self_check/self_check.py [--update]

1. Size, MACs, parameters and operators of its files (standard and FALCON at rank 1) are no worse than in baseline.json.
   After a change that was meant, --update writes that file anew.
2. FALCON beside standard, measured now, is no regression; the other way round it is one in latency, since a gate that
   cannot fail is none.

Ends with 1 where one of this does not hold.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from falcon_edge.steps.shipped import copy_sample_network

HERE = Path(__file__).parent
BASELINE, TOLERANCES = HERE / "baseline.json", HERE / "tolerances.toml"
FORMATS = ("--target=onnx", "--target=tflite", "--precision=fp32", "--precision=int8", "--data=sample", "--samples=64")
ONE_RUN = ("--runs=1", "--seconds=0", "--processes=1", "--rounds=1")
ONE_FILE = ("--runtime=onnxruntime", "--precision=fp32", "--no-confirm")
PASS, REGRESSION, INCONCLUSIVE = 0, 1, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the baseline anew")
    update = parser.parse_args().update
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        standard, falcon, results = folder / "standard.falcon", folder / "falcon.falcon", folder / "new.json"
        copy_sample_network(standard)
        falcon_edge("compress", standard, "--rank", "1", "-o", falcon)
        for bundle in (standard, falcon):
            falcon_edge("export", bundle, *FORMATS)
        files = sorted(folder.glob("*.falcon/exports/model.*"))
        falcon_edge("bench", *files, *ONE_RUN, "-o", BASELINE if update else results)
        if update:
            return
        no_regression = (PASS, INCONCLUSIVE)  # latencies of another machine are inconclusive
        print(falcon_edge("check", results, "--baseline", BASELINE, "--tolerances", TOLERANCES, may=no_regression))
        print(falcon_edge("check", falcon, "--baseline", standard, *ONE_FILE, may=no_regression))
        found = falcon_edge("check", standard, "--baseline", falcon, *ONE_FILE, "--json", may=(REGRESSION,))
    verdicts = {finding["figure"]: finding["verdict"] for finding in json.loads(found)["findings"]}
    if verdicts["latency"] != "regression":
        sys.exit("standard is slower than FALCON, and the gate does not see it")
    print("The gate fails where it should: standard beside FALCON is a regression in latency.")


def falcon_edge(verb: str, *options: object, may: tuple[int, ...] = (PASS,)) -> str:
    """What the program prints; it must end with one of the exit codes `may`."""
    command = [sys.executable, "-m", "falcon_edge", verb, *map(str, options), "-q"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in may:
        print(done.stdout)
        sys.exit(f"falcon-edge {verb} ended with {done.returncode}, not {' or '.join(map(str, may))}")
    return done.stdout


if __name__ == "__main__":
    main()
