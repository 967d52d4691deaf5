"""Networks: backbones and their weights, the VAE and its decoder, the classifier and its head."""
