"""What a run is asked to do, and the plan that is made of it: every decision with its reason."""
