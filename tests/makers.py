"""How the makers of rerankers compute their scores, written once more from their cards and code.

For each family a tiny random model of its architecture, saved as the makers publish theirs, and their formula: the
prompt read as one text, or in the parts that their code reads, one pair at a time, through a plain forward pass of
transformers in float32. Nothing here knows how memeval does it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, layer_norm, linear, normalize

from tests import models
from tests.models import CHATML

QUERY = "when do the roses bloom?"
DOCUMENTS = [
    "the roses bloom in june",
    "",
    "tea",
    "\n\nlead",
    "ends\n",
    " spaced ",
    "the boat leaks, " * 20,
    "(1) 北京的茶",
]
CHAT = "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
JUDGE = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the "
    'answer can only be "yes" or "no".'
)
HELPFUL = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
EXPERT = (
    "You are a search relevance expert who evaluates how well documents match search queries. For each query-document "
    "pair, carefully analyze the semantic relationship between them, then provide your binary relevance judgment (0 "
    "for not relevant, 1 for relevant).\nRelevance:"
)
GEMMA = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a "
    "prediction of either 'Yes' or 'No'."
)
Scores = Callable[[Path, str, Sequence[str]], list[float]]


@dataclass(frozen=True)
class Maker:
    """How a tiny model of a family is saved, and what its makers compute; `documents` are what it is asked about.

    `prompt` is what a model that writes an order reads: few of its words move an order.
    """

    build: Callable[[Path], Path]
    scores: Scores
    documents: Sequence[str] = tuple(DOCUMENTS)
    prompt: Callable[[str, Sequence[str]], str] | None = None


def loaded(folder: Path, auto: str = "AutoModel", **more: Any) -> tuple[Any, Any]:
    """A folder's model, by one of transformers' classes, and its tokenizer."""
    import transformers

    model = getattr(transformers, auto).from_pretrained(folder, dtype=torch.float32, **more)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def seen(folder: Path, query: str, document: str) -> Any:
    """The last hidden states of a pair, as the tokenizer joins it."""
    model, tokenizer = loaded(folder)
    with torch.no_grad():
        return model(**tokenizer([query], [document], return_tensors="pt")).last_hidden_state[0]


# ---- pairs


def classified(folder: Path, query: str, documents: Sequence[str]) -> list[float]:
    """BGE's card: the pairs in one batch, padded; the one logit."""
    model, tokenizer = loaded(folder, "AutoModelForSequenceClassification")
    batch = tokenizer([[query, text] for text in documents], padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        scores: list[float] = model(**batch).logits.view(-1).tolist()
    return scores


def modernbert(folder: Path, query: str, documents: Sequence[str]) -> list[float]:
    """ModernBERT's head by hand: the first state, or the mean of all, through dense, GELU, norm and classifier."""
    from transformers import AutoConfig

    held, config = load_file(folder / "model.safetensors"), AutoConfig.from_pretrained(folder)
    found = []
    for text in documents:
        states = seen(folder, query, text)
        pooled = states[0] if config.classifier_pooling == "cls" else states.mean(0)
        made = gelu(linear(pooled, held["head.dense.weight"]))
        made = layer_norm(made, made.shape, held["head.norm.weight"], eps=config.norm_eps)
        found.append(float(linear(made, held["classifier.weight"], held["classifier.bias"])))
    return found


def ettin(folder: Path, query: str, documents: Sequence[str]) -> list[float]:
    """Its modules by hand: the first state, dense without bias, GELU, LayerNorm, dense to one number."""
    first, norm, last = (
        load_file(folder / part / "model.safetensors") for part in ("2_Dense", "3_LayerNorm", "4_Dense")
    )
    found = []
    for text in documents:
        made = gelu(linear(seen(folder, query, text)[0], first["linear.weight"]))
        made = layer_norm(made, made.shape, norm["norm.weight"], norm["norm.bias"])
        found.append(float(linear(made, last["linear.weight"], last["linear.bias"])))
    return found


def turned(folder: Path, query: str, documents: Sequence[str]) -> list[float]:
    """What the code of models.own_code makes of a classifier."""
    return [-score for score in classified(folder, query, documents)]


def averaged(folder: Path, texts: Sequence[str], *, framed: bool) -> list[float]:
    """A decoder whose attention sees both ways: the mean of the last states, the score head, the temperature."""
    import json

    from transformers import AutoTokenizer, LlamaConfig, LlamaModel

    tokenizer, held = AutoTokenizer.from_pretrained(folder), load_file(folder / "model.safetensors")
    told = (folder / "config.json").read_text()
    model, warmth = LlamaModel(LlamaConfig.from_pretrained(folder)).eval(), json.loads(told)["temperature"]
    model.load_state_dict({name[6:]: value for name, value in held.items() if name.startswith("model.")})
    found = []
    for text in texts:
        ids = torch.tensor([tokenizer(text, add_special_tokens=framed)["input_ids"]])
        both = torch.zeros(1, 1, ids.shape[1], ids.shape[1])  # nothing is masked
        with torch.no_grad():
            states = model(input_ids=ids, attention_mask=both).last_hidden_state[0]
        found.append(float(linear(states.mean(0), held["score.weight"])) / warmth)
    return found


# ---- yes or no


def mxbai(query: str, document: str, aim: str | None = None) -> list[str]:
    asked = f"query: {query}" if aim is None else f"instruction: {aim}\nquery: {query}"
    before, after = CHAT.format(system=HELPFUL, user="|").split("|im_start|>user\n|")[0], CHAT.partition("{user}")[2]
    return [f"{before}|im_start|>user\n", asked, "\n", f"document: {document}", "\n", EXPERT, after]


def zerank(query: str, document: str, aim: str | None = None) -> list[str]:
    return [CHAT.format(system=query, user=document)]


def ctxl(query: str, document: str, aim: str | None = None) -> list[str]:
    task = "Check whether a given document contains information helpful to answer the query."
    return [f"{task}\n<Document> {document}\n<Query> {query}{'' if aim is None else f' {aim}'} ??"]


def qwen3(query: str, document: str, aim: str | None = None) -> list[str]:
    aim = "Given a web search query, retrieve relevant passages that answer the query" if aim is None else aim
    user = f"<Instruct>: {aim}\n<Query>: {query}\n<Document>: {document}"
    return [CHAT.format(system=JUDGE, user=user) + "<think>\n\n</think>\n\n"]


def qwen3_vl(query: str, document: str, aim: str | None = None) -> list[str]:
    aim = "Given a search query, retrieve relevant candidates that answer the query." if aim is None else aim
    return [CHAT.format(system=JUDGE, user=f"<Instruct>: {aim}<Query>:{query}\n<Document>:{document}")]


PRISM = (
    'Judge if the document is relevant to the query. Reply "yes" or "no".\n'
    'On "yes", also emit:\n'
    "<contribution>One sentence covering every core point the document contributes to the query, without elaboration."
    "</contribution>\n"
    "<evidence>Self-contained rewrite of the query-relevant content. Rules:\n"
    "- Faithful: rephrase only; add or infer nothing.\n"
    "- Self-contained: evidence alone must fully answer the query.\n"
    "- Concise: drop query-irrelevant background.\n"
    "- Verbatim (no translation): proper nouns, terms, abbreviations, numbers, dates, code, URLs.\n"
    "- Output language: multilingual doc -> query's language; else doc's language.</evidence>"
)


def prism(query: str, document: str, aim: str | None = None) -> list[str]:
    system = "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    user = f"<Instruct>: {PRISM}\n<Query>: {query}\n<Document>: {document}"
    return [CHAT.format(system=system, user=user) + "<think>\n\n</think>\n\n"]


def gemma(query: str, document: str, aim: str | None = None) -> list[str]:
    return [f"A: {query}", "\n", f"B: {document}", "\n", GEMMA]


def templated(query: str, document: str, aim: str | None = None) -> list[str]:
    """A template of a folder's own, of those whose makers say no more than that it is there."""
    return [f"<|im_start|>user\nQuery: {query}\nDocument: {document}<|im_end|>\n<|im_start|>assistant\n"]


def said(
    folder: Path,
    query: str,
    documents: Sequence[str],
    parts: Callable[..., list[str]],
    yes: str | int,
    no: str | int | None = None,
    divisor: float = 1.0,
    aim: str | None = None,
) -> list[float]:
    """The logit of one token, or of one less another, behind a prompt."""
    sees = "vision_config" in (folder / "config.json").read_text()
    model, tokenizer = loaded(folder, "AutoModelForImageTextToText" if sees else "AutoModelForCausalLM")
    first, second = (
        answer if answer is None or isinstance(answer, int) else tokenizer.convert_tokens_to_ids(answer)
        for answer in (yes, no)
    )
    found = []
    for document in documents:
        ids = list(tokenizer("")["input_ids"])
        for part in parts(query, document, aim):
            ids += tokenizer(part, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            last = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
        found.append(float(last[first] - (last[second] if second is not None else 0)) / divisor)
    return found


VENDORS: dict[str, tuple[Callable[..., list[str]], str | int, str | None, float]] = {
    "mxbai-rerank-v2": (mxbai, "1", "0", 1.0),
    "zerank": (zerank, "Yes", None, 5.0),
    "ctxl-rerank-v2": (ctxl, 0, None, 1.0),
    "qwen3-reranker": (qwen3, "yes", "no", 1.0),
    "qwen3-vl-reranker": (qwen3_vl, "yes", "no", 1.0),
    "bge-reranker-v2-gemma": (gemma, "Yes", None, 1.0),
    "prism-reranker": (prism, "yes", "no", 1.0),
}
"""Family → its prompt as its makers' code reads it, the tokens that are read, and what is divided by."""
ARCHITECTURES = {
    "mxbai-rerank-v2": ["Qwen2"],
    "zerank": ["Qwen3"],
    "ctxl-rerank-v2": ["Qwen3", "Mistral"],
    "qwen3-reranker": ["Qwen3"],
    "qwen3-vl-reranker": ["Qwen3VL"],
    "bge-reranker-v2-gemma": ["Gemma"],
    "prism-reranker": ["Qwen3_5"],
}


def asked(family: str, architecture: str = "", aim: str | None = None) -> Maker:
    """The family's prompt on one of its architectures."""
    parts, yes, no, divisor = VENDORS[family]
    name = architecture or ARCHITECTURES[family][0]
    build = partial(models.causal, name=name)
    return Maker(build, partial(said, parts=parts, yes=yes, no=no, divisor=divisor, aim=aim))


# ---- embeddings


def mean(folder: Path, query: str, documents: Sequence[str]) -> list[float]:
    """The cosine of the means of the texts' token vectors."""
    model, tokenizer = loaded(folder)

    def vector(text: str) -> Any:
        with torch.no_grad():
            return model(**tokenizer([text], return_tensors="pt")).last_hidden_state[0].mean(0)

    first = vector(query)
    return [float(torch.cosine_similarity(first, vector(text), dim=0)) for text in documents]


def interacting(
    folder: Path, query: str, documents: Sequence[str], layout: str = "stanford", attends: bool = False
) -> list[float]:
    """ColBERT's own way: a mark behind the first token, mask tokens up to a query's length, documents' punctuation
    left out; each vector of the query with the nearest one of the document, added up.
    """
    import string

    from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if layout == "pylate":
        weight = load_file(folder / "1_Dense" / "model.safetensors")["linear.weight"]
        model, marks, skipped = AutoModel.from_pretrained(folder), ("[Q] ", "[D] "), ",;?"
    else:
        held = load_file(folder / "model.safetensors")
        weight, marks, skipped = held["linear.weight"], ("[unused0]", "[unused1]"), string.punctuation
        model = BertModel(BertConfig.from_pretrained(folder))
        model.load_state_dict({name[5:]: value for name, value in held.items() if name.startswith("bert.")})
    left_out = {tokenizer.convert_tokens_to_ids(mark) for mark in skipped} - {tokenizer.unk_token_id}

    def vectors(text: str, side: int) -> torch.Tensor:
        length = (16, 20)[side]
        first, *rest = tokenizer(text, truncation=True, max_length=length - 1)["input_ids"]
        ids = [first, tokenizer.convert_tokens_to_ids(marks[side]), *rest]
        more = 0 if side else length - len(ids)
        told = [1] * len(ids) + [int(attends)] * more
        ids += [tokenizer.mask_token_id] * more
        with torch.no_grad():
            batch = {"input_ids": torch.tensor([ids]), "attention_mask": torch.tensor([told])}
            made = normalize(model.eval()(**batch).last_hidden_state[0] @ weight.T, dim=1)
        return made[[not side or token not in left_out for token in ids]]

    return [float((vectors(query, 0) @ vectors(text, 1).T).max(1).values.sum()) for text in documents]


def one_window(
    folder: Path, query: str, documents: Sequence[str], query_length: int = 3072, document_length: int = 2048
) -> list[float]:
    """What the code of models.listed makes of a window: the cosines of the texts' last tokens, both projected."""
    from transformers import AutoTokenizer, Qwen3Model

    tokenizer, held = AutoTokenizer.from_pretrained(folder), load_file(folder / "model.safetensors")
    model = Qwen3Model.from_pretrained(folder, dtype=torch.float32).eval()
    parts = [[*tokenizer.encode(text)[:document_length], 7] for text in documents]
    parts.append([*tokenizer.encode(query)[:query_length], 8])
    with torch.no_grad():
        states = model(torch.tensor([[token for part in parts for token in part]])).last_hidden_state[0]
    *found, last = (states @ held["projector.weight"].T)[torch.tensor([len(part) for part in parts]).cumsum(0) - 1]
    return [float(torch.cosine_similarity(one, last, dim=0)) for one in found]


# ---- what is written


def greedy(folder: Path, ids: list[int], most: int, end: str = "<|im_end|>") -> list[int]:
    """The most probable token each time, from whole forward passes, up to the token that ends a turn."""
    model, tokenizer = loaded(folder, "AutoModelForCausalLM")
    made: list[int] = []
    while len(made) < most:
        with torch.no_grad():
            token = int(model(torch.tensor([ids + made])).logits[0, -1].argmax())
        if token == tokenizer.convert_tokens_to_ids(end):
            break
        made.append(token)
    return made


ORDERS = [" > ".join(f"[{number}]" for number in order) for order in permutations((1, 2, 3, 4))]
FEW = [*DOCUMENTS[:1], "tea", "the boat leaks, " * 12, "(1) 北京的茶", "the shed is [2] green", " spaced "]
LIGHTON = "Query: {query}\n\nRank these passages from most to least relevant:\n{items}\n\nRanking:"
RANK = "Rank the {n} passages above based on their relevance to the search query. "
FIRST = (
    "I will provide you with {n} passages, each indicated by a numerical identifier []. Rank the passages based on "
    "their relevance to the search query: {query}.\n"
)
RANKLLM = "You are RankLLM, an intelligent assistant that can rank passages based on their relevancy to the query"
CONCISE = (
    "All the passages should be included and listed using identifiers, in descending order of relevance. The output "
    "format should be [] > [], e.g., [2] > [1], Answer concisely and directly and only respond with the ranking "
    "results, do not say any word or explain."
)
REASONED = (
    "You are RankLLM, an intelligent assistant that can rank passages based on their relevance to the query. Given a "
    "query and a passage list, you first thinks about the reasoning process in the mind and then provides the answer "
    "(i.e., the reranked passage list). The reasoning process and answer are enclosed within <think> </think> and "
    "<answer> </answer> tags, respectively, i.e., <think> reasoning process here </think> <answer> answer here "
    "</answer>."
)
ANSWERED = (
    "All the passages should be included and listed using identifiers, in descending order of relevance. The format of "
    "the answer should be [] > [], e.g., [2] > [1]."
)
ZEPHYR = "<|system|>\n{system}</s>\n<|user|>\n{user}</s>\n<|assistant|>\n"


def lighton(query: str, texts: Sequence[str], thought: str = "") -> str:
    items = "\n".join(f"[{number}]: {text}" for number, text in enumerate(texts, 1))
    user = LIGHTON.format(query=query, items=items)
    return f"<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{thought}"


def plain(text: str) -> str:
    """A text in which no number looks like a passage's."""
    import re

    return re.sub(r"\[(\d+)\]", r"(\1)", text).strip()


def listed(query: str, texts: Sequence[str], chat: str, system: str, gap: str, last: str) -> str:
    """The passages as RankGPT shows them, in the model's own chat format."""
    asked, count = plain(query), len(texts)
    items = "".join(f"[{number}] {plain(text)}\n" for number, text in enumerate(texts, 1))
    end = f"Search Query: {asked}.\n{RANK.format(n=count)}{last}"
    return chat.format(system=system, user=f"{FIRST.format(n=count, query=asked)}{gap}{items}{end}")


Spans = list[tuple[int, int]]


def lightons(count: int) -> Spans:
    """LightOn's windows of four: they begin two places earlier each time, the last one with the first document."""
    starts = [*range(max(0, count - 4), -1, -2)]
    starts += [] if starts[-1] == 0 else [0]
    ends = [min(start + 4, count) for start in starts]
    return [(max(0, end - 4), end) for end in ends]


def rankgpts(count: int) -> Spans:
    """RankGPT's windows of twenty: their end moves by ten, until one begins with the first document."""
    found, end = Spans(), count
    while not found or found[-1][0] > 0:
        found.append((max(0, end - 20), end))
        end -= 10
    return found


def windowed(
    folder: Path,
    query: str,
    documents: Sequence[str],
    prompt: Callable[[str, Sequence[str]], str],
    spans: Callable[[int], Spans],
    end: str = "<|im_end|>",
) -> list[float]:
    """Windows of documents, each put in the order that is written for it; minus the rank."""
    import re

    from transformers import AutoTokenizer

    tokenizer, order = AutoTokenizer.from_pretrained(folder), list(range(len(documents)))
    for first, last in spans(len(order)):
        shown = order[first:last]
        ids = tokenizer.encode(prompt(query, [documents[place] for place in shown]))
        written = tokenizer.decode(greedy(folder, ids, 30, end)).rpartition("</think>")[2]
        order[first:last] = [shown[int(number) - 1] for number in re.findall(r"\[(\d+)\]", written)]
    return [-float(order.index(place)) for place in range(len(order))]


RANK1 = (
    "Determine if the following passage is relevant to the query. Answer only with 'true' or 'false'.\n"
    "Query: {q}\nPassage: {d}\n<think>"
)


def rank1(folder: Path, query: str, documents: Sequence[str], thought: str = "</think>") -> list[float]:
    """logit(" true") - logit(" false") behind the whole text with its thought."""
    model, tokenizer = loaded(folder, "AutoModelForCausalLM")
    true, false = (tokenizer.convert_tokens_to_ids(answer) for answer in (" true", " false"))
    found = []
    for text in documents:
        ids = tokenizer.encode(RANK1.format(q=query, d=text) + thought)
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        found.append(float(logits[true] - logits[false]))
    return found


# ---- encoder and decoder


def monot5(folder: Path, query: str, documents: Sequence[str], yes: str = "▁true", no: str = "▁false") -> list[float]:
    """The decoder's first step."""
    model, tokenizer = loaded(folder, "AutoModelForSeq2SeqLM")
    true, false = tokenizer.convert_tokens_to_ids([yes, no])
    found = []
    for text in documents:
        batch = tokenizer(f"Query: {query} Document: {text} Relevant:", return_tensors="pt")
        with torch.no_grad():
            logits = model(**batch, decoder_input_ids=torch.tensor([[0]])).logits[0, 0]
        found.append(float(logits[true] - logits[false]))
    return found


KALM = (
    "<bos><start_of_turn>user\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".\n\n<Instruct>: {i}\n<Query>: {q}<end_of_turn>\n'
    "<start_of_turn>model\n\n\n\n"
)


def kalm(
    folder: Path,
    query: str,
    documents: Sequence[str],
    pooled: int = 4,
    instruction: str = "Given a query, retrieve documents that answer the query.",
) -> list[float]:
    """The encoder's states of a document in chunks, their means, the decoder over them, yes against no."""
    from transformers.modeling_outputs import BaseModelOutput

    model, tokenizer = loaded(folder, "AutoModelForSeq2SeqLM")
    told = {"add_special_tokens": False, "return_tensors": "pt"}
    asked = tokenizer(KALM.format(i=instruction, q=query), **told)["input_ids"]
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    found = []
    for text in documents:
        ids = tokenizer(f"<Document>: {text}", **told)["input_ids"]
        with torch.no_grad():
            states = model.get_encoder()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
            means = [states[start : start + pooled].mean(0) for start in range(0, len(states), pooled)]
            hidden = torch.stack(means)[None]
            logits = model(
                encoder_outputs=BaseModelOutput(hidden),
                attention_mask=torch.ones(hidden.shape[:2], dtype=torch.long),
                decoder_input_ids=asked,
            ).logits[0, -1]
        found.append(float(logits[yes] - logits[no]))
    return found


# ---- every family


def jinja(text: str) -> str:
    """A template of that text for the roles query and document, as rerankers are published with."""
    for role in ("query", "document"):
        chosen = f'messages | selectattr("role", "eq", "{role}") | map(attribute="content") | first'
        text = text.replace("{" + role + "}", "{{ " + chosen + " }}")
    return text + "\n"  # jinja drops the last newline


OWN = jinja(templated("{query}", "{document}")[0])
ZEPHYRS = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
FOLDERS = Maker(
    lambda folder: models.logit_score(folder, OWN, "Yes", "No", family="Qwen3_5"),
    partial(said, parts=templated, yes="Yes", no="No"),
)
"""A causal model that is asked as its folder says."""


def classifier(name: str, **config: Any) -> Maker:
    return Maker(partial(models.classifier, name=name, max_position_embeddings=8192, **config), modernbert)


def colbert(layout: str) -> Maker:
    documents = [*DOCUMENTS, "roses, in june; is it?", "the boat leaks " * 9]
    return Maker(partial(models.colbert, layout=layout), partial(interacting, layout=layout), documents)


def orders(family: str, spans: Callable[[int], Spans], prompt: Callable[..., str], count: int, **more: Any) -> Maker:
    """A model that writes the order of four texts which the prompt asks for."""
    thoughts, template, end = more.get("thoughts", "{}"), more.get("template", CHATML), more.get("end", "<|im_end|>")
    told = {"family": family, "template": template, "end": end}
    return Maker(
        partial(models.writing, wrote=[thoughts.format(order) for order in ORDERS], **told),
        partial(windowed, prompt=prompt, spans=spans, end=end),
        FEW[:count],
        prompt,
    )


THOUGHT = "<think>\n\n</think>\n\n"
MAKERS: dict[str, Maker] = {
    "bge-reranker": Maker(partial(models.xlm_roberta, max_position_embeddings=8194), classified),
    "ettin-reranker": Maker(models.modular, ettin),
    "jina-reranker-v2": Maker(
        lambda folder: models.own_code(folder, folder / "mark", "XLMRoberta", max_position_embeddings=1026), turned
    ),
    "modernbert-rerankers": classifier("modernbert", classifier_pooling="mean"),
    "granite-embedding-reranker-english-r2": classifier("modernbert", classifier_pooling="cls"),
    "nemotron-rerank": Maker(
        partial(models.averaging, template=OWN),
        lambda folder, query, texts: averaged(folder, [templated(query, text)[0] for text in texts], framed=False),
    ),
    "llama-nemotron-rerank": Maker(
        partial(models.averaging, code=False),
        lambda folder, query, texts: averaged(
            folder, [f"question:{query} \n \n passage:{text}" for text in texts], framed=True
        ),
    ),
    **{family: asked(family) for family in VENDORS},
    "memreranker": asked("qwen3-reranker"),
    "lighton-rerank-pw": FOLDERS,
    "minilm": Maker(lambda folder: folder, mean),
    "colbertv2": colbert("stanford"),
    "answerai-colbert-small": colbert("stanford"),
    "gte-moderncolbert": colbert("pylate"),
    "jina-reranker-v3": Maker(models.listed, one_window),
    "lighton-rerank-lw": orders("Qwen3_5", lightons, lighton, 6),
    "lighton-rerank-lw-4b": orders("Qwen3_5", lightons, partial(lighton, thought=THOUGHT), 6),
    "rank-zephyr": orders(
        "Mistral", rankgpts, partial(listed, chat=ZEPHYR, system=RANKLLM, gap="", last=CONCISE), 4,
        template=ZEPHYRS, end="</s>",
    ),
    "reasonrank": orders(
        "Qwen2", rankgpts, partial(listed, chat=CHAT, system=REASONED, gap="\n", last=ANSWERED), 4,
        thoughts="<think>so it is</think> <answer> {} </answer>",
    ),
    "rank1": Maker(partial(models.writing, wrote="</think>", spoken=(" true", " false"), family="Qwen2"), rank1),
    "monot5": Maker(models.t5, monot5),
    "mt5-base-mmarco": Maker(
        partial(models.t5, answers=("yes", "no")), partial(monot5, yes="▁yes", no="▁no")
    ),
    "kalm-reranker": Maker(models.t5gemma2, kalm),
}  # fmt: skip
"""Short name, or else family → what its makers publish."""
