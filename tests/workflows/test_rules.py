"""The workflows keep every rule of `rules.py`, and every rule refuses a workflow that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import yaml

from generating import GENERATED
from rules import workflows as rules

ROOT = GENERATED
CI, DEPLOY = rules.WORKFLOWS + "ci.yml", rules.DEPLOY
ROLLBACK, DEPENDABOT = rules.WORKFLOWS + "rollback.yml", ".github/dependabot.yml"
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


def read_files() -> dict[str, str]:
    """Read every workflow and the dependency bot's settings."""
    paths = [*(ROOT / ".github").glob("workflows/*"), ROOT / DEPENDABOT]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_workflows_keep_the_rule(rule: Callable[[rules.Files], list[str]]) -> None:
    """The repository's own workflows break no rule."""
    assert rule(read_files()) == []


@dataclass(frozen=True)
class Mutant:
    """One edit that makes a workflow worse, and the finding it must cause."""

    rule: Callable[[rules.Files], list[str]]
    path: str
    old: str
    new: str
    finding: str


MUTANTS = {
    "a pull request asks for an id-token": Mutant(
        rules.pull_requests_get_no_credentials,
        CI,
        "contents: read # checkout",
        "contents: read # checkout\n      id-token: write # why not",
        "a pull request is granted id-token: write",
    ),
    "a pull request may write packages": Mutant(
        rules.pull_requests_get_no_credentials,
        CI,
        "permissions: {}\n\nconcurrency",
        "permissions: write-all\n\nconcurrency",
        "a pull request is granted all: write-all",
    ),
    "a pull request reads a secret": Mutant(
        rules.pull_requests_get_no_credentials,
        CI,
        "        run: python3 dev.py lint\n",
        "        run: python3 dev.py lint\n        env: { TOKEN: '${{ secrets.TOKEN }}' }\n",
        "a pull request reads secrets",
    ),
    "a pull request enters an environment": Mutant(
        rules.pull_requests_get_no_credentials,
        CI,
        "    needs: check\n",
        "    needs: check\n    environment: staging\n",
        "a pull request enters an environment",
    ),
    "a pull request uses an AWS action": Mutant(
        rules.pull_requests_get_no_credentials,
        CI,
        "astral-sh/setup-uv",
        "aws-actions/amazon-ecr-login",
        "a pull request uses aws-actions/amazon-ecr-login",
    ),
    "the deploy workflow listens to pull requests as well": Mutant(
        rules.pull_requests_get_no_credentials,
        DEPLOY,
        "on:\n  push:",
        "on:\n  pull_request:\n  push:",
        "a pull request is granted id-token: write",
    ),
    "an action is pinned to a tag": Mutant(
        rules.actions_are_pinned_once, CI, CHECKOUT, "actions/checkout@v7", "is not pinned to a commit"
    ),
    "an action is pinned to a short commit": Mutant(
        rules.actions_are_pinned_once, CI, CHECKOUT, CHECKOUT[:-1], "is not pinned to a commit"
    ),
    "an action lacks its version": Mutant(
        rules.actions_are_pinned_once, CI, CHECKOUT + " # v7.0.1", CHECKOUT, "does not say its version"
    ),
    "an action has another pin in one place": Mutant(
        rules.actions_are_pinned_once, ROLLBACK, CHECKOUT, CHECKOUT[:-1] + "0", "has two pins"
    ),
    "an action has another version beside the same pin": Mutant(
        rules.actions_are_pinned_once,
        ROLLBACK,
        CHECKOUT + " # v7.0.1",
        CHECKOUT + " # v7.0.2",
        "has two pins",
    ),
    "a uses hides in a flow mapping": Mutant(
        rules.actions_are_pinned_once,
        CI,
        "- run: python3 dev.py setup",
        "- { name: Set up, uses: some/action@main }",
        "a `uses` is written in a form this check cannot read",
    ),
    "the scanner's action is used": Mutant(
        rules.forbidden_actions_are_absent,
        CI,
        "astral-sh/setup-uv",
        "aquasecurity/trivy-action",
        "aquasecurity/trivy-action",
    ),
    "a job runs in a container": Mutant(
        rules.forbidden_actions_are_absent,
        CI,
        "    needs: check\n",
        "    needs: check\n    container: python:3.13\n",
        "`container` runs an image",
    ),
    "permissions are granted at the top": Mutant(
        rules.permissions_are_minimal,
        DEPLOY,
        "permissions: {}\n",
        "permissions:\n  contents: read # checkout\n",
        "top-level permissions are not empty",
    ),
    "the top-level permissions are left to the default": Mutant(
        rules.permissions_are_minimal, DEPLOY, "permissions: {}\n", "", "top-level permissions are not empty"
    ),
    "a job inherits its permissions": Mutant(
        rules.permissions_are_minimal,
        ROLLBACK,
        "    permissions:\n      contents: read # checkout\n"
        "      id-token: write # assume the environment's deploy role\n",
        "",
        "inherits its permissions",
    ),
    "a grant gives no reason": Mutant(
        rules.permissions_are_minimal,
        CI,
        "contents: read # checkout",
        "contents: read",
        "`contents: read` has no reason",
    ),
    "a job may write to the repository": Mutant(
        rules.permissions_are_minimal,
        DEPLOY,
        "contents: read # checkout",
        "contents: write # tags",
        "grants ('contents', 'write')",
    ),
    "a job gets an id-token it has no use for": Mutant(
        rules.permissions_are_minimal,
        DEPLOY,
        "actions: read # code scanning of a private repository",
        "id-token: write # sign",
        "id-token and assuming a role do not go together",
    ),
    "a checkout keeps its token": Mutant(
        rules.checkouts_keep_no_token,
        DEPLOY,
        "        with: { persist-credentials: false }\n",
        "",
        "a checkout keeps its token",
    ),
    "an expression is pasted into a script": Mutant(
        rules.shell_gets_no_expressions,
        DEPLOY,
        '--version "$VERSION"',
        "--version ${{ steps.apply.outputs.version }}",
        "an expression inside",
    ),
    "a job has no timeout": Mutant(
        rules.jobs_end, CI, "    timeout-minutes: 5\n", "", "no timeout of at most 60 minutes"
    ),
    "a job outlives the AWS session": Mutant(
        rules.jobs_end,
        DEPLOY,
        "timeout-minutes: 15",
        "timeout-minutes: 61",
        "no timeout of at most 60 minutes",
    ),
    "a job outlives GitHub's patience": Mutant(
        rules.jobs_end,
        DEPLOY,
        "timeout-minutes: 350",
        "timeout-minutes: 360",
        "no timeout of at most 350 minutes",
    ),
    "a workflow runs with the base repository's rights": Mutant(
        rules.triggers_and_runners_are_known,
        CI,
        "  pull_request:\n",
        "  pull_request_target:\n",
        "trigger pull_request_target",
    ),
    "a workflow follows another one": Mutant(
        rules.triggers_and_runners_are_known,
        DEPLOY,
        "on:\n  push:\n    branches: [main]\n",
        "on: [push, workflow_run]\n",
        "trigger workflow_run",
    ),
    "a comment starts a workflow": Mutant(
        rules.triggers_and_runners_are_known,
        CI,
        "on:\n  pull_request:\n  merge_group:\n",
        "on: issue_comment\n",
        "trigger issue_comment",
    ),
    "a job runs on a machine of one's own": Mutant(
        rules.triggers_and_runners_are_known,
        CI,
        "runs-on: ubuntu-24.04",
        "runs-on: [self-hosted, linux]",
        "runs on ['self-hosted', 'linux']",
    ),
    "a job calls a workflow": Mutant(
        rules.triggers_and_runners_are_known,
        ROLLBACK,
        "    environment: ${{ inputs.environment }}\n",
        "    uses: ./.github/workflows/other.yml\n",
        "calls a workflow",
    ),
    "a deploy is cancelled by the next push": Mutant(
        rules.only_checks_are_cancelled,
        DEPLOY,
        "cancel-in-progress: false # a cancelled rollout",
        "cancel-in-progress: true # a cancelled rollout",
        "cancel-in-progress is not false",
    ),
    "a workflow has no queue": Mutant(
        rules.only_checks_are_cancelled,
        DEPLOY,
        "concurrency:\n  group: deploy # one release at a time, in the order of the pushes\n"
        "  cancel-in-progress: false # a cancelled rollout would leave traffic split\n",
        "",
        "cancel-in-progress is not false",
    ),
    "production is cancelled by the next production": Mutant(
        rules.only_checks_are_cancelled,
        DEPLOY,
        "group: deploy-production, cancel-in-progress: false",
        "group: deploy-production, cancel-in-progress: true",
        "production: may be cancelled by the next run",
    ),
    "staging and production share a queue": Mutant(
        rules.only_checks_are_cancelled,
        DEPLOY,
        "group: deploy-staging",
        "group: deploy-production",
        "staging: shares a queue with other environments",
    ),
    "a rollback waits for the rollout it should end": Mutant(
        rules.only_checks_are_cancelled,
        ROLLBACK,
        "group: rollback-${{ inputs.environment }}",
        "group: deploy",
        "queue deploy is shared",
    ),
    "the push does not wait for the scan": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "needs: [settings, image]",
        "needs: settings",
        "push does not wait for image",
    ),
    "the push ignores a red scan": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "if: vars.AWS_PUSH_ROLE_ARN != '' #",
        "if: always() && vars.AWS_PUSH_ROLE_ARN != '' #",
        "push may run after a failure",
    ),
    "a red scan lets its job go on": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "        run: deployer scan\n",
        "        run: deployer scan\n        continue-on-error: true\n",
        "continue-on-error",
    ),
    "the scanner runs where AWS can be reached": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "actions: read # code scanning of a private repository",
        "id-token: write # assume the push role",
        "the scanner's job can reach AWS",
    ),
    "an image that was not scanned is pushed": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "deployer push #",
        "deployer push --allow-unscanned #",
        "push may push something else",
    ),
    "the image is built again before the push": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "      - name: Push image\n",
        "      - run: deployer build\n      - name: Push image\n",
        "push may push something else",
    ),
    "another artifact is pushed": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "{ name: image, path: build }",
        "{ name: scan, path: build }",
        "push may push something else",
    ),
    "the image is handed over whatever the scan said": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "- name: Hand over image\n",
        "- name: Hand over image\n        if: always()\n",
        "push may push something else",
    ),
    "production does not wait for staging": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "needs: [settings, push, staging, staging-smoke]",
        "needs: [settings, push, staging-smoke]",
        "production does not wait for staging",
    ),
    "staging does not wait for the push": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "needs: [settings, push]\n",
        "needs: settings\n",
        "staging does not wait for push",
    ),
    "a tag is deployed instead of the digest": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "IMAGE_URI: ${{ needs.push.outputs.image_uri }}",
        "IMAGE_URI: registry/name:latest",
        "staging does not take the image that push handed over",
    ),
    "the plan does not say which image": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        'deployer plan --image "$IMAGE_URI"',
        "deployer plan",
        "does not name the image",
    ),
    "the newest version is rolled out, whoever published it": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        '        env: { VERSION: "${{ steps.apply.outputs.version }}" }\n',
        "",
        "staging may roll out a version it did not publish",
    ),
    "production does not wait for staging's smoke tests": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        "needs: [settings, push, staging, staging-smoke]",
        "needs: [settings, push, staging]",
        "production does not wait for staging-smoke",
    ),
    "staging is smoked while it is released": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        "name: Staging smoke\n    needs: [settings, push, staging]",
        "name: Staging smoke\n    needs: [settings, push]",
        "staging-smoke does not wait for staging",
    ),
    "staging's smoke tests come with the whole deployer": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        "        run: python3 dev.py smoke --collect-only # from a lock of their own, before there are credentials\n",
        "        run: deployer smoke\n",
        "runs more than the smoke tests",
    ),
    "staging's smoke tests are conditional": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        "    name: Staging smoke\n",
        "    name: Staging smoke\n    if: vars.AWS_SMOKE_ROLE_ARN != ''\n",
        "staging-smoke is conditional",
    ),
    "smoke tests may deploy": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        'role-to-assume: "${{ vars.AWS_SMOKE_ROLE_ARN }}"',
        'role-to-assume: "${{ vars.AWS_DEPLOY_ROLE_ARN }}"',
        "does not assume the smoke role alone",
    ),
    "packages are installed beside the smoke role": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        "        run: python3 dev.py smoke --collect-only #",
        "        run: echo #",
        "installs packages beside credentials",
    ),
    "a missing smoke role is found by its action": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        "${AWS_SMOKE_ROLE_ARN:?it is",
        "${AWS_SMOKE_ROLE_ARN:-it is",
        "does not say that its role is missing",
    ),
    "smoke tests run against nothing": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        '        env: { SMOKE_TARGET: "${{ needs.staging.outputs.smoke_target }}" }\n',
        "",
        "does not test what staging released",
    ),
    "the smoke tests of staging are about production": Mutant(
        rules.staging_is_smoked_before_production,
        DEPLOY,
        "    timeout-minutes: 15\n    environment: staging\n",
        "    timeout-minutes: 15\n    environment: production\n",
        "staging-smoke is not about staging",
    ),
    "the scan step is gone": Mutant(
        rules.gate_comes_first,
        DEPLOY,
        "deployer scan",
        "deployer --help",
        "expected one scan, one push and two deployments",
    ),
    "a check comes before the verification": Mutant(
        rules.machinery_is_verified_first,
        CI,
        "run: python3 dev.py verify",
        "run: python3 dev.py setup",
        "does something before `python3 dev.py verify`",
    ),
    "a release does not verify": Mutant(
        rules.machinery_is_verified_first,
        DEPLOY,
        "      - name: Verify machinery\n        run: python3 dev.py verify\n",
        "",
        "does something before `python3 dev.py verify`",
    ),
    "the verification may be left out": Mutant(
        rules.machinery_is_verified_first,
        DEPLOY,
        "        run: python3 dev.py verify\n",
        "        if: vars.VERIFY == 'true'\n        run: python3 dev.py verify\n",
        "does something before `python3 dev.py verify`",
    ),
    "the image is scanned before it is built": Mutant(
        rules.release_reads_in_order,
        DEPLOY,
        "name: Build image",
        "name: Scan image",
        "steps are out of order",
    ),
    "the scan is conditional": Mutant(
        rules.release_reads_in_order,
        CI,
        "- name: Scan image\n",
        "- name: Scan image\n        if: vars.SCAN == 'true'\n",
        "`Scan image` is conditional",
    ),
    "a cancelled rollout is left as it is": Mutant(
        rules.production_is_never_left_split,
        DEPLOY,
        "if: failure() || cancelled()",
        "if: failure()",
        "does not run after both a failure and a cancel",
    ),
    "a red run ends somebody else's rollout": Mutant(
        rules.production_is_never_left_split,
        DEPLOY,
        ' --only-if-owner "$GITHUB_RUN_ID"',
        "",
        "may end somebody else's rollout",
    ),
    "a shell stands between the runner and the rollout": Mutant(
        rules.production_is_never_left_split,
        DEPLOY,
        "run: exec deployer rollout start",
        "run: deployer rollout start",
        "does not get the runner's signals",
    ),
    "nothing rolls back": Mutant(
        rules.production_is_never_left_split,
        DEPLOY,
        "run: deployer rollback",
        "run: deployer status",
        "no rollback after the rollout",
    ),
    "the first push is red": Mutant(
        rules.aws_waits_for_bootstrap,
        DEPLOY,
        "    if: vars.AWS_PUSH_ROLE_ARN != '' # before bootstrap there is nowhere to push to\n",
        "",
        "push does not wait for bootstrap",
    ),
    "nobody is told that nothing was deployed": Mutant(
        rules.aws_waits_for_bootstrap,
        DEPLOY,
        "::notice",
        "::debug",
        "nothing says that AWS is not set up yet",
    ),
    "a job is left out of pass": Mutant(
        rules.one_job_named_pass,
        CI,
        "needs: [check, image, rehearsal]",
        "needs: [check]",
        "pass does not wait for every job",
    ),
    "pass is skipped after a failure": Mutant(
        rules.one_job_named_pass,
        CI,
        "    if: always()\n    needs",
        "    needs",
        "pass is skipped, hence green",
    ),
    "pass counts one success too few": Mutant(
        rules.one_job_named_pass,
        CI,
        '"success success success"',
        '"success success"',
        "pass does not count the successes",
    ),
    "the keys are shuffled": Mutant(
        rules.files_read_alike,
        CI,
        "name: CI\n\non:\n  pull_request:\n  merge_group:\n",
        "on:\n  pull_request:\n  merge_group:\n\nname: CI\n",
        "keys are not in the order",
    ),
    "a workflow does not say what it is for": Mutant(
        rules.files_read_alike,
        ROLLBACK,
        "# Put all traffic",
        "\n# Put all traffic",
        "does not start with its purpose",
    ),
    "a script hides in a step": Mutant(
        rules.files_read_alike,
        CI,
        "        run: deployer build\n",
        "        run: |\n          deployer build\n          echo done\n",
        "a step with more than one command",
    ),
    "a red scan counts as green": Mutant(
        rules.files_read_alike,
        DEPLOY,
        "run: deployer scan",
        "run: deployer scan || true",
        "more than one command",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_rule_refuses_the_mutant(mutant: Mutant) -> None:
    """One edit for the worse is enough to be found, and is named."""
    files = read_files()
    assert mutant.old in files[mutant.path], "the mutant edits a text that is no longer there"
    files[mutant.path] = files[mutant.path].replace(mutant.old, mutant.new, 1)
    yaml.safe_load(files[mutant.path])
    assert any(mutant.finding in finding for finding in mutant.rule(files)), mutant.rule(files)


def test_every_rule_has_a_mutant() -> None:
    """No rule is trusted that was never seen to refuse anything."""
    assert {rule.__name__ for rule in rules.RULES} == {mutant.rule.__name__ for mutant in MUTANTS.values()}
