"""What versions mean before they are in force: model portfolios before and after, and frontiers to plot."""
