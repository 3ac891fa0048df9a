"""IAM enforced by the local AWS: what MiniStack's own `AUTH=true` leaves open, closed.

Runs inside MiniStack's environment (but for `settings` and `handler_rights`, which both sides read): these
modules import the standard library, MiniStack and each other. Each part replaces functions of MiniStack, and
fails at start when one of them is missing.
"""
