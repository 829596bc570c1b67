"""What everything else is made of: the nouns, their errors, files on disk, and the store of remembered scores.

It knows nothing of measures, data sets or rerankers, and imports nothing of memeval but itself.
"""
