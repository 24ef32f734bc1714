"""A study as a page with plots, or as tables in Markdown."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from falcon_edge.steps.study.cells import STANDARD
from falcon_edge.steps.study.claims import Claim, claims_of
from falcon_edge.steps.study.columns import FILES, File, interval_of
from falcon_edge.steps.study.groups import Group, ModelGroups, by_model, groups_of, main_groups
from falcon_edge.steps.study.making import TOP1, records_of
from falcon_edge.steps.study.measure import read_folder
from falcon_edge.steps.study.table import entries_of, measured
from runtime_bench import text
from runtime_bench.files import check_outputs, write
from runtime_bench.report import page
from runtime_bench.report.contents import Report, Section
from runtime_bench.report.figures import BESIDE, CLOUD, Figure
from runtime_bench.report.headline import Fact, Headline, certainty
from runtime_bench.report.marks import ACCENT, GREY, INK, SYMBOLS, Mark, axis, interval, line, logarithmic, points
from runtime_bench.report.tables import Cell, Table
from runtime_bench.units import BY_NAME

COLOURS = {STANDARD: INK, "form": ACCENT, "unit": GREY}
Cost = Callable[[Group], float | None]


def write_report(folder: Path, output: Path) -> tuple[Claim, ...]:
    """Write what is made and measured so far, by the suffix of `output` as a page or in Markdown; its claims.

    Raises BadInput where there is no study.
    """
    check_outputs([output])
    study, cells = read_folder(folder)
    records = records_of(folder, cells)
    entries = entries_of(folder)
    networks = by_model(groups_of(cells, records, measured(entries)))
    claims = claims_of(networks)
    made = sum(record.made is not None for record in records.values())
    says = f"{made} of {len(cells)} cells of {Path(study.data).name} are made"
    contents = report_of(says, networks, claims, [certainty(entries)] if entries else [])
    written = markdown(contents) if output.suffix.lower() == ".md" else page.html(contents)
    write(written.encode(), output)
    return claims


def report_of(
    says: str, networks: Sequence[ModelGroups], claims: Sequence[Claim], facts: Sequence[Fact] = ()
) -> Report:
    """The claims, then network by network its plots and tables. facts: what stands above all."""
    sections = [_claims(claims)]
    for number, network in enumerate(networks):
        sections.append(_trades(number, network))
        budgets = _budgets(number, network)
        sections += [] if budgets is None else [budgets]
    return Report((Headline("a study", says, tuple(facts)),), (), tuple(sections))


def _claims(claims: Sequence[Claim]) -> Section:
    rows = tuple((Cell(each.network), Cell(each.claimed), Cell(each.word), Cell(each.says)) for each in claims)
    said = (
        "What the FALCON paper claims, and what was found here. The word is by the means over the seeds that both "
        "have; beside each difference stands its 95% interval, and what that is of."
    )
    tables = (Table("Claims", ("network", "claimed", "here it", "found"), rows),) if rows else ()
    return Section("claims", "Claims", said, (), tables)


def _trades(number: int, network: ModelGroups) -> Section:
    """Accuracy against everything that a network costs."""
    figures = [
        *_figure(f"parameters-{number}", network, "parameters", "", lambda group: group.parameters),
        *_figure(f"macs-{number}", network, "MACs", "", lambda group: group.macs),
    ]
    for file in FILES:
        title = f"p50 latency back to back, {BY_NAME[file.runtime].title} in {file.precision}"
        # An int8 file has an accuracy of its own, that of one seed; fp32 files have the network's.
        own = file.top1 if file.precision == "int8" else None
        figures += _figure(f"{'-'.join(file)}-{number}", network, title, " us", _latency(file), own)
    says = (
        "Plots have every structure after its longest training, with the study's first initialisation, the table has "
        "all. Bars are 95% intervals, of which the table says what they are of; int8's top-1 is that of one file, "
        "of one seed. What was not measured is left out of plots, and empty in the table."
    )
    return Section(f"network-{number}", network.name, says, tuple(figures), (_table(network),))


def _latency(file: File) -> Cost:
    return lambda group: group.figures.get(file.latency())


def _figure(
    name: str, network: ModelGroups, title: str, unit: str, cost: Cost, own: str | None = None
) -> Iterator[Figure]:
    """A plot of what has the cost, if anything has. own: the accuracy of files in the place of the networks'."""
    groups = main_groups(network.groups)
    known = [group for group in groups if cost(group) is not None and (own is None or own in group.figures)]
    if not known:
        return
    data: list[Mark] = []
    for place, group in enumerate(known):
        value = group.mean if own is None else group.figures[own]
        ends = group.interval if own is None else _ends(group, own)
        x = cost(group)
        words = (_said(group), f"{title}: {x:,.6g}{unit}", f"top-1 {100 * value:.2f}%")
        colour = COLOURS[group.cell.kind]
        look = {"color": colour, "size": 9, "symbol": SYMBOLS[place % len(SYMBOLS)]}
        mark = points(_said(group), [x], [100 * value], [words], **look)
        if ends is not None:
            mark["error_y"] = interval([100 * value], [(100 * ends[0], 100 * ends[1])], colour, 1)
        data.append(mark)
    costs = [x for group in known if (x := cost(group)) is not None]
    layout = BESIDE | {"xaxis": logarithmic(min(costs), max(costs), unit, title), "yaxis": axis("%", "top-1, test")}
    whose = "the files' own, of one seed" if own is not None else "the mean over seeds"
    yield Figure(name, f"{network.name}: accuracy ({whose}) against {title}.", CLOUD, data, layout)


def _ends(group: Group, name: str) -> tuple[float, float] | None:
    low, high = (group.figures.get(end) for end in interval_of(name))
    return None if low is None or high is None else (low, high)


def _said(group: Group) -> str:
    """Its name, how it began, and how long and how often it was trained."""
    seeds = f"{len(group.made)} seed{'s' if len(group.made) > 1 else ''}"
    begun = [] if group.cell.init is None else [group.cell.init]
    return ", ".join([group.name, *begun, f"{group.cell.epochs} epochs", seeds])


def _budgets(number: int, network: ModelGroups) -> Section | None:
    """Accuracy against epochs, for what was tuned for several, or begun in several ways."""
    lines: dict[tuple[str, str], list[Group]] = {}
    for group in network.groups:
        if group.cell.init is not None:
            lines.setdefault((group.name, group.cell.init), []).append(group)
    shown = {key: sorted(each, key=lambda group: group.cell.epochs) for key, each in lines.items() if len(each) > 1}
    if not shown:
        return None
    data: list[Mark] = []
    for place, ((name, init), each) in enumerate(shown.items()):
        x, y = [group.cell.epochs for group in each], [100 * group.mean for group in each]
        data.append(line(x, y, GREY))
        words = [(_said(group), f"top-1 {100 * group.mean:.2f}%") for group in each]
        mark = points(f"{name}, {init}", x, y, words, color=ACCENT, size=9, symbol=SYMBOLS[place % len(SYMBOLS)])
        data.append(mark)
    epochs = sorted({group.cell.epochs for each in shown.values() for group in each})
    layout = BESIDE | {"xaxis": axis("", "epochs of tuning") | {"tickvals": epochs}, "yaxis": axis("%", "top-1, test")}
    says = f"{network.name}: accuracy (the mean over seeds) against epochs of tuning, by how it began."
    figure = Figure(f"budgets-{number}", says, CLOUD, data, layout)
    told = "Each point was tuned for so many epochs from the start, its learning rate going down to nothing."
    return Section(f"tuning-{number}", f"{network.name}, by epochs of tuning", told, (figure,), ())


def _table(network: ModelGroups) -> Table:
    """A row a group; what is in no row has no column."""
    titles = ["", "begun by", "epochs", "seeds", "parameters", "MACs", "top-1", "interval", "of"]
    rows = [[*_row(group)] for group in network.groups]
    for file in FILES:
        title = f"{BY_NAME[file.runtime].title} {file.precision}"
        columns = [(file.latency(), f"{title}, us"), (file.latency("paced"), f"{title}, paced, us")]
        columns += [(file.top1, f"{title}, top-1")] if file.precision == "int8" else []
        for name, said in columns:
            if any(name in group.figures for group in network.groups):
                titles.append(said)
                for row, group in zip(rows, network.groups, strict=True):
                    row.append(_measured(group, name))
    return Table(network.name, tuple(titles), tuple(map(tuple, rows)))


def _row(group: Group) -> Iterator[Cell]:
    yield Cell(group.name)
    yield Cell(group.cell.init or "")
    yield Cell(str(group.cell.epochs), group.cell.epochs)
    yield Cell(str(len(group.made)), len(group.made))
    yield Cell(f"{group.parameters:,}", group.parameters)
    yield Cell(f"{group.macs:,}", group.macs)
    yield Cell(f"{100 * group.mean:.2f}%", group.mean)
    ends = group.interval
    yield Cell("" if ends is None else f"{100 * ends[0]:.2f}..{100 * ends[1]:.2f}")
    yield Cell(group.whose)


def _measured(group: Group, name: str) -> Cell:
    """A figure with its interval below it; empty where it was not measured."""
    value = group.figures.get(name)
    if value is None:
        return Cell("")
    scale, form, unit = (100, ".2f", "%") if name.endswith(TOP1) else (1, ",.1f", "")
    ends = _ends(group, name)
    note = "" if ends is None else f"({scale * ends[0]:{form}}..{scale * ends[1]:{form}})"
    return Cell(f"{scale * value:{form}}{unit}", value, note)


def markdown(report: Report) -> str:
    """The texts and tables of a report."""
    (headline,) = report.headlines
    lines = [f"# {text.markdown(headline.says)}", ""]
    for fact in headline.facts:
        lines += [f"{fact.name}: {fact.figure}; {fact.says}.", ""]
    for section in (each for each in report.sections if each.tables):
        lines += [f"## {text.markdown(section.title)}", "", section.says, ""]
        for table in section.tables:
            lines += [_line(table.columns), "|" + "---|" * len(table.columns)]
            lines += [_line([f"{cell.text} {cell.note}".strip() for cell in row]) for row in table.rows]
            lines.append("")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(text.markdown(cell) if cell else '' for cell in cells)} |"
