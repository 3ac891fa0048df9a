"""What can go wrong besides a step that fails. Pure."""

from __future__ import annotations


class WorkflowError(Exception):
    """GitHub would refuse the file, or it asks for something that is not played here: both end the run."""


class ActionFailedError(Exception):
    """What a third-party action says when it fails; the step fails, as a script's would."""
