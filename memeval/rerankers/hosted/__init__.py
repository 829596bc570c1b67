"""Calls to other people's machines: one way to ask, wait, retry, pay, remember and fail, for every hosted reranker.

    caller   one call: remembered, or paid for, paced and retried        stream   all queries in flight, in one thread
    faults   what went wrong, in eight words                             answers  raw answers in the cache's file
    pace     how many calls at once, and how many a minute               prices   what calls cost, and the purse
    terms    keys, base URLs, repeats: what the user allows              prompts  prompt files, filled in
    judges   pointwise, listwise, pairwise on top of a chat model        pairs    the pairwise schedule
    replies  chat services' replies taken apart                          ranked   rerank endpoints' replies
    quote    what a run would take and cost, by estimate                 http     a plain client
    dialect  what a service refuses by name, left out from then on       styles   how rerank endpoints want to be asked
    network  certificates and proxies of the shell

Nothing here is on offer by itself; memeval/rerankers holds the kinds that use it.
"""
