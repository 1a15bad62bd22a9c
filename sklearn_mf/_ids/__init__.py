"""Tables of ids to int32 codes: columns, kinds of ids, levels, times, checks of input."""
