"""What the entry points run: pretrain, finetune and compare."""
