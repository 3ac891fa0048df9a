"""The workflows keep every rule of `rules/`, and every rule refuses a workflow that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import yaml

from generating import GENERATED
from rules import credentials, reading, release, work
from rules import workflows as rules
from rules.reading import CI, DEPLOY

ROOT = GENERATED
ROLLBACK = reading.WORKFLOWS + "rollback.yml"
CONTROL, WATCH = reading.WORKFLOWS + "control.yml", reading.WORKFLOWS + "watch.yml"
PRUNE = reading.WORKFLOWS + "prune.yml"
GAMEDAY = reading.WORKFLOWS + "gameday.yml"
CHECKS = reading.ACTIONS + "checks/action.yml"
SETUP, ASSUME_ROLE = reading.ACTIONS + "setup/action.yml", reading.ACTIONS + "assume-role/action.yml"
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


def read_files() -> dict[str, str]:
    """Read every workflow and local action."""
    github = ROOT / ".github"
    paths = [*github.glob("workflows/*"), *github.glob("actions/*/action.yml")]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_workflows_keep_the_rule(rule: Callable[[reading.Files], list[str]]) -> None:
    """The repository's own workflows break no rule."""
    assert rule(read_files()) == []


@dataclass(frozen=True)
class Mutant:
    """One edit that makes a workflow worse, and the finding it must cause."""

    rule: Callable[[reading.Files], list[str]]
    path: str
    old: str
    new: str
    finding: str


MUTANTS = {
    "a pull request asks for an id-token": Mutant(
        credentials.pull_requests_get_no_credentials,
        CI,
        "contents: read # checkout",
        "contents: read # checkout\n      id-token: write # why not",
        "a pull request is granted id-token: write",
    ),
    "a pull request may write packages": Mutant(
        credentials.pull_requests_get_no_credentials,
        CI,
        "permissions: {}\n\nconcurrency",
        "permissions: write-all\n\nconcurrency",
        "a pull request is granted all: write-all",
    ),
    "a pull request reads a secret": Mutant(
        credentials.pull_requests_get_no_credentials,
        CI,
        "        run: deployer scan\n",
        "        run: deployer scan\n        env: { TOKEN: '${{ secrets.TOKEN }}' }\n",
        "a pull request reads secrets",
    ),
    "a pull request enters an environment": Mutant(
        credentials.pull_requests_get_no_credentials,
        CI,
        "    needs: settings\n",
        "    needs: settings\n    environment: staging\n",
        "a pull request enters an environment",
    ),
    "a pull request uses an AWS action": Mutant(
        credentials.pull_requests_get_no_credentials,
        SETUP,
        "astral-sh/setup-uv",
        "aws-actions/amazon-ecr-login",
        "a pull request uses aws-actions/amazon-ecr-login",
    ),
    "a pull request signs in to a registry": Mutant(
        credentials.pull_requests_get_no_credentials,
        CI,
        "      - uses: $/.github/actions/checks\n",
        "      - uses: docker/login-action@0000000000000000000000000000000000000000 # v4.0.0\n",
        "a pull request uses docker/login-action",
    ),
    "the deploy workflow listens to pull requests as well": Mutant(
        credentials.pull_requests_get_no_credentials,
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
    "a local action uses a tag": Mutant(
        rules.actions_are_pinned_once,
        SETUP,
        "setup-uv@20cfd1bf945f4377ade1205e4dbc17946fc9a30d",
        "setup-uv@v10",
        "is not pinned to a commit",
    ),
    "an action is read from the checkout, which a step may have changed": Mutant(
        rules.actions_are_pinned_once,
        CI,
        "uses: $/.github/actions/checks",
        "uses: ./.github/actions/checks",
        "./.github/actions/checks is not pinned to a commit",
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
        "- uses: $/.github/actions/checks",
        "- { name: Set up, uses: some/action@main }",
        "a `uses` is written in a form this check cannot read",
    ),
    "the scanner's action is used": Mutant(
        rules.forbidden_actions_are_absent,
        SETUP,
        "astral-sh/setup-uv",
        "aquasecurity/trivy-action",
        "aquasecurity/trivy-action",
    ),
    "a job runs in a container": Mutant(
        rules.forbidden_actions_are_absent,
        CI,
        "    needs: settings\n",
        "    needs: settings\n    container: python:3.13\n",
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
        "    permissions:\n      contents: read # checkout\n      id-token: write # assume the environment's rollback role\n",
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
    "who writes issues may become a role": Mutant(
        rules.permissions_are_minimal,
        WATCH,
        "      issues: write # the one issue of the watch\n",
        "      id-token: write # look as well\n      issues: write # the one issue of the watch\n",
        "may write to people and become a role",
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
        "    timeout-minutes: 10\n",
        "    timeout-minutes: 10\n    uses: ./.github/workflows/other.yml\n",
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
        "concurrency:\n  group: deploy #",
        "env:\n  group: deploy #",
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
    "nobody decided what becomes of those that wait": Mutant(
        rules.only_checks_are_cancelled,
        CONTROL,
        "  queue: max # every wish is carried out, in the order in which they were made\n",
        "",
        "does not say what becomes of runs that wait",
    ),
    "a game day runs beside a release": Mutant(
        rules.game_days_wait_for_releases,
        GAMEDAY,
        "group: deploy-staging",
        "group: gameday-staging",
        "gameday: runs beside a release",
    ),
    "a game day becomes the role that deploys": Mutant(
        credentials.roles_are_those_of_the_environment,
        GAMEDAY,
        "    environment: staging-gameday\n",
        "    environment: staging\n",
        "runs in environment staging, expected staging-gameday",
    ),
    "control waits for the rollout it should change": Mutant(
        rules.only_checks_are_cancelled,
        CONTROL,
        "group: control-${{ inputs.environment }}",
        "group: deploy",
        "queue deploy is shared",
    ),
    "the push does not wait for the scan": Mutant(
        release.jobs_wait_for_each_other,
        DEPLOY,
        "needs: [settings, checks, image, smoke]",
        "needs: [settings, checks, smoke]",
        "push does not wait for image",
    ),
    "the push ignores a red scan": Mutant(
        release.jobs_wait_for_each_other,
        DEPLOY,
        "if: vars.AWS_PUSH_ROLE_ARN != '' #",
        "if: always() && vars.AWS_PUSH_ROLE_ARN != '' #",
        "push may run after a failure",
    ),
    "a red scan lets its job go on": Mutant(
        release.gate_comes_first,
        DEPLOY,
        "        run: deployer scan\n",
        "        run: deployer scan\n        continue-on-error: true\n",
        "continue-on-error",
    ),
    "the scanner runs where AWS can be reached": Mutant(
        release.gate_comes_first,
        DEPLOY,
        "actions: read # code scanning of a private repository",
        "id-token: write # assume the push role",
        "image can reach AWS",
    ),
    "an image that was not scanned is pushed": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        "deployer push --config-digest",
        "deployer push --allow-unscanned --config-digest",
        "may take something else",
    ),
    "the image is built again before the push": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        "      - name: Push image\n",
        "      - run: deployer build\n      - name: Push image\n",
        "may take something else",
    ),
    "another artifact is pushed": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        "{ name: image, path: build }",
        "{ name: scan, path: build }",
        "may take something else",
    ),
    "the image is handed over whatever the scan said": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        "- name: Hand over image\n",
        "- name: Hand over image\n        if: always()\n",
        "may take something else",
    ),
    "production does not wait for staging": Mutant(
        release.jobs_wait_for_each_other,
        DEPLOY,
        "needs: [settings, push, staging, staging-smoke, production-plan]",
        "needs: [settings, push, staging-smoke, production-plan]",
        "production does not wait for staging",
    ),
    "staging does not wait for the push": Mutant(
        release.jobs_wait_for_each_other,
        DEPLOY,
        "needs: [settings, push]\n",
        "needs: settings\n",
        "staging does not wait for push",
    ),
    "a release is started by hand": Mutant(
        release.only_main_is_released,
        DEPLOY,
        "on:\n  push:\n",
        "on:\n  workflow_dispatch:\n  push:\n",
        "something else than a push to main",
    ),
    "every branch is released": Mutant(
        release.only_main_is_released,
        DEPLOY,
        "    branches: [main]\n",
        "    branches: ['**']\n",
        "something else than a push to main",
    ),
    "a release has a job that nothing waits for": Mutant(
        release.jobs_wait_for_each_other,
        DEPLOY,
        "  checks:\n    name: Lint, types, tests\n",
        "  check:\n    name: Lint, types, tests\n",
        "expected the jobs",
    ),
    "a release does without the checks of a pull request": Mutant(
        release.jobs_wait_for_each_other,
        DEPLOY,
        "needs: [settings, checks, image, smoke]",
        "needs: [settings, image, smoke]",
        "push does not wait for checks",
    ),
    "a tag is deployed instead of the digest": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        "IMAGE_URI: ${{ needs.push.outputs.image_uri }}",
        "IMAGE_URI: registry/name:latest",
        "staging does not take the image that push handed over",
    ),
    "the digest is the smoke tests' word": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        "config_digest: ${{ steps.scan.outputs.config_digest }}",
        "config_digest: ${{ steps.settings.outputs.config_digest }}",
        "does not say which digest it scanned",
    ),
    "the digest comes from the job that pushes": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        'CONFIG_DIGEST: "${{ needs.image.outputs.config_digest }}"',
        'CONFIG_DIGEST: "${{ steps.push.outputs.config_digest }}"',
        "push does not compare",
    ),
    "the image is not compared with what was scanned": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        ' --config-digest "$CONFIG_DIGEST"',
        "",
        "push does not compare",
    ),
    "attestations are switched off for public repositories": Mutant(
        release.origin_is_verified,
        DEPLOY,
        "vars.ATTESTATIONS == 'true' || !github.event.repository.private",
        "vars.ATTESTATIONS == 'true'",
        "decides in another way",
    ),
    "nobody asks who built the image": Mutant(
        release.origin_is_verified,
        DEPLOY,
        '        run: deployer verify-attestation --image "$IMAGE_URI"\n',
        "        run: deployer --help\n",
        "staging does not verify who built the image",
    ),
    "the tag is attested": Mutant(
        release.origin_is_verified,
        DEPLOY,
        "subject-digest: sha256:${{ steps.push.outputs.image_sha256 }}",
        "subject-digest: ${{ github.sha }}",
        "attests something else",
    ),
    "what is pushed is not attested": Mutant(
        release.origin_is_verified,
        DEPLOY,
        "      - name: Attest provenance\n        if: needs.settings.outputs.attests == 'true'\n",
        "      - name: Attest provenance\n        if: vars.ATTEST == 'yes'\n",
        "push does not attest what it pushes",
    ),
    "the plan does not say which image": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        'deployer plan --image "$IMAGE_URI"',
        "deployer plan",
        "does not name the image",
    ),
    "the newest version is rolled out, whoever published it": Mutant(
        release.one_image_goes_through,
        DEPLOY,
        '        env: { VERSION: "${{ steps.apply.outputs.version }}" }\n',
        "",
        "staging may roll out a version it did not publish",
    ),
    "production does not wait for staging's smoke tests": Mutant(
        release.jobs_wait_for_each_other,
        DEPLOY,
        "needs: [settings, push, staging, staging-smoke, production-plan]",
        "needs: [settings, push, staging, production-plan]",
        "production does not wait for staging-smoke",
    ),
    "staging is smoked while it is released": Mutant(
        release.jobs_wait_for_each_other,
        DEPLOY,
        "name: Staging smoke\n    needs: [settings, push, staging]",
        "name: Staging smoke\n    needs: [settings, push]",
        "staging-smoke does not wait for staging",
    ),
    "staging's smoke tests come with the whole deployer": Mutant(
        release.staging_is_smoked_before_production,
        DEPLOY,
        "        run: python3 dev.py smoke --collect-only # before there are credentials\n",
        "        run: deployer smoke\n",
        "runs more than the smoke tests",
    ),
    "staging's smoke tests are conditional": Mutant(
        release.staging_is_smoked_before_production,
        DEPLOY,
        "    name: Staging smoke\n",
        "    name: Staging smoke\n    if: vars.AWS_SMOKE_ROLE_ARN != ''\n",
        "staging-smoke is conditional",
    ),
    "smoke tests may deploy": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        'role: "${{ vars.AWS_SMOKE_ROLE_ARN }}"',
        'role: "${{ vars.AWS_DEPLOY_ROLE_ARN }}"',
        "expected AWS_SMOKE_ROLE_ARN",
    ),
    "a rollback is offered elsewhere": Mutant(
        credentials.people_choose_from_a_list,
        ROLLBACK,
        "options: [production, staging]",
        "options: [production, anywhere]",
        "offers the environments",
    ),
    "the environment of a rollback is free text": Mutant(
        credentials.people_choose_from_a_list,
        ROLLBACK,
        "        type: choice\n        options: [production, staging]\n",
        "        type: string\n",
        "environment decides something, and is free text",
    ),
    "a reason decides where the job runs": Mutant(
        credentials.people_choose_from_a_list,
        CONTROL,
        "group: control-${{ inputs.environment }}",
        "group: control-${{ inputs.environment }}-${{ inputs.reason }}",
        "reason decides something, and is free text",
    ),
    "what is deleted is free text": Mutant(
        credentials.people_choose_from_a_list,
        PRUNE,
        "        type: boolean\n        default: false\n",
        "        type: string\n",
        "delete decides something, and is free text",
    ),
    "the database is an old one": Mutant(
        release.gate_comes_first,
        DEPLOY,
        "        run: deployer scan\n",
        "        run: deployer scan --no-download\n",
        "the scan has options",
    ),
    "a job keeps a cache": Mutant(
        credentials.installer_is_pinned_and_shares_nothing,
        DEPLOY,
        "      - uses: $/.github/actions/checks\n",
        "      - uses: actions/cache@0000000000000000000000000000000000000000 # v6.1.0\n",
        "shares a cache",
    ),
    "uv decides about a cache": Mutant(
        credentials.installer_is_pinned_and_shares_nothing,
        SETUP,
        "        enable-cache: false # any job could write it, and a job with credentials would install from it\n",
        "",
        "shares uv's cache",
    ),
    "uv may use a cache": Mutant(
        credentials.installer_is_pinned_and_shares_nothing,
        SETUP,
        "enable-cache: false",
        "enable-cache: true",
        "shares uv's cache",
    ),
    "the newest uv is installed": Mutant(
        credentials.installer_is_pinned_and_shares_nothing,
        SETUP,
        "version: 0.12.4",
        "version: latest",
        "takes whatever uv is the newest",
    ),
    "a job with a role fetches a package": Mutant(
        credentials.credentials_are_beside_few_packages,
        ROLLBACK,
        "      - name: Show what is live now\n",
        "      - run: pip install boto3\n      - name: Show what is live now\n",
        "fetches something",
    ),
    "a job with a role runs the linters": Mutant(
        credentials.credentials_are_beside_few_packages,
        ROLLBACK,
        "      - name: Show what is live now\n",
        "      - run: python3 dev.py lint\n      - name: Show what is live now\n",
        "runs a task that installs everything",
    ),
    "a job with a role installs everything": Mutant(
        credentials.credentials_are_beside_few_packages,
        ROLLBACK,
        "        with: { only: deployer }\n",
        "",
        "installs more than it needs",
    ),
    "a role stands in the file": Mutant(
        credentials.roles_are_those_of_the_environment,
        ROLLBACK,
        '"${{ vars.AWS_ROLLBACK_ROLE_ARN }}"',
        "arn:aws:iam::123456789012:role/admin",
        "expected AWS_ROLLBACK_ROLE_ARN",
    ),
    "the checks do without types": Mutant(
        release.checks_are_the_same,
        CHECKS,
        "      run: python3 dev.py types\n",
        "      run: python3 dev.py verify\n",
        "nothing runs `python3 dev.py types`",
    ),
    "a pull request is not linted": Mutant(
        release.checks_are_the_same,
        CI,
        "      - uses: $/.github/actions/checks\n",
        "",
        "ci.yml: nothing runs `python3 dev.py lint`",
    ),
    "a job reads an environment's variables without a role": Mutant(
        credentials.environments_go_with_roles,
        DEPLOY,
        "    name: Lint, types, tests\n",
        "    name: Lint, types, tests\n    environment: production-plan\n",
        "enters an environment",
    ),
    "a role is assumed on a condition": Mutant(
        credentials.environments_go_with_roles,
        ASSUME_ROLE,
        "    - uses: aws-actions/configure-aws-credentials@",
        "    - if: inputs.role != ''\n      uses: aws-actions/configure-aws-credentials@",
        "becomes a role on a condition",
    ),
    "staging's role works on production's versions": Mutant(
        credentials.roles_are_those_of_the_environment,
        PRUNE,
        "DEPLOY_ENV: staging",
        "DEPLOY_ENV: production",
        "works on production with the role of staging",
    ),
    "staging's versions are removed by production's role": Mutant(
        credentials.roles_are_those_of_the_environment,
        PRUNE,
        '"${{ vars.AWS_STAGING_PRUNE_ROLE_ARN }}"',
        '"${{ vars.AWS_PRODUCTION_PRUNE_ROLE_ARN }}"',
        "expected AWS_STAGING_PRUNE_ROLE_ARN",
    ),
    "the watch may deploy": Mutant(
        credentials.roles_are_those_of_the_environment,
        WATCH,
        'role: "${{ vars.AWS_PLAN_ROLE_ARN }}"',
        'role: "${{ vars.AWS_DEPLOY_ROLE_ARN }}"',
        "expected AWS_PLAN_ROLE_ARN",
    ),
    "nobody is told which role is missing": Mutant(
        credentials.roles_are_those_of_the_environment,
        ASSUME_ROLE,
        "    - name: Find role\n",
        "    - name: Look\n",
        "does not say that AWS_PUSH_ROLE_ARN is missing",
    ),
    "a job knows another role as well": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        '        env: { CONFIG_DIGEST: "${{ needs.image.outputs.config_digest }}" }',
        '        env: { CONFIG_DIGEST: "${{ needs.image.outputs.config_digest }}", X: "${{ vars.AWS_STACK_ROLE_ARN }}" }',
        "push: knows AWS_STACK_ROLE_ARN as well",
    ),
    "staging goes on as another role after an hour": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        "AWS_DEPLOY_ROLE_ARN: ${{ vars.AWS_DEPLOY_ROLE_ARN }}",
        "AWS_DEPLOY_ROLE_ARN: ${{ vars.AWS_PUSH_ROLE_ARN }}",
        "AWS_DEPLOY_ROLE_ARN is ${{ vars.AWS_PUSH_ROLE_ARN }}",
    ),
    "production's plan asks production's reviewers": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        "environment: production-plan #",
        "environment: production #",
        "production-plan: runs in environment production,",
    ),
    "production's plan is made with the right to deploy": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        'role: "${{ vars.AWS_PLAN_ROLE_ARN }}"',
        'role: "${{ vars.AWS_DEPLOY_ROLE_ARN }}"',
        "expected AWS_PLAN_ROLE_ARN",
    ),
    "control becomes the role that deploys": Mutant(
        credentials.roles_are_those_of_the_environment,
        CONTROL,
        '"${{ vars.AWS_ROLLBACK_ROLE_ARN }}"',
        '"${{ vars.AWS_DEPLOY_ROLE_ARN }}"',
        "expected AWS_ROLLBACK_ROLE_ARN",
    ),
    "a rollback waits for reviewers": Mutant(
        credentials.roles_are_those_of_the_environment,
        ROLLBACK,
        "environment: ${{ inputs.environment }}-rollback",
        "environment: ${{ inputs.environment }}",
        "expected ${{ inputs.environment }}-rollback",
    ),
    "a job does not say where it works": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        "      DEPLOY_ENV: staging\n",
        "",
        "does not say which environment it works on",
    ),
    "staging's job works on production": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        "DEPLOY_ENV: staging",
        "DEPLOY_ENV: production",
        "works on production with the role of staging",
    ),
    "staging becomes the role that pushes": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        'role: "${{ vars.AWS_DEPLOY_ROLE_ARN }}"',
        'role: "${{ vars.AWS_PUSH_ROLE_ARN }}"',
        "staging: becomes ['${{ vars.AWS_PUSH_ROLE_ARN }}'], expected AWS_DEPLOY_ROLE_ARN",
    ),
    "packages are installed beside the smoke role": Mutant(
        release.staging_is_smoked_before_production,
        DEPLOY,
        "        run: python3 dev.py smoke --collect-only #",
        "        run: echo #",
        "does not collect, then get credentials, then test",
    ),
    "a missing smoke role is found by its action": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        "variable: AWS_SMOKE_ROLE_ARN",
        "variable: AWS_DEPLOY_ROLE_ARN",
        "does not say that AWS_SMOKE_ROLE_ARN is missing",
    ),
    "smoke tests run against nothing": Mutant(
        release.staging_is_smoked_before_production,
        DEPLOY,
        '        env: { SMOKE_TARGET: "${{ needs.staging.outputs.smoke_target }}" }\n',
        "",
        "does not test what staging released",
    ),
    "the smoke tests of staging are about production": Mutant(
        credentials.roles_are_those_of_the_environment,
        DEPLOY,
        "    timeout-minutes: 15\n    environment: staging\n",
        "    timeout-minutes: 15\n    environment: production\n",
        "staging-smoke: runs in environment production, expected staging",
    ),
    "the scan step is gone": Mutant(
        release.gate_comes_first,
        DEPLOY,
        "deployer scan",
        "deployer --help",
        "expected one scan, one smoke, one push",
    ),
    "a check comes before the verification": Mutant(
        credentials.machinery_is_verified_first,
        SETUP,
        "run: python3 dev.py verify",
        "run: python3 dev.py setup",
        "does something before `python3 dev.py verify`",
    ),
    "a release does not verify": Mutant(
        credentials.machinery_is_verified_first,
        DEPLOY,
        "      - uses: $/.github/actions/setup\n        with: { only: deployer }\n",
        "",
        "does something before `python3 dev.py verify`",
    ),
    "the verification may be left out": Mutant(
        credentials.machinery_is_verified_first,
        SETUP,
        "    - name: Verify machinery\n",
        "    - name: Verify machinery\n      if: github.event_name == 'push'\n",
        "may leave out `python3 dev.py verify`",
    ),
    "the image is scanned before it is built": Mutant(
        release.release_reads_in_order,
        DEPLOY,
        "name: Build image",
        "name: Scan image",
        "steps are out of order",
    ),
    "the scan is conditional": Mutant(
        release.release_reads_in_order,
        CI,
        "- name: Scan image\n",
        "- name: Scan image\n        if: vars.SCAN == 'true'\n",
        "`Scan image` is conditional",
    ),
    "a cancelled rollout is left as it is": Mutant(
        release.production_is_never_left_split,
        DEPLOY,
        "if: failure() || cancelled()",
        "if: failure()",
        "does not run after both a failure and a cancel",
    ),
    "a red run ends somebody else's rollout": Mutant(
        release.production_is_never_left_split,
        DEPLOY,
        ' --only-if-owner "$GITHUB_RUN_ID"',
        "",
        "may end somebody else's rollout",
    ),
    "a shell stands between the runner and the rollout": Mutant(
        release.production_is_never_left_split,
        DEPLOY,
        "run: exec deployer rollout start",
        "run: deployer rollout start",
        "does not get the runner's signals",
    ),
    "nothing rolls back": Mutant(
        release.production_is_never_left_split,
        DEPLOY,
        "run: deployer rollback",
        "run: deployer status",
        "no rollback after the rollout",
    ),
    "the first push is red": Mutant(
        credentials.aws_waits_for_bootstrap,
        DEPLOY,
        "    if: vars.AWS_PUSH_ROLE_ARN != '' # before bootstrap there is nowhere to push to\n",
        "",
        "push does not wait for bootstrap",
    ),
    "nobody is told that nothing was deployed": Mutant(
        credentials.aws_waits_for_bootstrap,
        DEPLOY,
        "::notice",
        "::debug",
        "nothing says that AWS is not set up yet",
    ),
    "a job is left out of pass": Mutant(
        rules.one_job_named_pass,
        CI,
        "needs: [settings, checks, image, rehearsal]",
        "needs: [settings, checks, image]",
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
        '"success success success success"',
        '"success success success"',
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
    "some pull requests are not checked": Mutant(
        work.workflows_start_when_they_should,
        CI,
        "  pull_request:\n",
        "  pull_request:\n    paths: [app/**]\n",
        "ci.yml: leaves some of pull_request unchecked",
    ),
    "nobody looks each day": Mutant(
        work.workflows_start_when_they_should,
        WATCH,
        "  schedule:\n    - cron: 17 5 * * * # each day\n",
        "",
        "watch.yml: starts by workflow_dispatch, expected schedule, workflow_dispatch",
    ),
    "a pull request is not scanned": Mutant(
        work.jobs_do_their_work,
        CI,
        "      - name: Scan image\n        run: deployer scan\n",
        "",
        "ci.yml image: does not run `deployer scan` in its turn",
    ),
    "nobody is shown production's plan": Mutant(
        work.jobs_do_their_work,
        DEPLOY,
        '      - name: Plan\n        run: deployer plan --image "$IMAGE_URI"\n\n  production:',
        "\n  production:",
        "deploy.yml production-plan: does not run `deployer plan",
    ),
    "a script of the repository runs beside a role": Mutant(
        work.jobs_do_their_work,
        ROLLBACK,
        "        run: deployer status\n",
        "        run: deployer status\n      - name: Tell\n        run: app/tell\n",
        "runs `app/tell` beside a role",
    ),
    "a release leaves production out": Mutant(
        work.jobs_run_when_they_should,
        DEPLOY,
        "    name: Production\n",
        "    name: Production\n    if: vars.PRODUCTION == 'true'\n",
        "deploy.yml production: runs if vars.PRODUCTION == 'true', expected no condition",
    ),
    "the button releases what somebody names": Mutant(
        work.checkouts_take_the_commit,
        CONTROL,
        "with: { persist-credentials: false }",
        'with: { persist-credentials: false, ref: "${{ inputs.version }}" }',
        "a checkout takes another ref",
    ),
    "somebody else's repository is built": Mutant(
        work.checkouts_take_the_commit,
        DEPLOY,
        "with: { persist-credentials: false }",
        "with: { persist-credentials: false, repository: someone/else }",
        "a checkout takes another repository",
    ),
    "nobody sees why a rollout was changed": Mutant(
        work.runs_by_hand_say_who_and_what,
        CONTROL,
        " by ${{ github.actor }}: ${{ inputs.reason }}",
        " by ${{ github.actor }}",
        "control.yml: its run-name lacks inputs.reason",
    ),
    "nobody sees who pressed the button": Mutant(
        work.runs_by_hand_say_who_and_what,
        ROLLBACK,
        " by ${{ github.actor }}",
        "",
        "rollback.yml: its run-name lacks github.actor",
    ),
    "looking at a rollout warns of events that nobody expects": Mutant(
        rules.nothing_to_keep_is_no_warning,
        CONTROL,
        ", if-no-files-found: ignore",
        "",
        "control.yml control: `Keep events` warns where there is nothing to keep",
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
