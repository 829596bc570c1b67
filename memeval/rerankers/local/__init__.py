"""Rerankers that run on this machine's devices: transformers by memeval's own way, sentence-transformers, vLLM.

transformers  kind transformers/…, with its two engines: causal_lm (packed, batching) and cross_encoder (pairs)
sentence      kind sentence-transformers/…, with bi_encoder and sentence_pairs
vllm          kind vllm/…, on vllm_engine; vllm_server, kind vllm-server/…, on vllm_client
checkpoint    what a model's folder says of itself; weights finds the folder; prompt is the yes/no prompt
probe         what every engine must show before it scores

Args:
    architecture: causal or classifier; without word what the folder says.
    instruction: what a model that takes one is told: card, mteb, plain, intent, entities, aspect, or the text itself;
        without word the model's own.
    max_length: tokens of query and memory together that are read; without word as many as the model is meant for.
    dtype: of the weights: float32, bfloat16 or float16.
    device: cuda, mps or cpu; without word the first of them that is here.
    prompt: qwen3-reranker asks a causal model as that one is asked, where its folder does not say how.
    cut: what is cut of a pair that is too long: its document alone, or, with longest, always the longer of its texts.
    trust_code: whether code that the model brings is run.
"""
