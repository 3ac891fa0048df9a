"""The shipped workflows, run: a repository, a GitHub, an AWS account, and what happens between them.

`world.py` puts them together; each story is one function in a `story_*.py` module and one test in `test_*.py`.
"""
