"""What a workflow sees of GitHub, on this machine: GitHub's own parser and expressions, processes of our own.

Nothing here knows the names of this repository's workflows, jobs or roles. Not played, and said on the page:
concurrency groups, reviewers and filters of `on:` (which are recorded), jobs of one run beside each other, and
the code of third-party actions.
"""
