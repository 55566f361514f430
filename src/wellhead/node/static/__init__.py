"""Static pods: those that a node has from files of its own, and shows to the API by mirror pods."""
