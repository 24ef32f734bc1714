"""What every epoch came to: a table and TensorBoard's events, also of a run that was broken off."""

import csv
import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec
from falcon_edge.training.fit import fit
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.running import Running

SPEC = InputSpec(shape=(1, 12, 12), mean=(0.3,), std=(0.3,))


class Stopped(Exception):
    pass


def trained(stripes, folder, stop=None, **options):
    dataset, recipe = open_dataset(stripes), Recipe(epochs=3, learning_rate=0.05, batch_size=32)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))

    def progress(done, total, text):
        if stop is not None and text.startswith(f"epoch {stop}/"):
            raise Stopped

    images = Images(dataset.train, SPEC), Images(dataset.val, SPEC)
    return fit(network, *images, recipe, running=Running(curves=folder), progress=progress, **options)


def table(folder):
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def events(folder):
    found = EventAccumulator(str(folder))
    found.Reload()
    return {name: [(each.step, each.value) for each in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_the_table_is_the_training_of_the_bundle(stripes, tmp_path):
    lines = [json.loads(line) for line in trained(stripes, tmp_path / "log").lines().splitlines()]
    rows = table(tmp_path / "log")
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3]
    for row, line in zip(rows, lines, strict=True):
        assert row["loss"] == ("" if line["loss"] is None else str(line["loss"]))
        assert (row["metric"], float(row["value"])) == ("top1", line["quality"]["value"])
        assert float(row["validation_loss"]) == line["validation_loss"]
        assert float(row["learning_rate"] or 0.05) == 0.05


def test_events_are_those_of_the_table(stripes, tmp_path):
    trained(stripes, tmp_path)
    rows, found = table(tmp_path)[1:], events(tmp_path)
    assert found.keys() == {"loss", "validation loss", "validation top1"}
    assert found["loss"] == [(int(row["epoch"]), pytest.approx(float(row["loss"]))) for row in rows]
    assert [value for _, value in found["validation top1"]] == [pytest.approx(float(row["value"])) for row in rows]


def test_a_run_that_goes_on_leaves_the_log_of_an_unbroken_one(stripes, tmp_path):
    with pytest.raises(Stopped):
        trained(stripes, tmp_path / "log", stop=3, checkpoint=tmp_path / "state")
    assert len(table(tmp_path / "log")) == 3
    trained(stripes, tmp_path / "log", checkpoint=tmp_path / "state")
    assert [step for step, _ in events(tmp_path / "log")["loss"]] == [1, 2, 3]
    assert len(table(tmp_path / "log")) == 4


def test_curves_are_whole_where_a_run_was_killed_after_its_last_epoch_was_kept(stripes, tmp_path):
    checkpoint = tmp_path / "state"
    trained(stripes, tmp_path / "whole", checkpoint=checkpoint)
    trained(stripes, tmp_path / "late", checkpoint=checkpoint)
    assert table(tmp_path / "late") == table(tmp_path / "whole")
    assert events(tmp_path / "late")["loss"] == events(tmp_path / "whole")["loss"][-1:]


def test_a_folder_that_cannot_be_written_is_one_line(stripes, tmp_path):
    (tmp_path / "file").write_text("a novel")
    with pytest.raises(BadInput, match=r"file/log: cannot be written \(Not a directory\)"):
        trained(stripes, tmp_path / "file" / "log")


def test_nothing_is_written_where_no_log_is_asked_for(stripes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained(stripes, None)
    assert list(tmp_path.iterdir()) == []
