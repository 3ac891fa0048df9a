"""Calls of the deployer, as docs and workflows show them, held against its command line. Pure."""

from __future__ import annotations

from typing import Any

import typer.main
from typer.core import TyperGroup

from deployer.cli import main as cli

Command = Any  # typer brings a click of its own, and no public name for its commands
PROGRAM: Command = typer.main.get_command(cli.app)


def find_command(words: list[str]) -> tuple[Command, list[str]]:
    """Follow the words of a call down to a command; return it and the words that are left."""
    command, left = PROGRAM, list(words)
    while isinstance(command, TyperGroup) and left and left[0] in command.commands:
        command = command.commands[left.pop(0)]
    return command, left


def call_faults(words: list[str]) -> list[str]:
    """Return what is wrong with a call of the deployer that a document shows."""
    command, left = find_command(words)
    shown = f"deployer {' '.join(words)}"
    if isinstance(command, TyperGroup):
        return [f"`{shown}`: no such command"]
    known = {name for parameter in command.params for name in parameter.opts}
    return [f"`{shown}`: no option {word}" for word in left if word.startswith("--") and word not in known]


def leaf_commands(command: Command, *names: str) -> list[tuple[str, ...]]:
    """Return the name of every command, its group's name before it."""
    if isinstance(command, TyperGroup):
        return [
            leaf for name, child in command.commands.items() for leaf in leaf_commands(child, *names, name)
        ]
    return [names]
