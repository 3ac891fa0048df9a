"""Replace a function of MiniStack, and fail at once when this version of it has no such function. Shell."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def replace(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put `make(known)` in the place of `owner.name`; raise AssertionError when there is none."""
    known = getattr(owner, name, None)
    assert callable(known), f"this MiniStack has no `{owner.__name__}.{name}`"
    setattr(owner, name, functools.wraps(known)(make(known)))


def replace_entry(table: dict[str, Any], name: str, make: Callable[[Callable[..., Any]], Any]) -> None:
    """Do the same with an entry of a table of functions."""
    assert callable(table.get(name)), f"this MiniStack has no handler `{name}`"
    table[name] = functools.wraps(table[name])(make(table[name]))
