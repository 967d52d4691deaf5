"""Images in: sources, checks, splits, the decoded cache, batches and augmentation."""
