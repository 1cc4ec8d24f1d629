"""Pure functions on frames and bytes: encodings, levels, outlines, hashes."""
