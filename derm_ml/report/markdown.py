"""Tables as Markdown."""

from __future__ import annotations

import pandas as pd


def markdown(table: pd.DataFrame) -> str:
    """Every cell as it stands, on one line."""
    texts = [[cell(each) for each in line] for line in [list(table.columns), *table.astype(str).to_numpy().tolist()]]
    lines = [texts[0], ["---"] * len(table.columns), *texts[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(text: object) -> str:
    """Text that ends no cell and no row."""
    return " ".join(str(text).splitlines()).replace("|", "\\|")
