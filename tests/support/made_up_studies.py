"""Studies whose cells were never made: figures as a test wants them."""

from falcon_edge.steps.study.cells import Cell, cells_of
from falcon_edge.steps.study.document import Study, Sweep
from falcon_edge.steps.study.groups import by_model, groups_of
from falcon_edge.steps.study.making import Made, Record

IMAGES = 10_000


def study(*sweeps, models=("vgg19",), seeds=(0,)):
    return Study(
        models=models,
        widths=(0.25,),
        data="sample",
        seeds=seeds,
        train={"epochs": 20},
        tune={},
        tunings=(10,),
        cells=tuple(Sweep(**sweep) for sweep in sweeps),
    )


def record(cell, top1, parameters=1000, macs=10_000):
    interval = (top1 - 0.005, top1 + 0.005)
    made = Made(network_width=0.25, parameters=parameters, macs=macs, top1=top1, interval=interval, images=IMAGES)
    return Record(cell=cell, made=made, seconds=1.0)


def networks(made_up, figures, costs=None, measured=None):
    """Networks of a study. figures: top-1 by what follows the width in a cell's name; what is left out is not made.

    costs: by a cell's size, (parameters, MACs).
    """
    cells: tuple[Cell, ...] = cells_of(made_up)
    short = {cell.name: cell.name.partition("-0.25-")[2] for cell in cells}
    unknown = {*figures} - {*short.values()}
    assert not unknown, unknown
    records = {
        cell.name: record(cell, figures[short[cell.name]], *(costs or {}).get(cell.size, ()))
        for cell in cells
        if short[cell.name] in figures
    }
    return by_model(groups_of(cells, records, measured or {}))
