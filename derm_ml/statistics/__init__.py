"""Estimates with intervals: Student's t, the group bootstrap, corrected comparisons over splits, Holm, equivalence."""
