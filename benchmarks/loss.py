"""What a plan loses once it is tuned, and what predicts that: many plans of a network, tuned alike.

    python benchmarks/loss.py standard.falcon --data FASHION_MNIST --file loss.jsonl [--plans 29]
    python benchmarks/loss.py --file loss.jsonl                  # the table alone

Plans are drawn: a share of the MACs, in every layer a form, and a share of its own around that one; uniform plans of
each form come first, and last narrower networks, four with nothing else done and four with forms drawn. Each is
fine-tuned from the closed form on --images of the training images, with the original as the teacher, and judged on all
test images. Rows are appended to --file, so that an interrupted run goes on.

Predictors: what fits leave of kernels (their own error), or of outputs (under the statistics of inputs), and beside
either what a narrower network leaves of its readers' outputs, added up as they are or times what each layer's output is
worth (falcon_edge.falcon.sensitivity); the divergence of the answers before tuning; and errors with a factor for each
form, found without the plan that it is judged on, alone and with how far layers have shrunk.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.stats import spearmanr
from torch.nn import functional

from falcon_edge.data import Dataset, open_dataset, spread
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Replacement, error_at
from falcon_edge.falcon.narrow import NARROW, Narrower, Narrowing
from falcon_edge.falcon.plan import Plan, make_plan, sizes_of
from falcon_edge.falcon.sensitivity import sensitivities
from falcon_edge.falcon.statistics import patch_statistics
from falcon_edge.network import Network
from falcon_edge.steps.compress import compress
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.planning.planner import WORTH_POWER, shrunk
from falcon_edge.steps.planning.timed_layers import Layers
from falcon_edge.steps.quality import measured_quality
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe

SHARES = 0.1, 0.5  # of a network's MACs
UNIFORM = [(form, share) for share in (0.13, 0.3) for form in FORMS]
MIXTURES = 9
WIDTHS = 0.75, 0.5, 0.35, 0.25, 0.75, 0.5, 0.75, 0.5
ALONE = 4  # of these with no form besides
KINDS = [*FORMS, NARROW]
APART = 2.0  # times that a layer's share is above or below
SEEN = 512  # images without labels
HELD, SIZED = 0.3, 0.01  # how tightly factors are held to one another, and all to 1
LEAST = 1e-3  # what a plan is taken to lose that loses nothing
ALIKE = {"learning_rate": 0.02, "batch_size": 64, "weight_decay": 5e-4, "distillation": 0.9, "temperature": 4.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("standard", nargs="?", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--file", type=Path, default=Path("loss.jsonl"))
    parser.add_argument("--plans", type=int, default=29)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    if options.standard is not None:
        network = open_network(Choice(str(options.standard)))
        data = part(open_dataset(options.data), options.images)
        run(network, data, options.plans, options.epochs, options.file)
    table(read(options.file))


def part(data: Dataset, images: int) -> Dataset:
    """Fewer training images, and all test images."""
    return dataclasses.replace(data, train=data.train.subset(spread(len(data.train), images)))


def run(network: Network, data: Dataset, count: int, epochs: int, file: Path) -> None:
    """Tune what is not in the file."""
    layers, images = Layers(network), Images(data.train, network.input)
    narrower = Narrower(network.module, network.input.shape, batches=images.unlabelled(64, SEEN))
    weighed = [*dict.fromkeys([*layers.convs, *narrower.readers])]
    worth = sensitivities(network.module, weighed, images.unlabelled(32, SEEN), decides=True)
    (standard,) = measured_quality(network, data, "test", data.test, None)
    done = {row["plan"] for row in read(file) if row["network"] == network.name}
    for number in range(count):
        if number in done:
            continue
        began = time.monotonic()
        narrowing, own, replaced = planned(layers, narrower, number)
        plan = make_plan(network.module, network.input.shape, replaced, coupled=own.coupled)
        fitted = compress(network, dataclasses.replace(data, test=None), plan=plan)
        recipe = Recipe(epochs=epochs, seed=number, **ALIKE)
        tuned = compress(network, data, plan=plan, recipe=recipe)
        statistics = patch_statistics(own.module, own.convs, images.unlabelled(64, SEEN))
        parts = [
            {
                "layer": layer.name,
                "form": layer.form,
                "sizes": layer.sizes,
                "kernel": layer.error,
                "output": error_of(own, layer.name, replaced[layer.name], statistics[layer.name]),
                "worth": worth[layer.name],
            }
            for layer in plan.layers
            if layer.replacement is not None
        ]
        lost = {} if narrowing is None else narrowing.errors
        parts += [
            {"layer": name, "form": NARROW, "sizes": (), "kernel": error, "output": error, "worth": worth[name]}
            for name, error in lost.items()
        ]
        row = {
            "network": network.name,
            "plan": number,
            "macs": plan.planned_macs / plan.macs,
            "top1": tuned.quality[0].value,
            "standard": standard.value,
            "divergence": divergence(network, fitted, images),
            "shrunk": shrunk_by(plan),
            "layers": parts,
            "seconds": round(time.monotonic() - began, 1),
        }
        with file.open("a") as lines:
            lines.write(json.dumps(row) + "\n")


def shrunk_by(plan: Plan) -> float:
    """How far a plan's convolutions have shrunk, the mean of the logarithms of the ratios of their weights."""
    return float(np.mean([shrunk(layer.parameters, layer.planned_parameters) for layer in plan.layers]))


def planned(layers: Layers, narrower: Narrower, number: int) -> tuple[Narrowing | None, Layers, dict[str, Replacement]]:
    """The plan of a number: which channels go, the layers that are left, and their forms."""
    later = number - len(UNIFORM) - MIXTURES
    if later < 0:
        return None, layers, drawn(layers, number)
    narrowing = narrower.even(WIDTHS[later % len(WIDTHS)])
    own = Layers(layers.network, narrowing.coupled)
    return narrowing, own, drawn(own, number) if later >= ALONE else {}


def drawn(layers: Layers, number: int) -> dict[str, Replacement]:
    """Forms: at first the same one everywhere, then mixtures."""
    draws, forms = np.random.default_rng(number), [*FORMS]
    alike = number < len(UNIFORM)
    share = UNIFORM[number][1] if alike else np.exp(draws.uniform(*np.log(SHARES)))
    found = {}
    for name in layers.convs:
        form = UNIFORM[number][0] if alike else forms[draws.integers(len(forms))]
        own = share if alike else share * APART ** draws.uniform(-1, 1)
        conv, use = layers.conv(name), layers.observed.uses[name]
        if FORMS[form].why_not(conv) is not None:
            form = "falcon"
        sizes = sorted(sizes_of(FORMS[form], conv), key=lambda each, form=form: FORMS[form].macs(conv, each, use))
        within = [each for each in sizes if FORMS[form].macs(conv, each, use) <= own * layers.observed.macs(name)]
        dearest = max((FORMS[form].macs(conv, each, use) for each in within), default=0)
        near = [each for each in within if FORMS[form].macs(conv, each, use) >= 0.9 * dearest] or sizes[:1]
        errors = FORMS[form].errors(conv.weight)
        found[name] = Replacement(form, min(near, key=partial(error_at, errors)))
    return found


def error_of(layers: Layers, name: str, replacement: Replacement, statistics) -> float:
    """The error of a layer's output, as a share of its variance."""
    return error_at(FORMS[replacement.form].errors(layers.conv(name).weight, statistics), replacement.sizes)


@torch.no_grad()
def divergence(standard: Network, other: Network, images: Images) -> float:
    """Of the answers, in nats an image."""
    found = []
    for batch in images.unlabelled(64, SEEN):
        wanted, given = (functional.log_softmax(net.module(batch), 1) for net in (standard, other))
        found.append(functional.kl_div(given, wanted, reduction="none", log_target=True).sum(1))
    return float(torch.cat(found).mean())


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


PREDICTORS = {
    "share of MACs (fewer is worse)": lambda row: -row["macs"],
    "error of kernels": lambda row: sum(each["kernel"] for each in row["layers"]),
    "error of outputs": lambda row: sum(each["output"] for each in row["layers"]),
    "worth times error of kernels": lambda row: sum(each["worth"] * each["kernel"] for each in row["layers"]),
    "worth times error of outputs": lambda row: sum(each["worth"] * each["output"] for each in row["layers"]),
    "divergence before tuning": lambda row: row["divergence"],
    "how far layers have shrunk": lambda row: row["shrunk"],
}


def table(rows: Sequence[dict]) -> None:
    """Rank correlations of every predictor with what is lost, a column a network."""
    networks = list(dict.fromkeys(row["network"] for row in rows))
    print(f"| predictor | {' | '.join(networks)} |\n|---|{'---|' * len(networks)}")
    of = {name: [row for row in rows if row["network"] == name] for name in networks}
    for name, predictor in PREDICTORS.items():
        cells = [correlation([predictor(row) for row in each], each) for each in of.values()]
        print(f"| {name} | {' | '.join(cells)} |")
    for shrinks in (False, True):
        for error in ("kernel", "output"):
            for worth in (0.0, 0.5, 1.0):
                kind = Kind(error, worth, shrinks)
                cells = [correlation(left_out(each, kind), each) for each in of.values()]
                print(f"| {kind} | {' | '.join(cells)} |")
    if len(of) > 1:
        for one in of:
            others = [row for name, each in of.items() if name != one for row in each]
            cells = [
                "" if name != one else correlation(predicted(of[one], fitted(others), Kind()), of[one]) for name in of
            ]
            print(f"| {Kind()}, of the other networks | {' | '.join(cells)} |")
    for name, each in {**of, "all": rows}.items():
        lost, factors = [row["top1"] for row in each], np.exp(fitted(each)[: len(KINDS) + 1])
        told = ", ".join(f"{form} {factor:.2f}" for form, factor in zip([*KINDS, "shrunk"], factors, strict=True))
        print(f"\n{name}: {len(each)} plans, top-1 {min(lost):.4f} to {max(lost):.4f}; factors of kernels: {told}")


@dataclass(frozen=True)
class Kind:
    """A predictor whose factors are fitted: of which errors, what a layer's worth counts, and how far it has shrunk."""

    error: str = "kernel"
    worth: float = WORTH_POWER
    shrinks: bool = True

    def __str__(self) -> str:
        more = ", and how far layers have shrunk" if self.shrinks else ""
        return f"error of {self.error}s, worth^{self.worth:g}, a factor a form{more}"


def correlation(predicted: Sequence[float], rows: Sequence[dict]) -> str:
    if len(rows) < 3:
        return ""
    return f"{spearmanr(predicted, [-row['top1'] for row in rows]).statistic:.2f}"


def left_out(rows: Sequence[dict], kind: Kind) -> list[float]:
    """What is predicted for each row, as a logarithm, by factors that are fitted to the others."""
    return [
        float(predicted([row], fitted([*rows[:index], *rows[index + 1 :]], kind), kind)[0])
        for index, row in enumerate(rows)
    ]


def fitted(rows: Sequence[dict], kind: Kind | None = None) -> np.ndarray:
    """Logarithms of the forms' factors and of that of shrinking, held near one another, a slope, and levels.

    By least squares of the logarithm of what was lost. A level a network: points are worth more in one than in another.
    """
    kind = kind or Kind()
    lost = np.log([max(row["standard"] - row["top1"], LEAST) for row in rows])

    def missed(given: np.ndarray) -> float:
        apart = np.square(given[: len(KINDS)] - given[: len(KINDS)].mean()).sum()
        size = np.square(given[: len(KINDS)]).mean() + given[len(KINDS)] ** 2
        return float(np.square(lost - predicted(rows, given, kind)).sum() + HELD * apart + SIZED * size)

    networks = len({row["network"] for row in rows})
    first = np.r_[np.zeros(len(KINDS) + 1), 1.0, np.full(networks, lost.mean())]
    found: np.ndarray = minimize(missed, first, method="L-BFGS-B").x
    return found


def predicted(rows: Sequence[dict], given: np.ndarray, kind: Kind) -> np.ndarray:
    """The logarithm of what each row loses."""
    factors = dict(zip(KINDS, np.exp(given), strict=False))
    networks = sorted({row["network"] for row in rows})
    levels = dict(zip(networks, given[len(KINDS) + 2 :], strict=False))
    sums = [
        sum(factors[each["form"]] * each["worth"] ** kind.worth * each[kind.error] for each in row["layers"])
        + kind.shrinks * np.exp(given[len(KINDS)]) * row["shrunk"]
        for row in rows
    ]
    own = np.array([levels[row["network"]] for row in rows])
    return own + given[len(KINDS) + 1] * np.log(sums)


if __name__ == "__main__":
    main()
