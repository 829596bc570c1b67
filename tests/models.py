"""Small random models of the real architectures, with tokenizers trained on the spot. Saved as real ones are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memeval.rerankers.local import prompt

TEXTS = [
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided.",
    'Note that the answer can only be "yes" or "no". yes yes no no system user assistant think',
    "Given a web search query, retrieve relevant passages that answer the query",
    "when do the roses bloom? the roses bloom in june, roses need water; the shed is green, tea at four",
    "the boat leaks, a leak in the roof, the roof is new, boats and oars, is there a leak in the boat",
    "Caroline: I went to the LGBTQ support group on 7 May 2023! [image: a photo of a painting]",
    "one\n\ntwo\n\nthree\n",
    "Überraschung: der Grüntee ist heiß; 北京的茶很好喝; чай в четыре часа; الشاي في الرابعة",
]
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "initializer_range": 0.2,
}


def qwen_tokenizer(without: str = "", corpus: Sequence[str] = TEXTS, vocabulary: int = 600) -> Any:
    """Qwen's own tokenizer class with a byte-level BPE vocabulary of a few hundred entries.

    As in Qwen3, `<think>` and `</think>` are added tokens but no special ones. `without` leaves out one of the answers.
    """
    import json

    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX, Qwen2Tokenizer

    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.NFC()
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=sorted(alphabet), show_progress=False)
    answers = [f"({answer})" for answer in ("yes", "no") if answer != without] * 20
    trained.train_from_iterator([text.replace(without or "\0", "") for text in [*corpus, *answers]], trainer)
    learnt = json.loads(trained.to_str())["model"]
    made = Qwen2Tokenizer(vocab=learnt["vocab"], merges=[tuple(pair) for pair in learnt["merges"]])
    made.add_tokens([AddedToken(token, special="think" not in token, normalized=False) for token in CONTROL])
    return made


def qwen(
    folder: Path,
    *,
    tied: bool = True,
    without: str = "",
    seed: int = 0,
    corpus: Sequence[str] = TEXTS,
    vocabulary: int = 600,
    template: str | None = prompt.template(),
    **config: Any,
) -> Path:
    """A Qwen3ForCausalLM; its chat template is that of a yes/no reranker."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = qwen_tokenizer(without, corpus, vocabulary)
    tokenizer.chat_template = template
    torch.manual_seed(seed)
    shape = {"vocab_size": len(tokenizer), "max_position_embeddings": 40960, **SMALL, **config}
    shape = {"num_key_value_heads": 2, "head_dim": 32, **shape}
    model = Qwen3ForCausalLM(
        Qwen3Config(
            tie_word_embeddings=tied,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
            **shape,
        )
    )
    return _saved(folder, model, tokenizer)


def causal(folder: Path, name: str, template: str | None = None) -> Path:
    """A causal model of an architecture that rerankers are made from; its folder does not say how it is asked.

    Its tokenizer knows the answers of all recipes; that of Gemma and Mistral puts a token of its own before a text.
    """
    import torch
    import transformers
    from tokenizers.processors import TemplateProcessing

    tokenizer = qwen_tokenizer(corpus=[*TEXTS, *["Yes", "No"] * 40])
    tokenizer.chat_template = template
    if name in ("Gemma", "Mistral"):
        tokenizer.add_special_tokens({"bos_token": "<s>"})
        begin = ("<s>", tokenizer.convert_tokens_to_ids("<s>"))
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A", "<s> $A $B", [begin])
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer.backend_tokenizer, bos_token="<s>", pad_token="<|endoftext|>"
        )
    config = _causal_config(name, len(tokenizer))
    torch.manual_seed(5)
    auto = f"{name}{'ForConditionalGeneration' if name == 'Qwen3VL' else 'ForCausalLM'}"
    return _saved(folder, getattr(transformers, auto)(config), tokenizer)


def _causal_config(name: str, vocabulary: int, **told: Any) -> Any:
    """The config of a small causal model of an architecture."""
    import transformers

    heads = {"num_key_value_heads": 2, "head_dim": 32}
    shape = {**SMALL, **heads, "vocab_size": vocabulary, "max_position_embeddings": 40960, "pad_token_id": None}
    more: dict[str, Any] = {
        "Qwen3_5": {"num_hidden_layers": 4, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
                    "linear_key_head_dim": 16, "linear_value_head_dim": 16},
        "Gemma3": {"num_hidden_layers": 6, "sliding_window": 16},
    }.get(name, {})  # fmt: skip
    if name == "Qwen3VL":
        seen = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 64,
                "deepstack_visual_indexes": [0]}  # fmt: skip
        turned = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [6, 5, 5]}
        return transformers.Qwen3VLConfig(text_config={**shape, "rope_parameters": turned}, vision_config=seen)
    text = "Text" if name in ("Qwen3_5", "Gemma3") else ""
    return getattr(transformers, f"{name}{text}Config")(**{**shape, **more, **told})


def bert_tokenizer(corpus: Sequence[str] = TEXTS, vocabulary: int = 400) -> Any:
    """BERT's own tokenizer class with a WordPiece vocabulary of a few hundred entries."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import BertTokenizer

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.train_from_iterator(
        [text.lower() for text in corpus],
        trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False),
    )
    return BertTokenizer(vocab=trained.get_vocab(), model_max_length=512)


def bert(
    folder: Path,
    *,
    labels: int = 1,
    seed: int = 0,
    corpus: Sequence[str] = TEXTS,
    vocabulary: int = 400,
    **config: Any,
) -> Path:
    """A BertForSequenceClassification (the architecture of MiniLM cross-encoders)."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = bert_tokenizer(corpus, vocabulary)
    torch.manual_seed(seed)
    shape = {**SMALL, "max_position_embeddings": 512, **config}
    model = BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), num_labels=labels, **shape))
    return _saved(folder, model, tokenizer)


def xlm_roberta(
    folder: Path,
    *,
    labels: int = 1,
    seed: int = 0,
    corpus: Sequence[str] = TEXTS,
    vocabulary: int = 500,
    **config: Any,
) -> Path:
    """An XLMRobertaForSequenceClassification (the architecture of bge-reranker)."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification, XLMRobertaTokenizer

    tokenizer = XLMRobertaTokenizer(vocab=_unigrams(corpus, vocabulary), model_max_length=512)
    torch.manual_seed(seed)
    shape = {**SMALL, "max_position_embeddings": 514, "type_vocab_size": 1, **config}
    model = XLMRobertaForSequenceClassification(
        XLMRobertaConfig(vocab_size=len(tokenizer), num_labels=labels, pad_token_id=1, **shape)
    )
    return _saved(folder, model, tokenizer)


def _unigrams(corpus: Sequence[str] = TEXTS, vocabulary: int = 500) -> list[tuple[str, float]]:
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(
        corpus,
        trainers.UnigramTrainer(vocab_size=vocabulary, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    learnt = [tuple(entry) for entry in json.loads(trained.to_str())["model"]["vocab"]]
    return [*learnt, ("<mask>", 0.0)]


def _saved(folder: Path, model: Any, tokenizer: Any) -> Path:
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def classifier(folder: Path, name: str, **config: Any) -> Path:
    """A classifier of another real architecture: its positions and token types are what differs.

    `klue` is the RoBERTa of that name: one token type, and BERT's tokenizer, which gives a second text another one.
    """
    import torch
    import transformers

    if name == "camembert":
        tokenizer = transformers.CamembertTokenizer(vocab=_unigrams(), model_max_length=512)
    else:
        tokenizer = bert_tokenizer()
    if name == "modernbert":
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    families = {"modernbert": "ModernBert", "deberta": "DebertaV2", "camembert": "Camembert", "klue": "Roberta"}
    families |= {"longformer": "Longformer", "ibert": "IBert"}
    shapes: dict[str, dict[str, Any]] = {
        "modernbert": {"max_position_embeddings": 512, "global_attn_every_n_layers": 2, "cls_token_id": 2},
        "deberta": {"type_vocab_size": 0, "relative_attention": True, "position_biased_input": False},
        "camembert": {"max_position_embeddings": 514, "type_vocab_size": 1},
        "klue": {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1},
        "longformer": {"max_position_embeddings": 514, "attention_window": [16] * 3},
        "ibert": {"max_position_embeddings": 514},
    }
    torch.manual_seed(0)
    shape = {**SMALL, "vocab_size": len(tokenizer), "num_labels": 1, "pad_token_id": tokenizer.pad_token_id}
    made = getattr(transformers, f"{families[name]}Config")(**{**shape, **shapes[name], **config})
    return _saved(folder, getattr(transformers, f"{families[name]}ForSequenceClassification")(made), tokenizer)


def logit_score(folder: Path, template: str, true: str, false: str | None = None, *, family: str = "") -> Path:
    """A causal reranker with a LogitScore of its own and a chat template of its own, as sentence-transformers saves it.

    zerank has the one token, mxbai-rerank-v2 a Qwen2 (`family`) with "1" and "0".
    """
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore

    bare = folder.parent / f"{folder.name}-bare"
    if family:
        causal(bare, family, template)
    else:
        qwen(bare, template=template)
    read = Transformer(str(bare), transformer_task="text-generation", model_kwargs={"dtype": torch.float32})
    ids = [None if text is None else read.tokenizer.convert_tokens_to_ids(text) for text in (true, false)]
    CrossEncoder(modules=[read, LogitScore(*ids)], device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


def modular(folder: Path) -> Path:
    """A cross-encoder of several modules (the layout of ettin-reranker)."""
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
    from transformers import ModernBertConfig, ModernBertModel

    tokenizer = bert_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    torch.manual_seed(0)
    shape = {**SMALL, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "cls_token_id": 2}
    bare = folder.parent / f"{folder.name}-bare"
    _saved(bare, ModernBertModel(ModernBertConfig(max_position_embeddings=512, **shape)), tokenizer)
    modules = [
        Transformer(str(bare)),
        Pooling(64, pooling_mode="cls"),
        Dense(64, 64, bias=False, activation_function=torch.nn.GELU()),
        LayerNorm(64),
        Dense(64, 1, activation_function=torch.nn.Identity(), module_output_name="scores"),
    ]
    CrossEncoder(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


def bi_encoder(folder: Path, family: str = "SentenceTransformer", *, dtype: str = "float32", **settings: Any) -> Path:
    """A bi-encoder, dense, sparse (SPLADE) or with a vector for each token; `settings` are the class's own."""
    import sentence_transformers
    import torch
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.sparse_encoder.modules import SpladePooling
    from transformers import BertConfig, BertForMaskedLM, BertModel

    tokenizer = bert_tokenizer()
    torch.manual_seed(0)
    shape = {**SMALL, "vocab_size": len(tokenizer), "max_position_embeddings": 128}
    bare = folder.parent / f"{folder.name}-bare"
    sparse = family == "SparseEncoder"
    _saved(bare, (BertForMaskedLM if sparse else BertModel)(BertConfig(**shape)).to(getattr(torch, dtype)), tokenizer)
    read = Transformer(str(bare), transformer_task="fill-mask" if sparse else "feature-extraction")
    parts = {
        "SentenceTransformer": [Pooling(64, pooling_mode="mean")],
        "SparseEncoder": [SpladePooling()],
        "MultiVectorEncoder": [
            Dense(
                64,
                16,
                bias=False,
                activation_function=torch.nn.Identity(),
                module_input_name="token_embeddings",
                module_output_name="token_embeddings",
            ),
            MultiVectorMask(),
            Normalize(module_input_name="token_embeddings"),
        ],
    }
    made = getattr(sentence_transformers, family)(modules=[read, *parts[family]], device="cpu", **settings)
    made.save_pretrained(str(folder), create_model_card=False)
    return folder


def own_code(folder: Path, mark: Path, family: str = "Bert", **config: Any) -> Path:
    """A classifier that brings code of its own, which turns its scores round and leaves a mark where it is run."""
    import json

    {"Bert": bert, "XLMRoberta": xlm_roberta}[family](folder, **config)
    said = json.loads((folder / "config.json").read_text())
    said["auto_map"] = {"AutoModelForSequenceClassification": "modeling_own.Own"}
    said["architectures"] = ["OwnForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(said))
    (folder / "modeling_own.py").write_text(
        "from pathlib import Path\n\n"
        f"from transformers import {family}ForSequenceClassification\n\n"
        f"Path({str(mark)!r}).touch()\n\n\n"
        f"class Own({family}ForSequenceClassification):\n"
        "    def forward(self, **features):\n"
        "        out = super().forward(**features)\n"
        "        out.logits = -out.logits\n"
        "        return out\n"
    )
    return folder


def averaging(folder: Path, template: str | None = None, *, code: bool = True) -> Path:
    """A decoder that attends both ways, the mean of its states and a score head (the layout of NVIDIA's rerankers).

    Its config names code of the folder's own, which is there with `code`; `template` asks it by roles.
    """
    import json

    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import LlamaConfig, LlamaForSequenceClassification

    tokenizer = qwen_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    begin = ("<s>", tokenizer.convert_tokens_to_ids("<s>"))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A", "<s> $A $B", [begin])
    tokenizer.chat_template = template
    torch.manual_seed(6)
    shape = {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": 16384, "num_labels": 1}
    config = LlamaConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **shape)
    _saved(folder, LlamaForSequenceClassification(config), tokenizer)
    said = json.loads((folder / "config.json").read_text())
    said |= {
        "architectures": [f"{'Llama' if template is None else 'Mistral'}BidirectionalForSequenceClassification"],
        "model_type": "llama_bidirec",
        "pooling": "avg", "temperature": 0.5,
        "auto_map": {
            "AutoConfig": "modeling_both.Config", "AutoModelForSequenceClassification": "modeling_both.Both",
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(said))
    if code:
        (folder / "modeling_both.py").write_text(
            "import torch\n"
            "from transformers import LlamaConfig, LlamaModel, LlamaPreTrainedModel\n"
            "from transformers.modeling_outputs import SequenceClassifierOutput\n\n\n"
            "class Config(LlamaConfig):\n"
            "    model_type = 'llama_bidirec'\n"
            "    temperature: float = 1.0\n\n\n"
            "class Both(LlamaPreTrainedModel):\n"
            "    config_class = Config\n\n"
            "    def __init__(self, config):\n"
            "        super().__init__(config)\n"
            "        config.is_causal = False\n"
            "        self.model = LlamaModel(config)\n"
            "        self.score = torch.nn.Linear(config.hidden_size, 1, bias=False)\n"
            "        self.post_init()\n\n"
            "    def forward(self, input_ids, attention_mask, **_):\n"
            "        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state\n"
            "        seen = attention_mask[..., None]\n"
            "        mean = (states * seen).sum(1) / seen.sum(1)\n"
            "        return SequenceClassifierOutput(logits=self.score(mean) / self.config.temperature)\n"
        )
    return folder


def writing(
    folder: Path,
    wrote: str | Sequence[str],
    *,
    end: str | None = "<|im_end|>",
    spoken: Sequence[str] = (),
    family: str = "Qwen3",
    template: str = CHATML,
) -> Path:
    """A causal model that writes a text, or one of several, which are tokens of it, and then (with `end`) ends.

    One width of its states says how probable those texts are everywhere, another one that the end follows them; all
    else is random. `spoken` are further texts that are tokens.
    """
    import torch
    import transformers
    from tokenizers.processors import TemplateProcessing

    tokenizer = qwen_tokenizer()
    texts = [wrote] if isinstance(wrote, str) else list(wrote)
    known = tokenizer.get_vocab()
    tokenizer.add_tokens([text for text in (*texts, *spoken, end or "<|im_end|>") if text not in known])
    if family == "Mistral":
        tokenizer.add_special_tokens({"bos_token": "<s>"})
        begin = ("<s>", tokenizer.convert_tokens_to_ids("<s>"))
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A", "<s> $A $B", [begin])
    tokenizer.chat_template = template
    torch.manual_seed(5)
    model = getattr(transformers, f"{family}ForCausalLM")(
        _causal_config(family, len(tokenizer), tie_word_embeddings=False)
    )
    said, ending = tokenizer.convert_tokens_to_ids(texts), tokenizer.convert_tokens_to_ids(end or "<|im_end|>")
    with torch.no_grad():
        read, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        read[:, :2], head[:, :2] = 0, 0
        for layer in model.model.layers:
            mixer = getattr(layer, "self_attn", None) or layer.linear_attn
            for part in (getattr(mixer, "o_proj", None) or mixer.out_proj, layer.mlp.down_proj):
                part.weight[:2] = 0
        read[:, 0], head[said, 0] = 10, 20
        read[said, 1], head[ending, 1] = 10, 40 if end else 0
    model.generation_config.eos_token_id = ending
    model.generation_config.pad_token_id = None
    return _saved(folder, model, tokenizer)


def t5(folder: Path, *, answers: tuple[str, str] = ("true", "false"), seed: int = 0, **config: Any) -> Path:
    """A T5ForConditionalGeneration (the architecture of monoT5)."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    pieces = dict(_unigrams([*TEXTS, "Query: Document: Relevant: " * 9]))
    special = {"<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0, **{f"▁{answer}": -5.0 for answer in answers}}
    vocabulary = [*special.items(), *[(piece, weight) for piece, weight in pieces.items() if piece not in special]]
    tokenizer = T5Tokenizer(vocab=[entry for entry in vocabulary if entry[0] not in ("<s>", "<mask>")], extra_ids=0)
    torch.manual_seed(seed)
    shape = {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4, "initializer_factor": 2.0}
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=len(tokenizer), decoder_start_token_id=0, pad_token_id=0, **{**shape, **config})
    )
    return _saved(folder, model, tokenizer)


def t5gemma2(folder: Path) -> Path:
    """A T5Gemma2ForConditionalGeneration (the architecture of KaLM-Reranker)."""
    import torch
    from tokenizers import AddedToken
    from transformers import T5Gemma2Config, T5Gemma2ForConditionalGeneration

    tokenizer = qwen_tokenizer()
    tokenizer.add_tokens(
        [AddedToken(text, special=True) for text in ("<bos>", "<start_of_turn>", "<end_of_turn>")]
        + [AddedToken("\n" * count, special=False, normalized=False) for count in (2, 3, 4)]
    )
    torch.manual_seed(0)
    shape = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"], "initializer_range": 0.2, "query_pre_attn_scalar": 16,
        "max_position_embeddings": 8192,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    config = T5Gemma2Config(
        encoder={"text_config": shape, "vision_config": vision, "image_token_index": 1, "mm_tokens_per_image": 1},
        decoder=shape,
        initializer_range=0.2,
        image_token_index=1,
        eoi_token_index=2,
    )
    return _saved(folder, T5Gemma2ForConditionalGeneration(config), tokenizer)


def colbert(folder: Path, layout: str, **settings: Any) -> Path:
    """A BERT with late interaction, as PyLate up to 3 (`pylate`) or Stanford's ColBERT (`stanford`) saves it."""
    import json

    import torch
    from safetensors.torch import load_file, save_file
    from tokenizers import AddedToken
    from transformers import BertConfig, BertModel

    tokenizer = bert_tokenizer()
    marks = ["[Q] ", "[D] "] if layout == "pylate" else ["[unused0]", "[unused1]"]
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in marks])
    torch.manual_seed(0)
    shape = {**SMALL, "vocab_size": len(tokenizer), "max_position_embeddings": 128}
    _saved(folder, BertModel(BertConfig(**shape)), tokenizer)
    weight = torch.nn.init.normal_(torch.empty(16, 64))

    def write(name: str, value: Any) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(value))

    if layout == "stanford":
        held = {f"bert.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
        save_file({**held, "linear.weight": weight}, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        write("config.json", {**config, "architectures": ["HF_ColBERT"]})
        write("artifact.metadata", {"query_maxlen": 16, "doc_maxlen": 20, "mask_punctuation": True, **settings})
        return folder
    write("modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ])  # fmt: skip
    write("1_Dense/config.json", {
        "in_features": 64, "out_features": 16, "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    })  # fmt: skip
    save_file({"linear.weight": weight}, folder / "1_Dense" / "model.safetensors")
    write("sentence_bert_config.json", {"max_seq_length": 19, "do_lower_case": False})
    write("config_sentence_transformers.json", {
        "model_type": "ColBERT", "prompts": {}, "default_prompt_name": None, "similarity_fn_name": "MaxSim",
        "query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 16, "document_length": 20,
        "do_query_expansion": True, "attend_to_expansion_tokens": False, "skiplist_words": [",", ";", "?"], **settings,
    })  # fmt: skip
    return folder


def listed(folder: Path, *, more: str = "") -> Path:
    """A Qwen3 that brings code of its own, with the interface of jina-reranker-v3: one window, the cosine of tokens."""
    import json

    import torch
    from safetensors.torch import load_file, save_file

    qwen(folder, template=None)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Listed"], "auto_map": {"AutoModel": "modeling_listed.Listed"}}
    (folder / "config.json").write_text(json.dumps(config))
    held = load_file(folder / "model.safetensors")
    torch.manual_seed(7)
    save_file(
        {**held, "projector.weight": torch.randn(16, 64)}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    (folder / "modeling_listed.py").write_text(
        "import torch\n"
        "from transformers import AutoTokenizer, Qwen3Config, Qwen3Model, Qwen3PreTrainedModel\n\n\n"
        "class Listed(Qwen3PreTrainedModel):\n"
        "    config_class = Qwen3Config\n\n"
        "    def __init__(self, config):\n"
        "        super().__init__(config)\n"
        "        self.model = Qwen3Model(config)\n"
        "        self.projector = torch.nn.Linear(config.hidden_size, 16, bias=False)\n"
        "        self.post_init()\n\n"
        "    @torch.no_grad()\n"
        "    def rerank(self, query, documents, top_n=None, max_doc_length=64, max_query_length=32):\n"
        "        read = AutoTokenizer.from_pretrained(self.name_or_path)\n"
        "        parts = [read.encode(text)[:max_doc_length] + [7] for text in documents]\n"
        "        parts.append(read.encode(query)[:max_query_length] + [8])\n"
        "        ids = torch.tensor([[token for part in parts for token in part]], device=self.device)\n"
        "        hidden = self.projector(self.model(ids).last_hidden_state[0]).float()\n"
        "        ends = torch.tensor([len(part) for part in parts]).cumsum(0) - 1\n"
        "        *found, asked = hidden[ends]\n"
        "        scores = [float(torch.cosine_similarity(one, asked, dim=0)) for one in found]\n"
        "        order = sorted(range(len(scores)), key=lambda place: -scores[place])\n"
        "        rows = [{'index': place, 'relevance_score': scores[place]} for place in order]\n"
        f"        return rows{more}\n"
    )
    return folder
