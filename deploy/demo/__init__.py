"""The main job on real input: an order file, robo-drivers that answer, a live view, a summary checked at the end.

May import the contract, config, log readers, the checker and the local machine; never the core: it stands outside, as
sellers and drivers do.
"""
