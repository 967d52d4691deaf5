"""The paper's own figures (Matas et al., 2025, arXiv 2505.16773), for its table beside ours."""

# (arm, metric): first, last, relative change in percent, as printed there.
PAPER = {
    ("vae", "validation loss"): (0.165, 0.110, -33.33),
    ("vae", "validation accuracy"): (0.45, 0.65, 44.44),
    ("imagenet", "validation loss"): (0.120, 0.100, -16.67),
    ("imagenet", "training accuracy"): (0.58, 0.87, 50.00),
    ("imagenet", "validation accuracy"): (0.63, 0.75, 19.05),
}
PAPER_GAP = {"vae": "near 0", "imagenet": "up to +0.060"}
