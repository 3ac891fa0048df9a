"""`python -m deployer`: the same door as the `deployer` command."""

from deployer.cli.main import console

console()
