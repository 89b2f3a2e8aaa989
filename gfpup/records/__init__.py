"""What a run leaves behind: manifest, scores, the shards of its ranks; and the one reader of them."""
