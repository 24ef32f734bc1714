"""Studies that are carried out: alike in one process and in several, broken off, and where a cell fails."""

import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from program import start

from falcon_edge.bundle import open_bundle
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput
from falcon_edge.steps.study.backends import Processes
from falcon_edge.steps.study.cells import cells_of
from falcon_edge.steps.study.document import Study, read_study
from falcon_edge.steps.study.making import Record, Task, read_record, record_path
from falcon_edge.steps.study.measure import measure_study
from falcon_edge.steps.study.run import Means, _with_data, run_study
from runtime_bench.bench import Protocol

CELLS = "standard", "falcon-1-svd", "falcon-1-random", "unit-dsconv-taught", "shuffle-groups2-as-falcon-1"
NAMES = [f"vgg8-0.125-{name}-1-s0" for name in CELLS]


def data_of(file):
    """The data of a study's file."""
    return Path(read_study(file).data).absolute()


def table(folder):
    return (folder / "study.csv").read_bytes()


def test_it_is_made_once_and_another_one_is_refused(file, tmp_path, monkeypatch):
    study, folder = read_study(file), tmp_path / "made"
    said = []
    records = run_study(study, folder, progress=lambda done, total, text: said.append((done, total, text)))
    assert [*records] == NAMES
    assert all(record.made is not None and record.seconds > 0 for record in records.values())
    rows = table(folder).decode().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["cell", *NAMES]
    assert said[-1] == (5, 5, "5 of 5 cells")
    assert any(f"1 of 5 cells; {NAMES[1]}: epoch 1/1" in text for _, _, text in said)
    standard, falcon = (open_bundle(folder / f"cells/{name}.falcon").manifest for name in NAMES[:2])
    assert falcon.lineage.parent.identity == standard.lineage.identity
    assert records[NAMES[1]].made.macs == falcon.macs < standard.macs
    matched = records[NAMES[4]].made
    assert matched.network_width != 0.125
    assert abs(matched.macs / falcon.macs - 1) < 0.2
    assert records[NAMES[3]].notices  # of layers in whose place it cannot stand
    before = {path: path.stat().st_mtime_ns for path in folder.glob("cells/*")}
    assert run_study(study, folder) == records
    assert {path: path.stat().st_mtime_ns for path in folder.glob("cells/*")} == before
    monkeypatch.chdir(tmp_path)  # where the data is must be found from anywhere
    assert read_document(folder / "study.json", Study).data == str(data_of(file))
    other = tmp_path / "other" / data_of(file).name
    other.parent.mkdir()
    arrays = dict(np.load(data_of(file)))
    np.savez(other, **arrays | {"y_train": arrays["y_train"][::-1]})
    with pytest.raises(BadInput, match=rf"{NAMES[0]}.json: is of another digest; write to another folder"):
        run_study(read_study(file, str(other)), folder)
    file.write_text(file.read_text().replace("learning_rate = 0.05", "learning_rate = 0.06"))
    with pytest.raises(BadInput, match=rf"{NAMES[1]}.json: is of another recipe; write to another folder"):
        run_study(read_study(file), folder)


def test_a_record_is_enough_unless_others_begin_with_the_bundle(file, tmp_path):
    file.write_text(file.read_text().replace("seeds = [0]", "seeds = [0, 1]"))
    study, folder = read_study(file), tmp_path / "made"
    said = []
    records = run_study(study, folder, progress=lambda done, total, text: said.append(text))
    firsts = [text for text in said if text.endswith(": begins")]
    assert [text[-len("0: begins")] for text in firsts] == ["0"] * 5 + ["1"] * 5  # a seed after the other
    for path in (folder / "cells").glob("*.falcon"):
        shutil.rmtree(path)
    assert run_study(study, folder) == records
    assert not [*(folder / "cells").glob("*.falcon")]
    record_path(folder, NAMES[1]).unlink()
    run_study(study, folder)
    assert {path.stem for path in (folder / "cells").glob("*.falcon")} == {*NAMES[:2]}


def test_a_bundle_without_a_record_is_not_taken_for_a_cell_that_was_broken_off(file, tmp_path):
    """As one is left where the record of another recipe was removed, as the error says."""
    file.write_text(file.read_text().partition("[[cells]]")[0])
    folder = tmp_path / "made"
    (first,) = run_study(read_study(file), folder).values()
    record_path(folder, NAMES[0]).unlink()
    file.write_text(file.read_text().replace("learning_rate = 0.1", "learning_rate = 0.001"))

    class Killed(BaseException):
        pass

    def kill(done, total, text):
        if "epoch 1/1" in text:
            raise Killed

    with pytest.raises(Killed):
        run_study(read_study(file), folder, progress=kill)
    (second,) = run_study(read_study(file), folder).values()
    assert open_bundle(folder / f"cells/{NAMES[0]}.falcon").manifest.lineage.steps[-1].options["learning_rate"] == 0.001
    assert second.made is not None
    assert second.cell.recipe != first.cell.recipe


def test_other_validation_images_are_other_data(file, tmp_path):
    arrays, digests = dict(np.load(data_of(file))), set()
    for number, values in enumerate([arrays["x_val"], arrays["x_val"][::-1]]):
        other = tmp_path / f"{number}.npz"
        np.savez(other, **arrays | {"x_val": values})
        digests.add(_with_data(read_study(file, str(other))).digest)
    assert len(digests) == 2


@pytest.mark.slow
def test_two_processes_and_one_that_was_killed_make_the_same_table(file, tmp_path):
    study = read_study(file)
    run_study(study, tmp_path / "whole")
    run_study(study, tmp_path / "two", Means(processes=2))
    assert table(tmp_path / "two") == table(tmp_path / "whole")
    killed = start(f"study {file} -o killed --processes 2", tmp_path)
    while not record_path(tmp_path / "killed", NAMES[1]).exists():
        time.sleep(0.02)
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    assert read_record(tmp_path / "killed", cell_named(tmp_path / "whole", NAMES[0])).made is not None
    for _ in range(100):  # its processes end with it
        try:
            run_study(study, tmp_path / "killed")
            break
        except BadInput:
            time.sleep(0.1)
    assert table(tmp_path / "killed") == table(tmp_path / "whole")


def cell_named(folder, name):
    return Record.model_validate_json(record_path(folder, name).read_text()).cell


def test_a_cell_that_fails_is_tried_again_and_costs_the_others_nothing(file, tmp_path):
    study, folder = read_study(file), tmp_path / "made"
    (folder / "cells").mkdir(parents=True)
    in_the_way = folder / "cells" / f"{NAMES[2]}.falcon"
    in_the_way.write_text("no bundle")
    said = []
    records = run_study(study, folder, progress=lambda done, total, text: said.append(text))
    assert [record.failed is None for record in records.values()] == [True, True, False, True, True]
    assert "exists and is not a bundle" in records[NAMES[2]].failed
    assert len([text for text in said if text.startswith(f"{NAMES[2]} failed: ")]) == 1
    (row,) = [row for row in table(folder).decode().splitlines() if row.startswith(NAMES[2])]
    assert "exists and is not a bundle" in row
    in_the_way.unlink()
    assert all(record.failed is None for record in run_study(study, folder).values())


def test_what_begins_with_a_network_that_failed_fails_too(file, tmp_path):
    folder = tmp_path / "made"
    (folder / "cells").mkdir(parents=True)
    (folder / "cells" / f"{NAMES[0]}.falcon").write_text("no bundle")
    records = run_study(read_study(file), folder)
    assert [records[name].failed for name in NAMES[1:4]] == [f"{NAMES[0]}, which it begins with, failed"] * 3


@pytest.mark.slow
def test_a_process_that_dies_is_a_cell_that_failed(tmp_path, stripes, user_module):
    user_module("def net(): import os; os._exit(7)\n")
    path = tmp_path / "study.toml"
    path.write_text(
        f'models = ["users_own:net", "vgg8"]\ndata = "{stripes}"\n[train]\nepochs = 1\nlearning_rate = 0.1\n'
    )
    records = run_study(read_study(path), tmp_path / "made", Means(processes=2))
    assert records["users_own-net-1-standard-1-s0"].failed == "its process ended with 7"
    assert records["vgg8-1-standard-1-s0"].failed is None


@pytest.mark.slow
def test_a_process_that_was_ended_between_two_cells_is_begun_anew(file, tmp_path):
    (cell, *_) = cells_of(read_study(file))
    backend, task = Processes(1), Task(tmp_path, cell, str(tmp_path / "nothing"))
    for _ in range(2):
        backend.start(task)
        assert "cannot be written" in backend.event().failed  # as there is no folder of cells
        (worker,) = backend._workers
        worker.process.kill()
        worker.process.join()
    backend.close()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_an_interruption_ends_all_processes_and_leaves_no_half_bundle(file, tmp_path, processes):
    file.write_text(file.read_text().replace("epochs = 1\n", "epochs = 500\n", 1))
    running = start(f"study {file} -o made --processes {processes}", tmp_path)
    for line in running.stderr:
        if "epoch 2" in line:
            break
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 130
    assert running.communicate()[1].strip().splitlines()[-1] == "interrupted"
    left = {path.name for path in (tmp_path / "made/cells").iterdir()}
    name = NAMES[0].replace("-1-s0", "-500-s0")
    assert {f"{name}.json", f".{name}.checkpoint"} <= left
    assert {path.rpartition(".")[2] for path in left} == {"json", "checkpoint"}  # no bundle, no part of one, no lock


@pytest.mark.parametrize(
    ("means", "said"),
    [
        ({"processes": 0}, "`processes` 0: at least 1"),
        ({"processes": 2, "ray": True}, "give either `processes` or `ray`"),
    ],
)
def test_means_that_cannot_be(means, said):
    with pytest.raises(BadInput, match=said):
        Means(**means)


@pytest.mark.slow
def test_what_was_measured_of_a_cell_stays_when_its_bundle_goes(file, tmp_path):
    study = read_study(file)
    run_study(study.model_copy(update={"cells": study.cells[:1]}), tmp_path / "made")
    protocol = Protocol(runs=2, seconds=0.0, processes=1, rounds=1, warm_up_seconds=0.0, every=0)
    measured, failed = measure_study(tmp_path / "made", protocol, samples=10)
    whole = table(tmp_path / "made")
    shutil.rmtree(next((tmp_path / "made/cells").glob("*falcon-1-svd*.falcon")))
    again, lacking = measure_study(tmp_path / "made", protocol, samples=10)
    assert failed == lacking == ()
    assert {entry.model.sha256 for entry in again.entries} == {entry.model.sha256 for entry in measured.entries}
    assert table(tmp_path / "made") == whole
    other, lacking = measure_study(tmp_path / "made", replace(protocol, runs=3), samples=10)  # is not mixed with it
    assert len(other.entries) == 4
    assert "no such bundle" in lacking[0]
