"""What has finished: the ledger of trials, epochs and predictions, and the only truth about what is done."""
