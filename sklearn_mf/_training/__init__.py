"""Train: turn codes and ratings into factors."""
