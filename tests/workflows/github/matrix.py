"""The rows of a job's matrix. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any


def rows(matrix: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the rows in order; without a matrix one empty row.

    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
    """
    if not matrix:
        return [{}]
    axes = {key: values for key, values in matrix.items() if key not in ("include", "exclude")}
    made = [dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values())] if axes else []
    made = [row for row in made if not any(out.items() <= row.items() for out in matrix.get("exclude") or [])]
    originals = [dict(row) for row in made]
    for extra in matrix.get("include") or []:
        # It is added to each row whose own values it does not overwrite; else it is a row of its own.
        fits = [
            row
            for row, original in zip(made, originals, strict=False)
            if all(original[key] == value for key, value in extra.items() if key in original)
        ]
        if fits:
            for row in fits:
                row.update(extra)
        else:
            made.append(dict(extra))
    return made or [{}]
