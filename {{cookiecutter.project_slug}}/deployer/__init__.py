"""Ship the function: build, scan, push, update, canary, roll back. README.md here is the map of the rooms."""
