"""The door of the durable function, by the name its deployed configuration holds."""

from deployer.drivers.durable import handler

__all__ = ["handler"]
