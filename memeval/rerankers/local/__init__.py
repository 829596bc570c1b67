"""Rerankers that run on this machine's devices: transformers by memeval's own way, sentence-transformers, vLLM.

transformers  kind transformers/…, with its two engines: causal_lm (packed, batching) and cross_encoder (pairs)
sentence      kind sentence-transformers/…, with bi_encoder and sentence_pairs
vllm          kind vllm/…, on vllm_engine; vllm_server, kind vllm-server/…, on vllm_client
listwise      kind listwise/…, and reasoning, kind reasoning/…: what they read is in texts, what writes in generation
encoder_decoder  kind encoder-decoder/…; listwise_embedding, kind listwise-embedding/…: a folder's own code
opened        the folder of these last four, and what their scores depend on
checkpoint    what a model's folder says of itself; weights finds the folder; prompt is the yes/no prompt
probe         what every engine must show before it scores

Args:
    architecture: causal or classifier; without word what the folder says.
    device: cuda, mps or cpu; without word the first of them that is here.
"""
