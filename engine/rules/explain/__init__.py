"""Rules explained to people: phrases, the nearest rule, suggestions, rules that can never match."""
