"""Training a reranker from what teachers say of pairs: recipe → pool → pairs → votes → strengths → levels → weights.

Every step is a file that can be looked at (see steps.py), and is made once: a step whose inputs have not changed is
read again, so a killed run goes on where it was.
"""
