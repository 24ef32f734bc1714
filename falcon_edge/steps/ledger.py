"""What is in a bundle while files are added to it: every file with its proofs and golden outputs, and what int8 is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from converters.errors import ParityError
from converters.formats import Layout
from converters.parity import Parity
from falcon_edge.bundle import EXPORTS, GOLDEN, Draft
from falcon_edge.manifest import (
    Advice,
    Export,
    Golden,
    LayerLosses,
    Manifest,
    MeasuredParity,
    Output,
    Precision,
    Quantization,
    Rewrites,
    Tolerance,
)
from falcon_edge.notices import notice


@dataclass(frozen=True, kw_only=True)
class Made:
    """A file that was made and proved.

    outputs: what it answers the golden inputs, as it has them. parity: how far each is from what it has to equal, the
    file `against`. loss: how far from float32, the file `lost_against`, for other precisions. tolerances: of every
    output. beside: what belongs beside it, by name.
    """

    file: Path
    target: str
    precision: Precision
    parity: Sequence[Parity]
    against: str
    macs: int
    tolerances: Sequence[Tolerance]
    outputs: Sequence[np.ndarray]
    layout: Layout
    loss: Sequence[Parity] = ()
    lost_against: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    beside: Mapping[str, bytes] | None = None
    rewrites: Rewrites | None = None


class Ledger:
    """The manifest of a draft; with `strict` whatever is doubtful is refused (ParityError)."""

    def __init__(self, draft: Draft, *, strict: bool = False):
        assert draft.manifest is not None
        self._draft, self._strict = draft, strict

    @property
    def manifest(self) -> Manifest:
        """As it is now."""
        assert self._draft.manifest is not None
        return self._draft.manifest

    def card(self, quantization: Quantization | None = None, rewrites: Rewrites | None = None) -> dict[str, Any]:
        """What a file says of itself; an int8 file's with its quantization and its rewrites."""
        return self.manifest.card(quantization, rewrites).model_dump(mode="json")

    def warn(self, text: str) -> None:
        """Say what is doubtful."""
        if self._strict:
            raise ParityError(f"{text} (refused, for it is to be strict)")
        notice(text)

    def count(self, macs: int) -> None:
        """What runs is what counts: the manifest has the exported graph's MACs, should the network's differ."""
        if macs != self.manifest.macs:
            counted = f"{macs:,} MACs in the exported graph, {self.manifest.macs:,} in the network"
            notice(f"{self.manifest.name}: {counted}; the bundle now tells of the graph's")
            self._update(macs=macs)

    def quantize(self, about: Quantization) -> None:
        """Tell of a quantization; int8 files of another one are taken out, for the manifest tells of one."""
        if about != self.manifest.quantization:
            self._drop({made.file for made in self.manifest.exports if made.precision == "int8"})
            self._update(quantization=about)

    def end_with(self, head: tuple[Output, ...]) -> None:
        """Tell that files end with these outputs; those that end with others are taken out."""
        if head != self.manifest.given:
            self._drop({made.file for made in self.manifest.exports})
            self._update(head=head, quantization=None, layer_losses=None)

    def lose(self, losses: LayerLosses) -> None:
        """Tell what int8 costs layer by layer."""
        for text in losses.warnings:
            self.warn(f"int8: {text}")
        self._update(layer_losses=losses)

    def advise(self, advice: Advice) -> None:
        """Put advice on a file in the place of earlier advice on it."""
        others = (given for given in self.manifest.advice if given.file != advice.file)
        self._update(advice=tuple(sorted((*others, advice), key=lambda given: given.file)))

    def add(self, made: Made) -> None:
        """Put a file and its golden outputs into the bundle, in the place of an earlier one of its name."""
        name, golden = f"{EXPORTS}/{made.file.name}", self.manifest.golden
        for warning in made.warnings:
            self.warn(warning)
        self._draft.write(name, made.file.read_bytes())
        for other, data in (made.beside or {}).items():
            self._draft.write(f"{EXPORTS}/{other}", data)
        vectors = []
        for index, vector in enumerate(golden.vectors):
            output = f"{GOLDEN}/{index:02d}.{made.file.name}.output.bin"
            record = b"".join(np.ascontiguousarray(values[index]).tobytes() for values in made.outputs)
            self._draft.write(output, record)
            vectors.append(vector.model_copy(update={"outputs": vector.outputs | {name: output}}))
        entry = Export(
            file=name,
            target=made.target,
            precision=made.precision,
            parity=measured(self.manifest.given, made.parity, made.against),
            loss=measured(self.manifest.given, made.loss, made.lost_against),
            layouts={
                output.name: made.layout
                for output, values in zip(self.manifest.given, made.outputs, strict=True)
                if values.ndim == 4
            },
            macs=made.macs,
            rewrites=made.rewrites,
            notes=made.notes,
            warnings=made.warnings,
        )
        others = (export for export in self.manifest.exports if export.file != name)
        self._update(
            exports=tuple(sorted((*others, entry), key=lambda export: export.file)),
            golden=Golden(
                vectors=tuple(vectors),
                tolerances=tuple(
                    sorted(
                        (
                            *(each for each in golden.tolerances if each.file != name),
                            *(each.model_copy(update={"file": name}) for each in made.tolerances),
                        ),
                        key=lambda each: each.file,
                    )
                ),
            ),
        )

    def _drop(self, former: Collection[str]) -> None:
        """Take files out, with their golden outputs and the advice on int8."""
        golden, vectors = self.manifest.golden, []
        for file in former:
            for path in (self._draft.path / EXPORTS).glob(f"{Path(file).name}*"):  # and what lies beside it
                path.unlink()
        for vector in golden.vectors:
            for file in vector.outputs.keys() & former:
                (self._draft.path / vector.outputs[file]).unlink()
            outputs = {file: output for file, output in vector.outputs.items() if file not in former}
            vectors.append(vector.model_copy(update={"outputs": outputs}))
        self._update(
            exports=tuple(made for made in self.manifest.exports if made.file not in former),
            golden=Golden(
                vectors=tuple(vectors),
                tolerances=tuple(each for each in golden.tolerances if each.file not in former),
            ),
            advice=(),
        )

    def _update(self, **changes: Any) -> None:
        self._draft.manifest = self.manifest.model_copy(update=changes)


def measured(outputs: Sequence[Output], parities: Sequence[Parity], against: str) -> tuple[MeasuredParity, ...]:
    """What a manifest says of how far outputs are from those of the file `against`; of none where nothing was."""
    return tuple(
        MeasuredParity(
            output=output.name,
            against=against,
            samples=parity.samples,
            max_abs=parity.max_abs,
            max_relative=parity.max_relative,
            snr_db=None if np.isinf(parity.snr_db) else parity.snr_db,
        )
        for output, parity in zip(outputs, parities, strict=bool(parities))
    )
