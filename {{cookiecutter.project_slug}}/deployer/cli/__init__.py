"""What does one type? Commands, options, and what they call. Shell; nothing imports it but `__main__`."""
