"""Samples as the parts of the records that they came from, so that these can be made again::

    shape = shape_of_dataset(dataset)
    shape.write([parts_of(sample) for sample in samples_of_one_record])

A record's samples have consecutive positions; it begins at ``sample.position - sample.part``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refinement.formats.registry import shape_of
from refinement.formats.shape import LAST, Parts, Shape

if TYPE_CHECKING:
    from refinement.models import Dataset, Sample


def shape_of_dataset(dataset: Dataset) -> Shape:
    """The shape that the dataset was read with."""
    return shape_of(dataset.format, dataset.mapping, turns=dataset.options.get("turns", LAST))


def parts_of(sample: Sample) -> Parts:
    return Parts(
        pair=sample.as_pair(),
        extra=sample.extra,
        layout=tuple(sample.layout),
        part=sample.part,
    )
