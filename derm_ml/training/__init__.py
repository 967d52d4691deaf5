"""The one trainer, schedules, evaluation and checkpoints: objective-agnostic."""
