"""Does the safety net hold? A version that cannot answer is released on purpose, and must come back."""
