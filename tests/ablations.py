"""A small plan of an ablation, and what it is run on."""

PLAN = """
[common]
invariance = "none"
crop = 1.0
epochs = 2
backbone = "test_efficientnet"
latent_dim = 4
batch_size = 32
kl_warmup = 1

[arms.plain]
[arms.views]
invariance = "infonce"
crop = 0.5
figures_every = 1
[arms.untrained]
encoder = "random"
[arms.pixels]
encoder = "pixels"
[arms.views-last]
invariance = "infonce"
crop = 0.5
figures_every = 1
features = "last"
"""
SMALL = {"data": "synthetic:n=160,size=40,seed=1", "image_size": 32, "epochs": 2, "seeds": 2, "splits": 2}
