"""Published collections that need more than inference: how each is known, and what in it is the label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from derm_ml.data.collections.names import plain


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A collection's columns, in `plain` spelling.

    Attributes:
        columns: all of these are there. label: the one that is its label ("": it is found like anybody's).
        values: names of the label's values.
    """

    name: str
    columns: frozenset[str]
    label: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


def _columns(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYOUTS = (
    Layout(name="HAM10000", columns=_columns("lesion_id image_id dx"), label="dx"),
    Layout(name="ISIC 2019", columns=_columns("image mel nv bcc ak bkl df vasc scc unk")),
    Layout(name="ISIC 2018", columns=_columns("image mel nv bcc akiec bkl df vasc")),
    # the diagnosis is "unknown" of four images in five
    Layout(
        name="ISIC 2020", columns=_columns("image_name patient_id benign_malignant target"), label="benign_malignant"
    ),
    # most benign lesions have no diagnosis below the first level: the challenge's label is the target
    Layout(
        name="ISIC 2024",
        columns=_columns("isic_id target iddx_1"),
        label="target",
        values={"0": "benign", "1": "malignant", "0.0": "benign", "1.0": "malignant"},
    ),
    Layout(name="PAD-UFES-20", columns=_columns("patient_id lesion_id img_id diagnostic"), label="diagnostic"),
    Layout(name="Fitzpatrick17k", columns=_columns("md5hash label nine_partition_label"), label="label"),
    Layout(name="Derm7pt", columns=_columns("case_num diagnosis clinic derm"), label="diagnosis"),
    Layout(name="SCIN", columns=_columns("case_id image_1_path"), label="weighted_skin_condition_label"),
    Layout(name="MILK10k", columns=_columns("lesion_id isic_id image_type akiec bcc ben_oth")),
    Layout(name="DDI", columns=_columns("ddi_id ddi_file skin_tone disease"), label="disease"),
    Layout(name="ISIC archive", columns=_columns("isic_id attribution copyright_license")),
)


def recognise(columns: Iterable[str]) -> Layout | None:
    """The first layout whose columns are all there."""
    have = {plain(column) for column in columns}
    return next((layout for layout in LAYOUTS if layout.columns <= have), None)
