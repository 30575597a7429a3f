"""One training forward for both post-norm encoders, on the parameters of the transformers modules themselves.

The same function as `CamembertForMaskedLM` and `FlaubertWithLMHeadModel` compute (`check` compares them), without what
makes them slow on a CPU: dropout on the attention weights, and vocabulary scores at positions that are not predicted.
"""

import copy

import torch
import torch.nn.functional as F


class Camembert:
    """Names of the parameters in a `CamembertForMaskedLM`."""

    def __init__(self, model):
        r = model.roberta
        self.word, self.position, self.first_position = r.embeddings.word_embeddings, r.embeddings.position_embeddings, 2
        self.type, self.norm, self.heads = r.embeddings.token_type_embeddings.weight[0], r.embeddings.LayerNorm, model.config.num_attention_heads
        self.layers = [(x.attention.self.query, x.attention.self.key, x.attention.self.value, x.attention.output.dense,
                        x.attention.output.LayerNorm, x.intermediate.dense, x.output.dense, x.output.LayerNorm) for x in r.encoder.layer]
        self.head = model.lm_head

    def embed(self, ids, types):
        type_row = self.word.weight.new_zeros(()) if self.type is None else self.type
        return self.word(ids) + self.position.weight[self.first_position:self.first_position + ids.shape[1]] + type_row

    def scores(self, states):
        h = self.head.layer_norm(F.gelu(self.head.dense(states)))
        return F.linear(h, self.word.weight, self.head.bias)


class Flaubert:
    """Names of the parameters in a `FlaubertWithLMHeadModel`."""

    def __init__(self, model):
        t = model.transformer
        self.word, self.position, self.norm, self.heads = t.embeddings, t.position_embeddings, t.layer_norm_emb, model.config.n_heads
        self.layers = [(a.q_lin, a.k_lin, a.v_lin, a.out_lin, n1, f.lin1, f.lin2, n2)
                       for a, n1, f, n2 in zip(t.attentions, t.layer_norm1, t.ffns, t.layer_norm2)]
        self.proj = model.pred_layer.proj

    def embed(self, ids, types):
        x = self.word(ids) + self.position.weight[:ids.shape[1]]
        return x + self.word.weight[0] if types else x

    def scores(self, states):
        return self.proj(states)


class Dropout:
    """Dropout by slices of one long random mask: drawing random bits is the slowest operation of a small model."""

    def __init__(self, p, size=1 << 23):
        self.p, self.mask = p, (torch.rand(size) >= p).float() / (1 - p) if p else None

    def __call__(self, x):
        if not self.p:
            return x
        at = int(torch.randint(self.mask.numel() - x.numel(), ()))
        return x * self.mask[at:at + x.numel()].view(x.shape)


def sinusoids(rows, width):
    """Positions as waves (Vaswani et al. 2017), to start from: neighbours are then easy to attend to. They are trained further."""
    at = torch.arange(rows)[:, None] / 1000 ** (torch.arange(0, width, 2) / width)
    return torch.cat([torch.sin(at), torch.cos(at)], dim=1)


@torch.no_grad()
def initialise(names, spread, branch):
    """Unit states; each layer adds little to its input at first, so that twelve of them let gradients through."""
    names.word.weight.normal_(0, spread)
    names.position.weight.copy_(spread * sinusoids(*names.position.weight.shape))
    for q, k, v, out, norm1, up, down, norm2 in names.layers:
        for f, factor in ((q, 1), (k, 1), (v, 1), (out, branch), (up, 1), (down, branch / 2)):
            f.weight.normal_(0, spread * factor)
    if isinstance(names, Camembert):
        names.head.dense.weight.normal_(0, spread)


@torch.no_grad()
def widen(names, gain, last_gain):
    """The same function with wider states and narrower weights, so that a step of a given size, such as fine-tuning's 5e-5,
    moves it further: without it so small a model would hardly move in 180 steps."""

    def scale(factor, *parameters):
        for p in parameters:
            p.mul_(factor)

    scale(gain, names.norm.weight, names.norm.bias)
    for q, k, v, out, norm1, up, down, norm2 in names.layers:
        scale(1 / gain, q.weight, k.weight, up.weight)
        scale(gain, v.bias, out.bias, down.weight, down.bias, norm1.weight, norm1.bias, norm2.weight, norm2.bias)
    scale(last_gain / gain, norm2.weight, norm2.bias)
    if isinstance(names, Camembert):
        scale(1 / last_gain, names.head.dense.weight)
    else:
        scale(1 / last_gain, names.word.weight, names.position.weight)


@torch.no_grad()
def grow(names, depth, branch):
    """Twice as many layers: after each layer comes a copy of it that adds little yet."""
    below = [[copy.deepcopy(part.state_dict()) for part in layer] for layer in names.layers[:depth]]
    for k, layer in enumerate(names.layers[:2 * depth]):
        for part, state in zip(layer, below[k // 2]):
            part.load_state_dict(state)
        if k % 2:
            for part in (layer[3], layer[6]):
                part.weight.mul_(branch)
                part.bias.mul_(branch)


def encode(names, ids, mask, types, dropout, depth=None, early=0):
    """The states (B, T, H) after `early` layers (None for 0) and after the last layer, or after `depth` layers; `mask` (B, T) of 0
    and 1."""
    x = dropout(names.norm(names.embed(ids, types)))
    b, t, h = x.shape
    seen, lower = None if bool(mask.all()) else mask.bool()[:, None, None, :], None
    for number, (q, k, v, out, norm1, up, down, norm2) in enumerate(names.layers[:depth], 1):
        heads = [f(x).view(b, t, names.heads, -1).transpose(1, 2) for f in (q, k, v)]
        a = F.scaled_dot_product_attention(*heads, attn_mask=seen).transpose(1, 2).reshape(b, t, h)
        x = norm1(x + dropout(out(a)))
        x = norm2(x + dropout(down(F.gelu(up(x)))))
        if number == early:
            lower = x
    return lower, x


@torch.no_grad()
def check(model, names, ids, mask, types):
    """The largest difference from the module's own scores."""
    model.eval()
    extra = {"token_type_ids": torch.zeros_like(ids)} if types else {}
    want = model(input_ids=ids, attention_mask=mask, **extra).logits
    got = names.scores(encode(names, ids, mask, types, Dropout(0))[1])
    model.train()
    return float((got - want)[mask.bool()].abs().max())
