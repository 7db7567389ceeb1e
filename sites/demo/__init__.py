"""`make demo`: the whole product on one machine, with simulated GPUs that say so.

Reading order: processes (programs started and stopped), rootfs (the image), setting (folders,
ports, configuration), steps (what is shown, one function each), __main__.
"""
