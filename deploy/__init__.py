"""How Baton is run: the local machine underneath, and the demonstration of the main job."""
