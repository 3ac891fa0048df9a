"""Which link between checkout, GitHub and AWS does not hold? Each is compared; a command mends it."""
