"""Ship the function: build, scan, push, update, canary, roll back.

Pure modules decide (`model`, `config`, `plan`, `canary`, `evidence`, `report`), shell modules act
(`aws`, `image`, `scanner`, `rollout`, `cli`). `tests/deployer/test_structure.py` keeps it so.
"""
