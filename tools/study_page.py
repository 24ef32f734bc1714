"""Write the tables of docs/study.md from what is kept of the study: benchmarks/records/study.

    python tools/study_page.py            # the tables alone
    python tools/study_page.py STUDY      # first keep what is made and measured in that folder so far

Kept are the study, the records of its cells and their measurement, without the networks: a study goes on from them, and
`falcon-edge study report benchmarks/records/study -o study.html` draws its plots.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from markers import between

from falcon_edge.documents import canonical_json, read_document
from falcon_edge.steps.study.document import Study
from falcon_edge.steps.study.report import write_report
from falcon_edge.steps.study.run import STUDY
from falcon_edge.steps.study.table import RESULTS, TABLE

ROOT = Path(__file__).parents[1]
PAGE, KEPT = ROOT / "docs/study.md", ROOT / "benchmarks/records/study"


def keep(folder: Path) -> None:
    """Copy what a study has; of its data only the name stays."""
    shutil.rmtree(KEPT, ignore_errors=True)
    shutil.copytree(folder / "cells", KEPT / "cells", ignore=lambda _, names: [n for n in names if n[-5:] != ".json"])
    study = read_document(folder / STUDY, Study)
    (KEPT / STUDY).write_bytes(canonical_json(study.model_copy(update={"data": Path(study.data).name})))
    for name in (TABLE, RESULTS):
        if (folder / name).exists():
            shutil.copy(folder / name, KEPT)


def tables() -> str:
    """What the report says, under headings of a page that has one already."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.md"
        write_report(KEPT, path)
        return path.read_text().removeprefix("# ").strip()


def with_tables(page: str) -> str:
    """The page with fresh tables between its markers."""
    return between(page, "study", tables())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        keep(Path(sys.argv[1]))
    PAGE.write_text(with_tables(PAGE.read_text()))
    print(f"{PAGE.name}: tables written")
