"""Explanations of rules in English: phrases, the nearest rule, suggestions, rules that can never match."""
