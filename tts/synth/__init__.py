"""Data made from data: stateful problems, further questions about a context, InftyThink rounds."""
