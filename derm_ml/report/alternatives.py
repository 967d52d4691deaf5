"""What every figure shows, in words: alternative texts, for those who do not see it and for print."""

ALT = {
    "forest": "For every arm, a dot and its 95 % interval: macro AUROC, accuracy, balanced accuracy, "
    "log-loss and ECE on test images, and the gap of the loss. The table of arms has the same "
    "figures.",
    "differences": "For every arm, its difference to ImageNet transfer on six measures with 95 % intervals, "
    "and the call: better, worse or not shown. The table of differences has the same figures.",
    "curves": "Training and validation loss and accuracy, and both gaps, by epoch for every arm, with 95 "
    "% bands. curves.csv has the same figures.",
    "gap_plane": "Gap of the loss against validation log-loss (left) and test macro AUROC (right) for every "
    "arm and floor, with an arrow from the first protocol to the second. The table of gaps has "
    "the same figures.",
    "fractions": "Macro AUROC, log-loss and gap against the fraction of labels, for every arm and protocol, "
    "with 95 % intervals. The table of the design has the same figures.",
    "reliability": "Accuracy against confidence in 15 bins of equal mass for every arm, as it is and with "
    "temperature; the diagonal is perfect calibration. The table of calibration sums it up.",
    "recalls": "Test recall of every class for every arm, with 95 % intervals. The table of recalls has "
    "the same figures.",
    "confusion": "Confusion matrix of every arm in percent of the true class.",
    "selective": "Accuracy on the most confident share of the test images, for every arm. The table has four "
    "points of it.",
}
