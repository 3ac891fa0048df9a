"""GitHub's part of `deployer bootstrap`: done through `gh` where it is, else printed. Shell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployer import github
from deployer.errors import DeployerError, Exit
from deployer.release import repository
from deployer.release.bootstrap import Variable
from deployer.release.repository import Call, Found

Say = Callable[[str], None]


@dataclass(frozen=True)
class Setup:
    """What there is to do on GitHub; `by_hand` says why it is printed, and is empty where `gh` does it."""

    name: str
    found: Found
    by_hand: str = ""

    def plan(self, variables: list[Variable], say: Say) -> bool:
        """Tell what will be done, and return whether anything will be."""
        left = repository.calls(self.name, variables, self.found)
        if self.by_hand:
            return False
        if not left:
            say(f"GitHub {self.name}: nothing to change")
            return False
        say(f"GitHub {self.name} will change:")
        for call in left:
            say(f"  {call.does}")
        return True

    def carry_out(self, variables: list[Variable], say: Say) -> Exit:
        """Do it, or print the commands. Returns exit 1 when GitHub refused what a release needs."""
        left = repository.calls(self.name, variables, self.found)
        if self.by_hand:
            _print(f"now tell GitHub, once ({self.by_hand}):", left, say)
            self._leave_to_people(variables, say)
            return Exit.DONE
        refused: list[Call] = []
        for number, call in enumerate(left):
            is_last = number == len(left) - 1 and "--env" not in call.words
            needed = [one for one in refused if not one.is_optional]
            # The last variable lets releases begin: not before the rest is there.
            reason = "" if is_last and needed else github.Gh().call(call.words)
            if (is_last and needed) or reason:
                refused.append(call)
            say(f"GitHub     {call.does}: {_outcome(reason, waits=bool(is_last and needed))}")
        if refused:
            _print("left to do by hand:", refused, say)
        self._leave_to_people(variables, say)
        return Exit.FAILED if any(not call.is_optional for call in refused) else Exit.DONE

    def _leave_to_people(self, variables: list[Variable], say: Say) -> None:
        """Say what is for people to decide."""
        for line in repository.foreign_branches(self.found):
            say(f"note       {line}")
        production = self.found.environments.get("production")
        has_reviewers = production is not None and bool(production.reviewers)
        if "production" in repository.environments(variables) and not has_reviewers:
            say("note       nobody has to agree to a release to production; to name reviewers:")
            say(f"           https://github.com/{self.name}/settings/environments")
            say("           in a private repository only with GitHub Enterprise: docs/release.md")


def look(name: str, environments: tuple[str, ...], *, prints_only: bool) -> Setup:
    """Read what the repository has (a dozen calls); where `gh` cannot, everything is left to print."""
    gh = github.Gh()
    by_hand = "as asked" if prints_only else gh.unusable()
    if by_hand:
        return Setup(name, Found(), by_hand)
    try:
        about = gh.read(f"repos/{name}")
        if not about or not about.get("permissions", {}).get("admin"):
            return Setup(name, Found(), f"`gh` may not administer {name}")
        return Setup(name, _found(gh, name, environments))
    except DeployerError as error:
        return Setup(name, Found(), f"{error.what}: {error.found}")


def _found(gh: github.Gh, name: str, wanted: tuple[str, ...]) -> Found:
    environments, variables = {}, {}
    listed = gh.read(f"repos/{name}/environments?per_page=100") or {"environments": []}
    there = {about["name"]: about for about in listed["environments"]}
    for environment in wanted:
        if environment not in there:
            continue
        about, path = there[environment], f"repos/{name}/environments/{environment}"
        policies = gh.read(f"{path}/deployment-branch-policies?per_page=100")
        environments[environment] = repository.environment_of(about, policies)
        variables.update(_variables(gh, environment, f"{path}/variables?per_page=30"))
    variables.update(_variables(gh, "", f"repos/{name}/actions/variables?per_page=30"))
    rules = gh.read(f"repos/{name}/rules/branches/{repository.BRANCH}")
    return Found(environments, variables, repository.is_ruled(rules))


def _variables(gh: github.Gh, environment: str, path: str) -> dict[tuple[str, str], str]:
    found = gh.read(path) or {"variables": []}
    return {(environment, one["name"]): one["value"] for one in found["variables"]}


def _print(title: str, calls: list[Call], say: Say) -> None:
    say(f"\n{title}")
    for call in calls:
        say(f"  {call.text}")


def _outcome(reason: str, *, waits: bool) -> str:
    if waits:
        return "waits for what was refused"
    return f"refused: {reason}" if reason else "done"
