"""Systems over data sets: suites, plans, runs that can be killed and resumed, and what is derived from them.

suite      what to run                            guard        a reranker behind cache, clock and checks
benchmark  a suite from start to end              runner       one system over its candidates, written down
planning   the same without calling anything      measuring    from a run to its result
shards, merging                                   verification, rescore, parity
"""
