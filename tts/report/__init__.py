"""What runs add up to, for people: comparisons, curves, difficulty, length, confidence, and one file with all of it."""
