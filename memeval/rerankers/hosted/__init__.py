"""Calls to other people's machines: one way to ask, wait, retry, pay, remember and fail, for every hosted reranker.

    caller     one call: remembered, or paid for, paced and retried      stream     all queries in flight, in one thread
    faults     what went wrong, in eight words                           answers    raw answers in the cache's file
    pace       how many calls at once, and how many a minute             prices     what calls cost, and the purse
    terms      keys, base URLs, repeats: what the user allows            prompts    prompt files, filled in
    questions  one question to a chat model, and its answer              judges     pointwise and listwise, of questions
    pairwise   who beats whom, of questions                              replies    chat services' replies taken apart
    responses  the Responses API as chat completions                     ranked     rerank endpoints' replies
    styles     how rerank endpoints want to be asked                     dialect    what a service refuses by name
    estimate   what calls would take                                     quote      what a run would take and cost
    network    certificates and proxies of the shell                     http       a plain client
    batch/     jobs of many requests, answered within a day

On offer are openai, gemini, memos and rerank_api, which are put together from these.
"""
