"""The shipped workflows, run: a repository, a GitHub, an AWS account, and what happens between them.

`making.py` puts a world together. A story is one function that changes the world and asserts; `catalog.py` lists
them, `tests/workflows/test_stories.py` has a test for each, and `python3 dev.py workflows` plays them for people.
"""
