"""Everything with weights: networks, engines, backends."""
