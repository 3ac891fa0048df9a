"""What next? State and evidence -> one decision, and the write that carries it out. Pure."""
