"""The label lab: a reader labels completions, and sees what becomes of the numbers."""
