"""Questions by the thousand: given to a service as jobs that it answers within a day, at half the price.

    post        what is to be known of a service's jobs      ledger      what was given to whom, and what came back
    mail        batches as the calls of a system see them    carrying    jobs submitted, looked at and waited for
    collecting  what jobs have answered

openai, gemini, anthropic and run_batch are four ways to hand a job over.

A run by batch makes the same calls as any other. What is not remembered is noted instead of sent, and when all that can
be asked now is noted, it is handed over in jobs; their answers are then taken, understood, paid and remembered by the
same code as those of single calls. This is done until nothing is left to ask, and then the run is made as usual.
"""
