"""`python -m deployer`: the same door as the `deployer` command."""

from deployer.cli import console

console()
