"""What decides the plan of a compression: a rank, a share of MACs, a plan or its file, or a budget for mixed forms."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from falcon_edge.documents import MAXIMUM_DOCUMENT, parse_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms import FALCON, FORMS, form_named
from falcon_edge.falcon.narrow import NARROW, check_plan, narrow_plan
from falcon_edge.falcon.patches import PatchStatistics
from falcon_edge.falcon.plan import EVBMF, Plan, evbmf_plan, make_plan, share_plan, uniform_plan
from falcon_edge.falcon.units import UNITS
from falcon_edge.network import Network
from falcon_edge.steps.planning.budgets import Budget
from runtime_bench.files import read_document

Rank = int | Literal["evbmf"]  # the same in every layer, or what stands out of noise


@dataclass(frozen=True)
class Goal:
    """What decides a plan: exactly one of `rank`, `target_macs` (a share), `plan` (or its file) and `budget`.

    form: of all layers, by `rank` or `target_macs`; FALCON unless it is given. cap_rank, of `rank`: no layer may cost
    more than it did. budget: what forms, mixed, may cost. file: what the plan's file was called, once it was read.
    """

    rank: Rank | None = None
    target_macs: float | None = None
    plan: Plan | Path | None = None
    form: str | None = None
    cap_rank: bool = False
    budget: Budget | None = None
    file: str | None = None

    def checked(self) -> "Goal":
        """With the plan of its file. Raises BadInput for what does not go together."""
        if sum(each is not None for each in (self.rank, self.target_macs, self.plan, self.budget)) != 1:
            raise BadInput("give either `rank`, `target_macs`, `plan` or a budget for mixed forms")
        if isinstance(self.rank, str) and self.rank != EVBMF:
            raise BadInput(f"`rank` {self.rank}: give a whole number, or {EVBMF}")
        if self.cap_rank and not isinstance(self.rank, int):
            raise BadInput("`cap_rank` goes with `rank`, a number")
        if self.form is not None and (self.plan is not None or self.budget is not None):
            raise BadInput("`form` goes with `rank` or `target_macs`: a plan has the form of every layer")
        if self.form == NARROW:
            if self.rank is not None:
                raise BadInput(f"`rank` does not go with {NARROW}, which has none: give `target_macs`")
        else:
            if self.form in UNITS and self.form not in FORMS:
                raise BadInput(
                    f"{self.form}: has normalisation and activations inside, which no closed form fits to a trained "
                    "kernel; train a network of it: `unit` of train"
                )
            form = form_named(self.form or FALCON.name)
            if isinstance(self.rank, int) and self.rank < 1:
                raise BadInput(f"rank {self.rank}: {form.title} needs a rank of at least 1")
        plan, file = (read_plan(self.plan), self.plan.name) if isinstance(self.plan, Path) else (self.plan, self.file)
        if plan is not None and not plan.compresses:
            raise BadInput("this plan changes no layer; nothing to compress")
        return replace(self, plan=plan, file=file)

    def plan_for(
        self,
        network: Network,
        images: Callable[[], Iterator[Tensor]] | None = None,
        statistics: Mapping[str, PatchStatistics] | None = None,
    ) -> Plan:
        """The plan of a network, when the goal was checked. images: by which channels are chosen."""
        module, shape, form = network.module, network.input.shape, self.form or FALCON.name
        if isinstance(self.rank, str):
            return evbmf_plan(module, shape, form=form, statistics=statistics)
        if self.rank is not None:
            return uniform_plan(module, shape, self.rank, form=form, cap=self.cap_rank, statistics=statistics)
        if self.target_macs is not None and form == NARROW:
            return narrow_plan(module, shape, self.target_macs, batches=None if images is None else images())
        if self.target_macs is not None:
            return share_plan(module, shape, self.target_macs, form=form, statistics=statistics)
        assert isinstance(self.plan, Plan)
        check_plan(module, shape, self.plan)
        reasons = {layer.name: layer.reason for layer in self.plan.layers}
        return make_plan(
            *(module, shape, self.plan.replaced), reasons=reasons, statistics=statistics, coupled=self.plan.coupled
        )

    @property
    def said(self) -> dict[str, Any]:
        """What a step says of it, when it was checked."""
        said: dict[str, Any] = {"rank": self.rank, "plan": self.file}
        said |= {} if self.target_macs is None else {"target_macs": self.target_macs}
        said |= {} if self.form is None else {"form": self.form}
        said |= {} if self.budget is None else {"budget": self.budget.said}
        return said | ({"cap_rank": True} if self.cap_rank else {})


def read_plan(path: Path) -> Plan:
    """The plan of a file. Raises BadInput."""
    try:
        data = read_document(path, MAXIMUM_DOCUMENT, "plan")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    return parse_document(data, path, Plan)
