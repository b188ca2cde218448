"""Modules, layers, networks, initial weights, and weight files."""
