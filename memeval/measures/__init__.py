"""From rankings and labels to results: one strict order per query, measures on it, intervals and tests over stores.

Pure functions of numbers and ids; nothing here reads a data set, asks a reranker or knows a suite.
"""
