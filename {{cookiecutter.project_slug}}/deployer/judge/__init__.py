"""Is the canary worse? Counts, the evidence that grows with them, the limits, and the sentences. Pure."""
