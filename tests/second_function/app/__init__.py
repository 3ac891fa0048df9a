"""The function: everything in here is in the image, and nothing else is."""
