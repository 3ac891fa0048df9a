"""What does AWS say? The only door to it: clients, errors, metrics, registry, credentials, stacks. Shell."""
