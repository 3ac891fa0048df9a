"""A local AWS, traffic and faults: a release practised without an AWS account. Development only."""
